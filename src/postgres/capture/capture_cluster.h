// Capturing a cluster's files into a snapshot: a whole read, or only the blocks that have changed.
#pragma once

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "postgres/capture/changed_blocks.h"
#include "postgres/capture/cluster_file.h"
#include "postgres/capture/page_check.h"
#include "postgres/files/control_file.h"
#include "postgres/files/tablespace_map.h"
#include "repository/backup_run.h"

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

namespace holdfast::postgres {

struct ClusterCaptureRequest {
    std::string data_directory;
    // Where the backup began (pg_backup_start). Pages that cannot be believed and claim to be older are bad.
    Lsn start;
    // The setting stats_temp_directory of versions 13 and 14.
    std::string statistics_directory = "pg_stat_tmp";
    // Another cluster is refused.
    std::optional<std::uint64_t> system_identifier{};

    // What has changed since the snapshot `changes_since`, if that is known. It is used when that snapshot is
    // the parent of the run; otherwise everything is read, and the result says why.
    const ChangedBlocks* changes = nullptr;
    std::optional<RunId> changes_since{};
    // Reads everything all the same, and reports what has changed without being named.
    bool compare = false;

    std::uint64_t bytes_per_second = 0; // read at most; 0: no limit
    unsigned readers = worker_count();
    std::size_t read_ahead_bytes = 16u << 20;
    unsigned page_attempts = PageCheckSettings{}.attempts;
    Duration page_pause = PageCheckSettings{}.pause;
    ClusterFiles* files = nullptr; // null: PoliteFiles

    Clock* clock = &system_clock();
    Logger* logger = &silent_logger();
};

// A file that could not be read, or not cleanly. The path is printable, relative to the data directory.
struct CaptureProblem {
    std::string path;
    std::string what;
};

// A page that has changed by more than hints before this backup began, though the changed blocks do not name
// it.
struct UnnamedChange {
    RelationSegment segment;
    std::uint32_t block = 0; // in its file
};

struct ClusterCapture {
    TreeEntry data;                       // a directory, with everything below
    std::optional<TreeEntry> tablespaces; // a directory of tablespaces by number, when there are any
    ControlFile control;                  // as it stands in the tree
    std::vector<TablespaceLocation> tablespace_links;
    std::string wal_link; // where pg_wal led; empty when it was a directory

    SnapshotTotals totals;             // without stored_bytes
    std::uint64_t bytes_from_disk = 0; // read from files, pages that were read again included
    std::uint64_t rewritten_bytes = 0;
    std::uint64_t vanished = 0; // files that were gone when they were to be read: dropped relations
    // Why `changes` were not used at all; empty when they were, or none were given.
    std::string everything_read_because;
    std::uint64_t files_without_map = 0; // the parent's map of a large file could not be used

    PageFindings pages;                   // to be settled when the backup has stopped
    std::vector<CaptureProblem> problems; // the first thousand; `failed` in totals counts them all
    std::vector<UnnamedChange> unnamed;   // the first thousand
    std::uint64_t unnamed_changes = 0;
};

// Captures. `stop` saves a checkpoint, takes the run's intent back and throws Error(cancelled). Throws what
// ends the whole capture: no data directory, another cluster, a control file that never is right. What
// happens to single files is in the result.
//
// The order is that of paths; global/pg_control is read last, as PostgreSQL wants it of a standby, and again
// until its sum is right. Files that vanish, shrink or grow meanwhile are what the log's replay expects.
ClusterCapture capture_cluster(BackupRun& run, const ClusterCaptureRequest& request, Progress& progress,
                               std::stop_token stop);

// Saves `root`, the tree as far as it came, if there is one, for the next run to go on from. What hinders it
// is logged.
void save_unfinished(BackupRun& run, const std::function<std::optional<NodeRef>()>& root, Logger& logger);

// What `capturer` captures; when that was stopped, what it has of the tree so far is saved.
template <typename Capturer>
auto capture_or_save(Capturer& capturer, BackupRun& run, Logger& logger, const std::stop_token& stop) {
    try {
        return capturer.capture();
    } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled && stop.stop_requested())
            save_unfinished(run, [&] { return capturer.root_so_far(); }, logger);
        throw;
    }
}

// The entry of a file in the tree of an unfinished run, which has `part` of it.
TreeEntry unfinished_entry(TreeEntry entry, FileContentResult part);

// A small file of the tree's folder /holdfast.
struct ExtraFile {
    std::string name;
    Bytes content;
};

// The root of the snapshot's tree: /data, /holdfast with `extras` (ascending by name), /tablespaces.
NodeRef finish_cluster_tree(BackupRun& run, const ClusterCapture& capture, std::span<const ExtraFile> extras,
                            Timestamp time);

} // namespace holdfast::postgres
