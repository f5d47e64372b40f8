#include "postgres/recovery/log_chain.h"

#include <algorithm>

namespace holdfast::postgres {

namespace {

// The timelines of a history that may have the byte at `position`, the one that it belongs to first.
std::vector<TimelineId> timelines_with(const TimelineHistory& history, Lsn position) {
    std::vector<TimelineId> all;
    const TimelineId own = history.timeline_at(position);
    for (const TimelineHistory::Ancestor& ancestor : history.ancestors()) {
        if (ancestor.timeline >= own) all.push_back(ancestor.timeline);
    }
    if (history.timeline() >= own) all.push_back(history.timeline());
    return all;
}

Lsn end_of(const TimelineHistory& history, TimelineId timeline) {
    const auto part = history.part_of(timeline);
    return part && part->end ? *part->end : end_of_time;
}

std::optional<Lsn> first_behind(const RecoverySource& source, const TimelineHistory& history, Lsn position) {
    std::optional<Lsn> first;
    for (const LogSliceId& slice : source.slices) {
        if (slice.range.begin == slice.range.end || slice.range.begin <= position.value) continue;
        if (!history.contains(slice.range.branch) ||
            slice.range.begin >= end_of(history, slice.range.branch).value)
            continue;
        if (!first || slice.range.begin < first->value) first = Lsn{slice.range.begin};
    }
    return first;
}

} // namespace

Timestamp from_unix_microseconds(std::int64_t time_us) {
    return Timestamp(std::chrono::microseconds(time_us));
}

std::vector<LogSliceId> LogChain::slices() const {
    std::vector<LogSliceId> all;
    for (const PathStep& step : steps) all.push_back(step.slice);
    return all;
}

LogChain LogChain::up_to(Lsn position) const {
    LogChain part{{}, begin, begin, {}, {}};
    for (const PathStep& step : steps) {
        if (step.begin >= position.value) break;
        part.steps.push_back(step);
        part.end = Lsn{step.end};
    }
    return part;
}

LogChain follow_log(const RecoverySource& source, const TimelineHistory& history, Lsn begin, Lsn until) {
    LogChain chain{{}, begin, begin, {}, {}};
    const auto go_on = [&] {
        for (const TimelineId timeline : timelines_with(history, chain.end)) {
            const Lsn limit = std::min(until, end_of(history, timeline));
            if (limit <= chain.end) continue;
            const std::vector<PathStep> path =
                find_path(source.slices, {timeline, chain.end.value, limit.value});
            if (path.empty()) continue;
            chain.steps.insert(chain.steps.end(), path.begin(), path.end());
            chain.end = Lsn{path.back().end};
            return true;
        }
        return false;
    };
    while (chain.end < until && go_on()) {
    }
    if (chain.end < until) {
        chain.next = first_behind(source, history, chain.end);
        if (chain.next && *chain.next >= until) chain.next.reset();
    }
    return chain;
}

std::optional<LastCommit> last_commit_of(const SliceDetails& of, std::span<const PathStep> steps) {
    for (std::size_t i = steps.size(); i-- > 0;) {
        const WalDetails details = of(steps[i].slice);
        // Of a timeline that was left, the slice may have commits that do not count.
        if (details.last_commit_us != 0 && details.last_commit_end.value <= steps[i].end)
            return LastCommit{from_unix_microseconds(details.last_commit_us), details.last_commit_end};
    }
    return std::nullopt;
}

std::optional<Lsn> last_record_of(const SliceDetails& of, std::span<const PathStep> steps) {
    if (steps.empty()) return std::nullopt;
    const WalDetails details = of(steps.back().slice);
    // Of a timeline that was left, the slice may have records behind the end of its step.
    const bool says = details.broken.empty() && details.last && details.last.value < steps.back().end;
    return says ? std::optional(details.last) : std::nullopt;
}

std::optional<std::size_t> step_with_commit_after(const SliceDetails& of, std::span<const PathStep> steps,
                                                  Timestamp time) {
    // Of a timeline that was left, the slice may have commits behind the end of its step: no server sees
    // them.
    const auto tells = [&](std::size_t i) {
        const WalDetails details = of(steps[i].slice);
        return details.last_commit_us != 0 && details.last_commit_end.value <= steps[i].end;
    };
    const auto is_after = [&](std::size_t i) {
        return tells(i) && from_unix_microseconds(of(steps[i].slice).last_commit_us) > time;
    };
    // Slices without commits say nothing: the answer of the next one that has some counts for them.
    std::size_t low = 0, high = steps.size();
    while (low < high) {
        std::size_t middle = low + (high - low) / 2;
        std::size_t with_commits = middle;
        while (with_commits < high && !tells(with_commits)) ++with_commits;
        if (with_commits == high || is_after(with_commits)) {
            high = middle;
        } else {
            low = with_commits + 1;
        }
    }
    while (low < steps.size() && !is_after(low)) ++low;
    if (low == steps.size()) return std::nullopt;
    return low;
}

} // namespace holdfast::postgres
