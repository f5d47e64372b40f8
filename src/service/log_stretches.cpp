#include "service/log_stretches.h"

#include "postgres/recovery/log_chain.h"
#include "postgres/recovery/log_versions.h"
#include "postgres/recovery/recovery_window.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace holdfast {

namespace {

using postgres::from_unix_microseconds;
using postgres::Lsn;
using postgres::RecoverySource;
using postgres::RecoveryWindow;
using postgres::TimelineId;

// Of a slice that has commits.
struct Commits {
    LogRange range;
    Timestamp first, last;
    Lsn last_end;
};

std::vector<Commits> commits_of(const RecoverySource& log) {
    if (log.fetch_details) log.fetch_details(log.slices);
    std::vector<Commits> commits;
    for (const LogSliceId& slice : log.slices) {
        if (slice.range.begin == slice.range.end) continue;
        const postgres::WalDetails details = log.details(slice);
        if (details.first_commit_us == 0 || details.last_commit_us == 0) continue;
        commits.push_back({slice.range, from_unix_microseconds(details.first_commit_us),
                           from_unix_microseconds(details.last_commit_us), details.last_commit_end});
    }
    return commits;
}

// Snapshots say themselves when they ended, by a clock that may have been wrong. The log has the server's: of
// the last commit before the end of the snapshot. Of a slice that goes on behind it, the first may be that.
Timestamp end_by_log(const RecoverySource& log, const std::vector<Commits>& commits, const LogRange& own) {
    const postgres::TimelineHistory history = log.history_of(own.branch);
    std::pair<Lsn, Timestamp> last{};
    for (const Commits& slice : commits) {
        const auto part = history.part_of(slice.range.branch);
        if (!part) continue;
        const Lsn end = part->end ? std::min(*part->end, Lsn{own.end}) : Lsn{own.end};
        if (slice.range.begin >= end.value) continue;
        const bool goes_on = slice.last_end > end;
        last = std::max(last, std::pair(goes_on ? end : slice.last_end, goes_on ? slice.first : slice.last));
    }
    return last.second;
}

// The first place where slices of several runs lie over one another.
std::string overlap_in(const RecoverySource& log) {
    for (const TimelineId timeline : log.timelines()) {
        for (const auto& group : overlapping_slices(log.slices, timeline, {}, Lsn{UINT64_MAX})) {
            if (!postgres::are_of_several_runs(group)) continue;
            return fmt::format("timeline {} at {}", timeline, Lsn{group.front().range.begin}.str());
        }
    }
    return {};
}

// Where nobody knows what leads where, nobody knows either what is needed.
std::string why_log_stays(const RecoverySource& log, const RecoveryWindow& window) {
    if (!window.missing_histories.empty())
        return fmt::format("the history file of timeline {} is missing",
                           window.missing_histories.front().timeline);
    if (!window.forks.empty()) return describe(window.forks.front());
    const auto stop =
        std::ranges::find_if(window.gaps, [](const postgres::RecoveryGap& gap) { return !gap.why.empty(); });
    if (stop != window.gaps.end()) return stop->why;
    if (log.part) return {};
    const std::string overlap = overlap_in(log);
    if (overlap.empty()) return {};
    return fmt::format("of {}, several runs have stored log, and this key cannot compare whether it is of "
                       "one server (a key of role full can)",
                       overlap);
}

} // namespace

void add_stretches(SourceSnapshots& source, const std::shared_ptr<const RecoverySource>& log,
                   bool with_times) {
    const RecoveryWindow window = postgres::recovery_window(*log);
    if (std::string why = why_log_stays(*log, window); !why.empty())
        source.staying_logs.emplace(log->archive, std::move(why));
    if (with_times) {
        const std::vector<Commits> commits = commits_of(*log);
        for (std::size_t i = 0; i < source.snapshots.size(); ++i) {
            const auto& own = source.snapshots[i].snapshot.log;
            if (own && own->archive == log->archive)
                source.subjects[i].end =
                    std::max(source.subjects[i].end, end_by_log(*log, commits, own->range));
        }
    }
    const auto newest = std::ranges::max_element(window.ranges, {}, &postgres::RecoverableRange::until);
    for (const postgres::RecoverableRange& range : window.ranges) {
        RetentionSubject::Stretch stretch{.number = source.stretches.size()};
        source.stretches.push_back({log, range.timeline});
        std::vector<RetentionSubject*> on_it;
        Timestamp until = range.until;
        for (std::size_t i = 0; i < source.snapshots.size(); ++i) {
            if (std::ranges::find(range.snapshots, source.snapshots[i].snapshot.id) == range.snapshots.end())
                continue;
            on_it.push_back(&source.subjects[i]);
            if (with_times) until = std::max(until, source.subjects[i].end);
        }
        if (range.until != newest->until) stretch.until = until;
        for (RetentionSubject* subject : on_it) subject->stretches.push_back(stretch);
    }
    for (std::size_t i = 0; i < source.snapshots.size(); ++i) {
        if (std::ranges::find(window.without_log, source.snapshots[i].snapshot.id) !=
            window.without_log.end())
            source.subjects[i].restorable = false;
    }
}

} // namespace holdfast
