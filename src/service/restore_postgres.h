// Getting a PostgreSQL cluster back: what to use, its files, and a server over them.
#pragma once

#include "base/progress.h"
#include "postgres/recovery/recovery_estimate.h"
#include "postgres/recovery/recovery_plan.h"
#include "postgres/recovery/recovery_window.h"
#include "postgres/recovery/restore_cluster.h"
#include "postgres/recovery/start_cluster.h"
#include "repository/repository.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace holdfast {

struct PostgresRestore {
    std::string source;
    std::string target; // the data directory: absolute
    postgres::RecoveryRequest request{};
    bool in_place = false;
    // Of the snapshot's tablespaces, and by number of those that the log makes.
    std::vector<postgres::TablespacePlace> tablespaces{};
    // Only these databases, and those that a server needs, the others as holes; empty: all. Not in place.
    std::vector<std::string> databases{};
    // The words of a command that fetches a file of the log, before the file's name and its destination:
    // {"/usr/bin/holdfast", "--key-file", …, "wal", "fetch", "--repo", URL, SOURCE}; options of wal fetch may
    // follow. The server runs it as the owner of the data directory, perhaps long after this.
    std::vector<std::string> fetch_command{};
    postgres::TargetAction action = postgres::TargetAction::promote;
    bool standby = false; // follows a primary behind the log; without a target only
    std::string primary_connection{};
    bool manifest = true;
    bool sync = true;
    // Nothing: the server is left to be started by somebody. Directory, version, and what follows from the
    // plan are filled in here.
    std::optional<postgres::StartSettings> start{};
    // Says what would be used, after all checks, and writes nothing.
    bool dry_run = false;
    // Also how long it will take: reads a piece of the log for that.
    bool estimate = false;
    // Hears what will be used, before anything is written. May be empty.
    std::function<void(const struct PostgresRestoreResult&)> planned{};
};

struct PostgresRestoreResult {
    postgres::RecoveryPlan plan;
    int version = 0;
    // Where tablespaces come to lie: the snapshot's, and those that the log makes.
    std::vector<postgres::TablespaceLocation> tablespaces;
    // Databases that were not chosen: they are to be dropped.
    std::vector<postgres::SnapshotDatabase> left_out;
    std::uint64_t restore_bytes = 0;                   // of the snapshot, without what was left out
    std::optional<postgres::RestoredCluster> restored; // not of a dry run
    std::optional<postgres::StartedCluster> started;
    double plan_seconds = 0;
    double restore_seconds = 0;
    std::optional<postgres::RecoveryEstimate> estimate;
    // For people: of the plan, so many, and of what was found on the way.
    std::vector<std::string> notes;
    std::size_t planned_notes = 0;
};

// Throws what plan_recovery, restore_cluster and start_cluster throw: Error(usage) and Error(not_found)
// before anything is written. When the server does not start (StartFailed), the files stay as they are.
PostgresRestoreResult restore_postgres(Repository& repository, const PostgresRestore& what,
                                       Progress& progress, std::stop_token stop);

} // namespace holdfast
