// The log that each snapshot leads to, on its own branch where there are several.
//
// By names first, which tell of many slices at once; what comes of that is settled afterwards, by what those
// slices say that it uses. So who looks for something asks anew until what he found is settled.
#pragma once

#include "postgres/recovery/log_branches.h"

#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace holdfast::postgres {

class SnapshotLogs {
  public:
    // `chosen`: see judge_branches.
    explicit SnapshotLogs(RecoverySource source, std::vector<std::string> chosen = {})
        : source_(std::move(source)), chosen_(std::move(chosen)) {}

    // Throws Error(usage) when there is no slice of what was chosen.
    void require_chosen() const;

    // Without the slices that do not count, as far as they were settled.
    const RecoverySource& source() const { return source_; }
    // Without those of other branches too.
    RecoverySource source_of(const Snapshot& snapshot, const TimelineHistory& history) const;

    // From where the snapshot begins.
    LogChain log_of(const Snapshot& snapshot, const TimelineHistory& history, Lsn until = end_of_time) const;
    // What the slices say of the chain that log_of has given.
    SliceDetails details_of(const Snapshot& snapshot, const TimelineHistory& history) const;

    // True when `part`, which log_of has given, is what it will always be. Asks each slice of it whether it
    // counts, and looks for rivals of them. Throws what the source's functions throw.
    bool settle(const Snapshot& snapshot, const TimelineHistory& history, const LogChain& part);
    // Takes out what does not count of slices that were looked at; false when all does.
    bool drop_refused(std::span<const LogSliceId> used) { return source_.drop_refused(used); }
    // log_of, settled.
    LogChain settled_log_of(const Snapshot& snapshot, const TimelineHistory& history);

    // What was found so far. A snapshot leads to no branch that was chosen:
    bool is_off_choice(const Snapshot& snapshot, const TimelineHistory& history) const;
    std::vector<LogFork> forks_of(const Snapshot& snapshot, const TimelineHistory& history) const;
    std::vector<LogSliceId> aside_of(const Snapshot& snapshot, const TimelineHistory& history) const;

  private:
    struct Branch {
        std::vector<LogSliceId> aside; // sorted
        std::vector<LogFork> forks;
        std::optional<LogStop> stop;
        bool off_choice = false;
    };
    using Key = std::pair<RunId, TimelineId>;

    const Branch* branch_of(const Snapshot& snapshot, const TimelineHistory& history) const;
    std::vector<LogSliceId> of_several_runs(const LogChain& part) const;

    RecoverySource source_;
    const std::vector<std::string> chosen_;
    std::map<Key, Branch> branches_;
};

} // namespace holdfast::postgres
