// The snapshots that exist.
#pragma once

#include "repository/protocol/context.h"
#include "repository/protocol/snapshot.h"

#include <set>
#include <string>
#include <vector>

namespace holdfast {

// Committed and not forgotten, in the order of time. Objects that are damaged or that nobody trusted signed
// are left out and named in `problems`.
struct SnapshotList {
    std::vector<Snapshot> snapshots;
    std::vector<std::string> problems;
    // Commits that this key ring has no key for: a write-only machine reads its own alone.
    std::size_t unreadable = 0;
    // Commits that are damaged: they count as snapshots whose content is not known.
    std::vector<std::string> damaged;
    // Commits of snapshots that somebody forgot.
    std::vector<RunId> forgotten;
    // Names that fences have taken.
    std::vector<RunId> fenced;
};
SnapshotList list_snapshots(const RepositoryContext& context);

// The newest checkpoint of each run that is not in `ended`, newest first. Damaged ones, and those that the
// store got before `not_before` by its own clock, are passed over.
std::vector<Snapshot> list_checkpoints(const RepositoryContext& context, const std::set<RunId>& ended,
                                       Timestamp not_before = Timestamp::min());

// Says that snapshots are no longer wanted. Their data goes with the next collection. All are looked at
// before the first is forgotten, so that when one is refused nothing has changed: with Error(usage) a
// snapshot that is held, and the last ones of a source unless `even_the_last`; with Error(not_found) when
// there is no such snapshot.
void forget_snapshots(const RepositoryContext& context, const std::set<RunId>& ids, bool even_the_last);
void forget_snapshot(const RepositoryContext& context, const RunId& id, bool even_the_last);

} // namespace holdfast
