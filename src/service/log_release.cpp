#include "service/log_release.h"

#include "base/error.h"
#include "postgres/recovery/recovery_source.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>

namespace holdfast {

namespace {

using postgres::Lsn;
using postgres::RecoverySource;
using postgres::TimelineHistory;
using postgres::TimelineId;

constexpr Lsn log_end{UINT64_MAX};

bool has_missing_history(const RecoverySource& log) {
    return std::ranges::any_of(log.timelines(), [&](TimelineId timeline) {
        return timeline != 1 && !log.histories.contains(timeline);
    });
}

// From where on each timeline is needed.
using Needed = std::map<TimelineId, Lsn>;

// What leads to the end of `history` from `begin` on.
void need(Needed& needed, const TimelineHistory& history, Lsn begin) {
    const auto add = [&](TimelineId timeline) {
        const auto [known, first] = needed.emplace(timeline, begin);
        if (!first) known->second = std::min(known->second, begin);
    };
    for (const TimelineHistory::Ancestor& ancestor : history.ancestors())
        if (ancestor.end > begin) add(ancestor.timeline);
    add(history.timeline());
}

// Servers fetch whole segments. 0 when no slice says how long these are.
std::uint64_t segment_bytes_of(const RecoverySource& log) {
    for (const LogSliceId& slice : log.slices)
        if (const std::uint64_t bytes = log.details(slice).segment_bytes; bytes != 0) return bytes;
    return 0;
}

// Where the stretch `number` begins to be needed. One that no good snapshot begins is needed as a whole.
Lsn begin_of(const SourceSnapshots& source, std::size_t number, const std::optional<std::size_t>& anchor) {
    if (anchor) return Lsn{source.snapshots[*anchor].snapshot.log->range.begin};
    Lsn begin = log_end;
    for (std::size_t i = 0; i < source.snapshots.size(); ++i) {
        const auto& stretches = source.subjects[i].stretches;
        if (std::ranges::find(stretches, number, &RetentionSubject::Stretch::number) != stretches.end())
            begin = std::min(begin, Lsn{source.snapshots[i].snapshot.log->range.begin});
    }
    return begin;
}

// Of a timeline to which nothing within the window leads: where it ends, unless it has a commit from within.
// Log that is still being written there may be of use with the next snapshot.
std::optional<Lsn> end_of_unneeded(const RecoverySource& log, TimelineId timeline,
                                   const RetentionPolicy& policy, Timestamp now) {
    std::vector<LogSliceId> slices;
    for (const LogSliceId& slice : log.slices)
        if (slice.range.branch == timeline && slice.range.begin < slice.range.end) slices.push_back(slice);
    std::ranges::sort(slices, std::greater{}, [](const LogSliceId& slice) { return slice.range.end; });
    Lsn end;
    for (const LogSliceId& slice : slices) {
        end = std::max(end, Lsn{slice.range.end});
        const std::int64_t commit_us = log.details(slice).last_commit_us;
        if (commit_us == 0) continue;
        const Timestamp commit{std::chrono::microseconds(commit_us)};
        if (policy.window->after(commit, policy.zone) > now) return std::nullopt;
        break;
    }
    // A timeline that left it may have the rest of the last segment.
    for (const auto& [_, history] : log.histories) {
        for (const TimelineHistory::Ancestor& ancestor : history.ancestors())
            if (ancestor.timeline == timeline) end = std::max(end, ancestor.end);
    }
    return end;
}

} // namespace

LogFloors released_logs(const SourceSnapshots& source, const RetentionPolicy& policy, Timestamp now) {
    LogFloors floors;
    std::map<std::shared_ptr<const RecoverySource>, Needed> logs;
    for (const auto& [number, anchor] : window_beginnings(policy, source.subjects, now)) {
        const SourceSnapshots::Stretch& stretch = source.stretches[number];
        need(logs[stretch.log], stretch.log->history_of(stretch.timeline), begin_of(source, number, anchor));
    }
    for (const auto& [log, needed] : logs) {
        const std::uint64_t segment_bytes = segment_bytes_of(*log);
        if (has_missing_history(*log) || segment_bytes == 0) continue;
        for (const TimelineId timeline : log->timelines()) {
            const auto from = needed.find(timeline);
            const auto floor = from != needed.end()
                                   ? std::optional(Lsn{from->second.value / segment_bytes * segment_bytes})
                                   : end_of_unneeded(*log, timeline, policy, now);
            if (floor && *floor) floors.emplace(LogBranchName{log->archive, timeline}, floor->value);
        }
    }
    return floors;
}

LogRelease log_release(Repository& repository, const std::vector<Policy>& declared) {
    LogRelease release_of;
    const std::vector<Policy> policies =
        policies_in_force(declared, stated_policies(list_statements(repository.context())).policies);
    if (std::ranges::none_of(policies,
                             [](const Policy& policy) { return policy.retention.window.has_value(); }))
        return release_of;
    const RetentionView view = view_retention(repository, declared, std::nullopt);
    if (!view.witness) return release_of;
    try {
        require_all_statements(view.statements);
        require_believable_clock(repository, *view.witness, view.statements, {});
    } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled || error.retryable()) throw;
        release_of.problems.push_back(
            fmt::format("the log between snapshots, which policies would let go: {}", error.message()));
        return release_of;
    }
    for (const SourceSnapshots& source : view.sources) {
        if (source.policy == nullptr || !source.policy->retention.window || source.stretches.empty())
            continue;
        if (source.blocked.empty()) {
            for (const SourceSnapshots::Stretch& stretch : source.stretches) {
                if (const std::uint64_t bytes = segment_bytes_of(*stretch.log); bytes != 0)
                    release_of.units.emplace(stretch.log->archive, bytes);
            }
            raise_floors(release_of.floors,
                         released_logs(source, source.policy->retention, repository.clock().now()));
        } else {
            release_of.problems.push_back(
                fmt::format("the log between the snapshots of '{}': {}", source.source, source.blocked));
        }
    }
    return release_of;
}

} // namespace holdfast
