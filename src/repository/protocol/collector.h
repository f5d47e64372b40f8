// Garbage collection without a lock (docs/format.md, section 10).
#pragma once

#include "base/progress.h"
#include "repository/protocol/context.h"
#include "repository/protocol/log_floors.h"

#include <cstdint>
#include <map>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

namespace holdfast {

struct CollectorSettings {
    // How long an open run without a new beat is waited for before it is fenced. By the store's clock.
    Duration patience = std::chrono::hours(24);
    // The same for another collection, which is stopped then, if that is shorter. Stopping one that lives
    // costs only its work.
    Duration collector_patience = std::chrono::minutes(10);
    // How long to wait in all for open runs that still beat; when it ends nothing is deleted and the answer
    // says so.
    Duration wait = Duration::zero();
    // How often to look whether they have ended.
    Duration poll_interval = std::chrono::seconds(10);
    // Of our own sign of life; zero: no thread puts beats (simulations).
    Duration beat_interval = std::chrono::minutes(1);
    // What checkpoints refer to is kept this long.
    Duration keep_checkpoints = std::chrono::hours(24 * 7);
    // Packs with dead bytes are rewritten, worst first, until no more than this part of what is kept is dead
    // …
    double tolerated_dead_part = 0.03;
    // … or this much has been copied.
    std::uint64_t rewrite_budget_bytes = 4ull << 30;
    // New packs end near this size.
    std::uint64_t pack_bytes = 16ull << 20;
    // So many small index segments of about one size become one.
    std::size_t index_segments_joined = 8;
    // Where what is too large for memory waits.
    std::string temporary_directory = "/tmp";
    // How many requests that only ask are under way together; with one, no threads are started.
    unsigned requests_at_once = 8;
    bool dry_run = false;
    // Logs that are deleted as a whole, if no snapshot names them. All others of which there is no snapshot
    // stay: there may soon be the first.
    std::set<ArchiveId> drop_logs;
    // Logs that are let go up to a position, also between snapshots: of what ends there or before, only what
    // a snapshot needs for itself stays. Must leave what leads from the snapshots that are to be carried
    // forward.
    LogFloors released_logs{};
    // Logs that are fetched in pieces that begin at multiples of so many bytes: what a snapshot needs of one
    // is whole pieces.
    std::map<ArchiveId, std::uint64_t> log_units{};
};

struct CollectorReport {
    std::uint64_t packs_before = 0, bytes_before = 0;
    std::uint64_t deleted_packs = 0, deleted_bytes = 0;
    std::uint64_t rewritten_packs = 0, copied_bytes = 0;
    std::uint64_t live_bytes = 0;      // stored bytes of reachable frames
    std::uint64_t dead_bytes_kept = 0; // in packs that were not rewritten, or are locked
    std::uint64_t locked_packs = 0;    // that should go and cannot yet
    std::uint64_t deleted_index_segments = 0, deleted_snapshots = 0;
    std::uint64_t deleted_log_slices = 0, deleted_log_bytes = 0;
    // Logs that no snapshot names, which stay, and their bytes.
    std::map<ArchiveId, std::uint64_t> logs_without_snapshot;
    std::vector<std::string> waited_for, fenced;
    std::vector<std::string> problems; // what was found damaged or untrusted, and left alone
    bool postponed = false;            // runs were still open; nothing was deleted
};

// Collects, or says what it would do (`dry_run`: then nothing at all is written). Needs the structure keys,
// no content key. Throws Error(unsupported) on a store without put-if-absent or consistency, Error(corrupt)
// when a snapshot's tree cannot be read (nothing is deleted then), Error(wrong_key) when one may not be read,
// Error(fenced) when another collector stopped this one, Error(cancelled) when `stop` was requested: then it
// has either taken back all it did, or it has decided, and the hint says that the next collection goes on.
// Killed at any point, it leaves what the next collection finishes or takes back.
CollectorReport collect_garbage(const RepositoryContext& context, const CollectorSettings& settings,
                                Progress& progress, std::stop_token stop = {});

} // namespace holdfast
