// Making a snapshot of a PostgreSQL cluster while its server runs: beside it, or over the replication
// protocol.
#pragma once

#include "base/progress.h"
#include "postgres/capture/capture_cluster.h"
#include "postgres/server/cluster_facts.h"
#include "repository/backup_run.h"

#include <optional>
#include <string>
#include <vector>

namespace holdfast {

enum class PostgresBackupType {
    automatic, // only what the log says has changed, where that can be told; all else compared
    full,      // everything is read
    // As automatic, and an error where everything would have to be read; over the replication protocol, which
    // sends everything, where there is no earlier snapshot to compare with.
    incremental,
};

struct PostgresBackup {
    BackupRunSettings run; // source, host, tags; the kind and the paths are filled in
    std::string connection;
    // As it is reached from here; empty: the cluster comes over the replication protocol.
    std::string data_directory;
    std::string spool_directory;
    PostgresBackupType type = PostgresBackupType::automatic;
    // Reads everything, and tells of pages that changed although the log does not say so.
    bool compare = false;
    bool new_cluster = false;
    bool fast_checkpoint = true;
    // What starting, stopping, and waiting for the log may take, each.
    Duration wait_limit = std::chrono::minutes(30);
    std::uint64_t bytes_per_second = 0; // 0: no limit
};

struct PostgresBackupResult {
    BackupRunReport report;
    postgres::ClusterCapture capture;
    postgres::ClusterFacts facts;
    postgres::WalRange log;   // that makes it consistent
    bool incremental = false; // only what had changed was read
    std::string full_because; // else: why everything was
    double start_seconds = 0, capture_seconds = 0, stop_seconds = 0, log_seconds = 0;
    std::vector<std::string> alarms; // about the log; see PushReport
};

// Starts a backup on the server, captures the cluster's files, stops it, sees to it that the log from start
// to stop is in the archive, and commits. The snapshot is partial when a file could not be read or a page was
// bad. Throws when nothing could be committed; Error(already_exists) when the source is another cluster;
// BackupTimedOut past the limit, with what held the server up.
PostgresBackupResult back_up_postgres(Repository& repository, const PostgresBackup& what, Progress& progress,
                                      std::stop_token stop);

// Whether only what had changed was read for this snapshot of a cluster.
bool was_incremental(const Snapshot& snapshot);

} // namespace holdfast
