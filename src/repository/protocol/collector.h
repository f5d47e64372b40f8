// Garbage collection without a lock (docs/format.md, section 10).
#pragma once

#include "base/progress.h"
#include "repository/protocol/writer_session.h"

namespace holdfast {

struct CollectorSettings {
    // How long an open run without a new beat is waited for before it is fenced.
    Duration patience = std::chrono::hours(24);
    // How long to wait in all for open runs that still beat; when it ends nothing is deleted and the answer says so.
    Duration wait = Duration::zero();
    // Packs with at least this part of dead bytes are rewritten, worst first …
    double rewrite_dead_part = 0.4;
    // … until this much has been copied.
    std::uint64_t rewrite_budget_bytes = 4ull << 30;
    bool dry_run = false;
};

struct CollectorReport {
    std::uint64_t packs_before = 0, bytes_before = 0;
    std::uint64_t deleted_packs = 0, deleted_bytes = 0;
    std::uint64_t rewritten_packs = 0, copied_bytes = 0;
    std::uint64_t live_bytes = 0;          // stored bytes of reachable frames
    std::uint64_t dead_bytes_kept = 0;     // in packs that were not worth rewriting, or are locked
    std::uint64_t deleted_index_segments = 0, deleted_snapshots = 0;
    std::vector<std::string> waited_for, fenced;
    bool postponed = false;                // runs were still open; nothing was deleted
};

// Collects. Throws Error(unsupported) on a store without put-if-absent or consistency, Error(corrupt) when a snapshot's
// tree cannot be read (nothing is deleted then), Error(fenced) when another collector stopped this one.
CollectorReport collect_garbage(const RepositoryContext& context, const CollectorSettings& settings, Progress& progress);

} // namespace holdfast
