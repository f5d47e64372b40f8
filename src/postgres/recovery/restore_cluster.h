// A cluster's files written back, ready to be recovered by a server that is started over them.
#pragma once

#include "documents/restore/tree_restore.h"
#include "postgres/files/recovery_settings.h"
#include "postgres/files/tablespace_map.h"
#include "postgres/recovery/chosen_databases.h"
#include "postgres/recovery/replayed_tablespaces.h"
#include "postgres/recovery/restore_target.h"
#include "postgres/wal/lsn.h"

#include <functional>

namespace holdfast::postgres {

struct RestoreClusterSettings {
    std::string target; // the data directory: absolute; made if missing
    // What is there may be used and overwritten: only what differs is written, what is not the snapshot's is
    // removed.
    bool in_place = false;
    std::vector<TablespacePlace> tablespaces{};
    // What the recovery will make outside of it: directories are made for it, and emptied where they are the
    // target's own. Its replacements become the file log_changes_path(), for restore_command.
    ReplayedTablespaces replayed{};
    // All that restore_command may use of the log, where the archive has other log beside it: they become the
    // file log_slices_path().
    std::vector<LogSliceId> log_slices{};
    // Of the snapshot's pg_twophase, what the recovery must not find; see prepared_later().
    std::vector<std::string> left_out_states{};
    // Databases that come back as holes. Not in place: what is there of them would be neither old nor new.
    DatabaseChoice databases{};
    // What the server is told, restore_command and all.
    RecoverySettings recovery{};
    // In place: whether the archive has all of a stretch of the log. What it does not have is put aside from
    // pg_wal rather than removed. Empty: it has everything.
    std::function<bool(const WalRange&)> is_archived{};
    // Writes backup_manifest, for pg_verifybackup: reads all files once. Not when databases are left out.
    bool manifest = true;
    // Returns when everything is durable.
    bool sync = true;
    ContentReaderSettings content{};
};

struct RestoredCluster {
    std::string data_directory;
    int version = 0;
    std::uint64_t system_identifier = 0;
    std::vector<TablespaceLocation> tablespaces; // where they are now
    TreeRestoreResult files;                     // of data directory and tablespaces together
    std::uint64_t manifest_files = 0;
    HoleTotals holes; // of databases that were left out
    // In place: segments that the archive has not, and where they are now.
    std::vector<std::string> put_aside;
    std::string put_aside_directory;
};

// Restores. Until everything else is there, global/pg_control is not: no server starts over a part of a
// cluster. Throws Error(usage) as check_restore_target; what the readers throw; Error(corrupt) when not every
// file could be written.
//
// As root, files get the owner that they had; else they are ours. The server is told archive_mode = off, so
// that it does not add its own log to the source's, and no names of synchronous standbys, for which its
// commits would wait.
RestoredCluster restore_cluster(const SnapshotCluster& cluster, const Snapshot& snapshot,
                                const RestoreClusterSettings& settings, const RestoreTools& tools,
                                std::stop_token stop);

// The file in a data directory that says which bytes of the log are replaced when it is fetched.
std::string log_changes_path(const std::string& data_directory);

// The file in a data directory that says which slices of the log are fetched, where not all may be.
std::string log_slices_path(const std::string& data_directory);

// The settings that stay behind a recovery, for with_recovery_lines.
std::string lasting_lines();

// A restore_command that runs `program` (with arguments, each quoted for the shell), the name of the file and
// where to put it.
std::string restore_command_of(const std::vector<std::string>& program);

} // namespace holdfast::postgres
