// The times and positions that a source can be recovered to.
#pragma once

#include "postgres/recovery/log_branches.h"
#include "postgres/recovery/log_chain.h"

namespace holdfast::postgres {

// A stretch without a gap, from the end of a snapshot on.
struct RecoverableRange {
    TimelineId timeline = 0;      // the history that leads there
    Lsn begin;                    // where its first snapshot is consistent
    Lsn end;                      // of the log
    Timestamp from;               // when its first snapshot was complete
    Timestamp until;              // its last commit; `from` when there was none since
    std::vector<RunId> snapshots; // oldest first
};

// Log that is missing, or that cannot be followed, and what that makes unreachable.
struct RecoveryGap {
    TimelineId timeline = 0;
    Lsn begin;
    Lsn end;
    std::string why{}; // it cannot be followed, though it is there; empty: it is missing
    // Moments behind `after` and before `before` cannot be had. Empty `after`: nothing before it can be
    // recovered anyway; empty `before`: no snapshot lies behind it.
    std::optional<Timestamp> after;
    std::optional<Timestamp> before;
    std::optional<RunId> again_from; // the snapshot that `before` is of
};

// A timeline of which the archive has log, or a snapshot, and no history file: nobody knows which timeline it
// left, and where. So nothing leads to it from snapshots of others.
struct MissingHistory {
    TimelineId timeline = 0;
    Lsn begin; // of its first log
    // Its own first snapshot; without one, no moment of it can be had.
    std::optional<Timestamp> before;
    std::optional<RunId> again_from;
};

struct RecoveryWindow {
    // The newest timeline's first, ascending within a timeline. Of timelines that were left, only what is not
    // in the newer ones.
    std::vector<RecoverableRange> ranges;
    std::vector<RecoveryGap> gaps;
    // Stretches between snapshots that policies no longer keep the log of. Nothing is wrong with them.
    std::vector<RecoveryGap> released;
    // Snapshots whose own log is not all there: they cannot be restored.
    std::vector<RunId> without_log;
    std::vector<MissingHistory> missing_histories;
    // Where the archive has several logs for the same positions.
    std::vector<LogFork> forks;

    // Nothing is missing that the archive once had, or should have had.
    bool unbroken() const { return gaps.empty() && without_log.empty() && missing_histories.empty(); }
    std::optional<Timestamp> earliest() const;
    // From when on nothing was released: any moment can be had from there to the present, but for gaps.
    std::optional<Timestamp> continuous_from() const;
    std::optional<Timestamp> latest() const;
};

// Each slice that it counts on is asked once whether it counts, which is a small request to the store; where
// slices of several runs overlap, parts of their contents are compared. `branches`: see judge_branches.
RecoveryWindow recovery_window(const RecoverySource& source, const std::vector<std::string>& branches = {});
// What is on the way to `timeline` alone.
RecoveryWindow recovery_window(const RecoverySource& source, TimelineId timeline,
                               const std::vector<std::string>& branches = {});

// The snapshots that lie on a history, by where they end. Pointers into `source`.
std::vector<const Snapshot*> snapshots_on(const RecoverySource& source, const TimelineHistory& history);

// "2026-11-20T10:00:00Z to 2026-11-20T12:00:00Z", several with semicolons; "nothing".
std::string describe_times(const RecoveryWindow& window);

} // namespace holdfast::postgres
