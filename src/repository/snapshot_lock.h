// Locking a snapshot in a store with object lock, so that nobody can destroy what it needs before a date:
// neither who has the store's credentials nor a prune. Where a store keeps versions, a delete still hides
// what is locked.
#pragma once

#include "repository/repository.h"

#include <cstdint>
#include <stop_token>

namespace holdfast {

struct LockSettings {
    // How long a snapshot is locked from its commit on.
    Duration keep{};
    // Governance can be lifted by those whom the store allows that; compliance by nobody, ourselves included.
    RetentionMode mode = RetentionMode::governance;
};

struct LockReport {
    Timestamp until{};
    std::uint64_t packs = 0;      // that the snapshot needs
    std::uint64_t log_slices = 0; // likewise
};

// Throws Error(unsupported) when the store cannot lock.
void require_object_lock(const Repository& repository);

// Locks, until `retention` ends at least, what the tree under `root` needs to be restored: its packs, those
// that a collector has moved them to and the notes that say so, the repository's config, key slots and
// grants. A prune may run beside it: what it moves meanwhile is locked where it goes. Index segments are not
// locked, because they can be made anew from packs. Locks that end later stay. Reads all nodes of the tree,
// unchanged directories too, lists packs and reads verdicts twice at least, and asks the store twice for each
// pack, several at once. Everything must be in the store, and held there by an open run. What a holder who
// reads only his own packs cannot look into is locked whole, and taken for complete. Throws Error(corrupt)
// when something is missing, and what `nodes` throws, which is to end with `stop`.
LockReport lock_tree(const RepositoryContext& repository, NodeReader& nodes, const NodeRef& root,
                     const Retention& retention, std::stop_token stop);

// Locks, until `retention` ends at least, the slices that have the log without which a snapshot is not whole,
// and what is said of its branch. Returns how many. A prune may delete pieces beside it of which a longer
// slice has all: then that one is locked. Throws Error(corrupt) when the archive has not all of the log.
std::uint64_t lock_log(const RepositoryContext& repository, const SnapshotLog& log,
                       const Retention& retention, std::stop_token stop);

} // namespace holdfast
