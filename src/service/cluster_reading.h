// How a backup gets at a cluster: told to the server, its files read, and the log that makes them consistent.
#pragma once

#include "base/progress.h"
#include "postgres/archive/own_log.h"
#include "postgres/archive/wal_push.h"
#include "postgres/capture/capture_cluster.h"
#include "postgres/server/backup_session.h"
#include "postgres/server/cluster_facts.h"
#include "repository/repository.h"
#include "service/back_up_postgres.h"

#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>

namespace holdfast {

// What a reading works with; all of it outlives the reading.
struct ClusterReadingTools {
    Repository& repository;
    const PostgresBackup& what;
    const postgres::ClusterFacts& facts;
    Progress& progress;
    std::stop_token stop;
};

// Begun, captured and ended once each, in this order; log is stored at any time. Not thread-safe. What it
// throws is told at back_up_postgres. Destroyed before its end, it has the server give the backup up.
class ClusterReading {
  public:
    virtual ~ClusterReading() = default;

    // Where the snapshot comes from, for people.
    virtual std::string place() const = 0;
    // Why all that is in the cluster is read, whatever has changed; empty when only changes can be.
    virtual std::string reads_everything_because() const = 0;

    // Has the server begin, and returns the position that recovery will start from.
    virtual postgres::Lsn begin(BackupRun& run) = 0;
    // `changes` since the snapshot `since`, where they are known, else null.
    virtual postgres::ClusterCapture capture(BackupRun& run, const postgres::ChangedBlocks* changes,
                                             const RunId& since) = 0;
    virtual postgres::BackupStop end() = 0;

    // Stores what the server has of `range` in the log archive of the source; returns what an operator must
    // know. Throws Error(not_found) when the server has not all of it any more.
    virtual std::vector<std::string> store_log(const postgres::WalRange& range, const ArchiveId& archive) = 0;
    // The first of these slices of the archive that has other content than the server's own log, as far as
    // the server still has that; it has log up to `end` at least.
    virtual std::optional<LogSliceId> slice_of_another(const postgres::WalArchive& archive,
                                                       std::span<const PathStep> path, postgres::Lsn end) = 0;
    // Stores the history file of a timeline behind the first, without which no server recovers along it.
    virtual std::vector<std::string> store_history(postgres::TimelineId timeline,
                                                   const ArchiveId& archive) = 0;
};

// Beside the server: from its data directory.
std::unique_ptr<ClusterReading> read_data_directory(const ClusterReadingTools& tools);
// Over the replication protocol.
std::unique_ptr<ClusterReading> read_over_protocol(const ClusterReadingTools& tools);

} // namespace holdfast
