#include "postgres/recovery/snapshot_logs.h"

#include "base/error.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace holdfast::postgres {

const SnapshotLogs::Branch* SnapshotLogs::branch_of(const Snapshot& snapshot,
                                                    const TimelineHistory& history) const {
    const auto found = branches_.find({snapshot.id, history.timeline()});
    return found == branches_.end() ? nullptr : &found->second;
}

void SnapshotLogs::require_chosen() const {
    for (const std::string& name : chosen_) {
        if (std::ranges::any_of(source_.slices,
                                [&](const LogSliceId& slice) { return branch_name(slice) == name; }))
            continue;
        throw Error(ErrorCode::usage, fmt::format("the log of {} has no branch '{}'", source_.name, name),
                    "'holdfast window' and 'holdfast wal verify' name those that there are");
    }
}

RecoverySource SnapshotLogs::source_of(const Snapshot& snapshot, const TimelineHistory& history) const {
    RecoverySource own = source_;
    if (const Branch* branch = branch_of(snapshot, history)) own.drop(branch->aside);
    own.details = details_of(snapshot, history);
    return own;
}

SliceDetails SnapshotLogs::details_of(const Snapshot& snapshot, const TimelineHistory& history) const {
    const Branch* branch = branch_of(snapshot, history);
    if (branch == nullptr || !branch->stop || branch->stop->cut_short.empty()) return source_.details;
    return [told = source_.details, cut = branch->stop->cut_short](const LogSliceId& slice) {
        const auto found = cut.find(slice);
        return found == cut.end() ? told(slice) : found->second;
    };
}

LogChain SnapshotLogs::log_of(const Snapshot& snapshot, const TimelineHistory& history, Lsn until) const {
    const Lsn begin{snapshot.log->range.begin};
    const Branch* branch = branch_of(snapshot, history);
    if (branch == nullptr) return follow_log(source_, history, begin, until);
    const Lsn stop = branch->stop ? std::max(branch->stop->at, begin) : end_of_time;
    LogChain chain = branch->aside.empty()
                         ? follow_log(source_, history, begin, std::min(until, stop))
                         : follow_log(source_of(snapshot, history), history, begin, std::min(until, stop));
    if (until > stop && chain.end == stop) {
        chain.next = stop;
        chain.why_it_ends = branch->stop->why;
    }
    return chain;
}

LogChain SnapshotLogs::settled_log_of(const Snapshot& snapshot, const TimelineHistory& history) {
    for (;;) {
        LogChain chain = log_of(snapshot, history);
        if (settle(snapshot, history, chain)) return chain;
    }
}

std::vector<LogSliceId> SnapshotLogs::of_several_runs(const LogChain& part) const {
    std::set<TimelineId> timelines;
    for (const PathStep& step : part.steps) timelines.insert(step.slice.range.branch);
    std::vector<LogSliceId> found;
    for (const TimelineId timeline : timelines) {
        for (const auto& group : overlapping_slices(source_.slices, timeline, part.begin, part.end))
            if (are_of_several_runs(group)) found.insert(found.end(), group.begin(), group.end());
    }
    return found;
}

bool SnapshotLogs::settle(const Snapshot& snapshot, const TimelineHistory& history, const LogChain& part) {
    std::vector<LogSliceId> used = part.slices();
    const std::vector<LogSliceId> overlapping = of_several_runs(part);
    used.insert(used.end(), overlapping.begin(), overlapping.end());
    std::ranges::sort(used);
    used.erase(std::ranges::unique(used).begin(), used.end());
    if (drop_refused(used)) return false;
    // All rivals are looked at again, though some were put aside: what follows on what depends on all of
    // them.
    BranchVerdict verdict = judge_branches(source_, snapshot, part.steps, chosen_);
    Branch& branch = branches_[{snapshot.id, history.timeline()}];
    const bool news = !std::ranges::includes(branch.aside, verdict.aside) ||
                      verdict.off_choice != branch.off_choice ||
                      (verdict.stop && (!branch.stop || verdict.stop->at < branch.stop->at));
    branch.off_choice = verdict.off_choice;
    branch.forks = std::move(verdict.forks);
    branch.aside.insert(branch.aside.end(), verdict.aside.begin(), verdict.aside.end());
    std::ranges::sort(branch.aside);
    branch.aside.erase(std::ranges::unique(branch.aside).begin(), branch.aside.end());
    if (news && verdict.stop) branch.stop = std::move(verdict.stop);
    return !news;
}

bool SnapshotLogs::is_off_choice(const Snapshot& snapshot, const TimelineHistory& history) const {
    if (!chosen_.empty()) {
        // What lies behind all that was chosen may be of any branch.
        for (const std::string& name : chosen_) {
            const bool behind = std::ranges::none_of(source_.slices, [&](const LogSliceId& slice) {
                return slice.range.end > snapshot.log->range.begin && branch_name(slice) == name;
            });
            if (behind) return true;
        }
    }
    const Branch* branch = branch_of(snapshot, history);
    return branch != nullptr && branch->off_choice;
}

std::vector<LogFork> SnapshotLogs::forks_of(const Snapshot& snapshot, const TimelineHistory& history) const {
    const Branch* branch = branch_of(snapshot, history);
    if (branch == nullptr) return {};
    std::vector<LogFork> forks = branch->forks;
    if (branch->stop && branch->stop->fork) forks.push_back(*branch->stop->fork);
    return forks;
}

std::vector<LogSliceId> SnapshotLogs::aside_of(const Snapshot& snapshot,
                                               const TimelineHistory& history) const {
    const Branch* branch = branch_of(snapshot, history);
    return branch == nullptr ? std::vector<LogSliceId>() : branch->aside;
}

} // namespace holdfast::postgres
