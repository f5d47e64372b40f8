// The snapshots that exist.
#pragma once

#include "base/error.h"
#include "repository/protocol/context.h"
#include "repository/protocol/snapshot.h"

#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace holdfast {

// Committed and not forgotten, in the order of time. Objects that are damaged, that nobody trusted signed, or
// that say of themselves what their writer may not say (of which domain they are) are left out and named in
// `problems`.
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

// That a snapshot is no longer wanted, as somebody said who may.
struct Forget {
    RunId snapshot;
    SlotId writer;
    std::optional<Timestamp> time; // nothing when it does not say so in a way that is understood
};
// Those of snapshots that `wanted` asks for, also of snapshots that are gone. What does not count is left
// out, and told to `problem`.
std::vector<Forget> list_forgets(const RepositoryContext& context,
                                 const std::function<bool(const RunId&)>& wanted,
                                 const std::function<void(const Error&)>& problem);
// Those of these names, which are in the store.
std::vector<Forget> read_forgets(const RepositoryContext& context, const std::vector<std::string>& names,
                                 const std::function<void(const Error&)>& problem);

// The newest of a source; null when there is none. Domains may call different sources by one name: the own
// one's counts, else that of the only domain that has any. Throws Error(usage) when several others have,
// because nobody may pass his for another's.
const Snapshot* newest_of(std::span<const Snapshot> snapshots, const std::string& source,
                          const std::string& own_domain);

// What a commit says, though it may be forgotten; nothing when it is gone, is a fence, or does not count.
// Throws Error(corrupt) when it is damaged, Error(wrong_key) when this holder may not read it.
std::optional<Snapshot> read_snapshot(const RepositoryContext& context, const RunId& id);

// From where on a backup may begin in the log of an archive: what lies before, a collection may be deleting.
// Nothing when it may begin anywhere, because `list` names no snapshot with this log. The list must have been
// made behind the run's intent (W3).
std::optional<std::uint64_t> least_log_begin(const SnapshotList& list, const ArchiveId& archive);

// The newest checkpoint of each run that is not in `ended`, newest first. Damaged ones, and those that the
// store got before `not_before` by its own clock, are passed over.
std::vector<Snapshot> list_checkpoints(const RepositoryContext& context, const std::set<RunId>& ended,
                                       Timestamp not_before = Timestamp::min());

// Says that snapshots are no longer wanted. Their data goes with the next collection. All are looked at
// before the first is forgotten, so that when one is refused nothing has changed: with Error(usage) a
// snapshot that is held, and the last ones of a source unless `even_the_last`; with Error(not_found) when
// there is no such snapshot; and with what require_all_statements() throws.
void forget_snapshots(const RepositoryContext& context, const std::set<RunId>& ids, bool even_the_last);
void forget_snapshot(const RepositoryContext& context, const RunId& id, bool even_the_last);
// Says so of those that are not there, though others speak of them: nobody misses them any more, and should
// their commits come back, they do not count. All are looked at before the first is forgotten. Throws
// Error(usage) when one is there, is held, or is a run that has not ended; one that no snapshot followed is
// of a source that nobody knows, and counts as held while any source is.
void forget_lost_snapshots(const RepositoryContext& context, const std::set<RunId>& ids);
void forget_lost_snapshot(const RepositoryContext& context, const RunId& id);

} // namespace holdfast
