// What a recovery to a target uses: which snapshot, which timelines, which log.
#pragma once

#include "postgres/files/recovery_settings.h"
#include "postgres/recovery/log_branches.h"
#include "postgres/recovery/log_chain.h"

namespace holdfast::postgres {

struct RecoveryRequest {
    RecoveryTarget target = RecoverToEnd{};
    bool inclusive = true; // of a time, position or transaction
    // Nothing: the newest timeline that a snapshot leads to; for RecoverToConsistency that of the snapshot.
    std::optional<TimelineId> timeline{};
    // Nothing: the newest complete one that ends at or before the target; a newer one that is not complete
    // only where the log does not lead past it.
    std::optional<RunId> snapshot{};
    // Branches that must be on the way, by name, where the archive has several logs of one timeline: see
    // log_branches.h.
    std::vector<std::string> branches{};
};

struct RecoveryPlan {
    Snapshot snapshot;
    TimelineId timeline = 0; // whose history is followed, always told to the server
    LogChain log;            // from the snapshot's start to where the target is, whole slices
    std::uint64_t snapshot_bytes = 0;
    std::uint64_t log_bytes = 0; // not compressed

    RecoveryTarget requested;
    // What the server is to be told. It ends with an error when its log ends before it has seen something
    // behind the target; so a target at the very end of the log is told as a position, to the same effect.
    RecoveryTarget target;
    bool inclusive = true;
    // A recovery that ends before this has lost something; 0 when nothing is known. For targets that the
    // server does not hold itself to.
    Lsn must_reach;
    // The last commit in the log that there is for the target; empty when none is known.
    std::optional<Timestamp> last_commit;
    // Where the archive has other log beside that of the plan, which the server must not get; and the slices
    // with that, sorted.
    std::vector<LogFork> forks;
    std::vector<LogSliceId> aside;
    // For people: what was decided, and why.
    std::vector<std::string> notes;
};

// The slices that the plan uses are asked whether they count, and it does without those that do not. Throws
// Error(usage) for what cannot be asked, and Error(not_found) when the target cannot be reached: the
// message says why (which log is missing), the hint which times can be had.
RecoveryPlan plan_recovery(const RecoverySource& source, const RecoveryRequest& request);

// "time 2026-11-20T10:00:00Z", "position 0/3000000", "the end of the log" …
std::string describe(const RecoveryTarget& target);

} // namespace holdfast::postgres
