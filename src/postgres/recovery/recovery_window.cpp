#include "postgres/recovery/recovery_window.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

// What one history yields. The slices that it counts on are added to `used`.
class Ranges {
  public:
    Ranges(const RecoverySource& source, TimelineId timeline, std::vector<LogSliceId>& used)
        : source_(source), history_(source.history_of(timeline)), used_(used) {}

    RecoveryWindow find() {
        for (const Snapshot* snapshot : snapshots_on(source_, history_)) take(*snapshot);
        close();
        return std::move(window_);
    }

  private:
    void take(const Snapshot& snapshot) {
        const LogRange& log = snapshot.log->range;
        // What carries an earlier snapshot past this one carries this one too.
        if (open_ && log.begin >= open_->begin.value && log.end <= open_->end.value)
            return window_.ranges.back().snapshots.push_back(snapshot.id);
        const LogChain chain = follow_log(source_, history_, Lsn{log.begin});
        std::ranges::copy(chain.slices(), std::back_inserter(used_));
        if (chain.end.value < log.end) {
            window_.without_log.push_back(snapshot.id);
            if (!open_ && window_.ranges.empty()) first_broken_ = chain;
            return;
        }
        close_before(snapshot);
        open_ = chain;
        const LogChain behind = follow_log(source_, history_, Lsn{log.end});
        std::ranges::copy(behind.slices(), std::back_inserter(used_));
        const auto commit = last_commit_of(source_, behind.steps);
        window_.ranges.push_back({history_.timeline(),
                                  Lsn{log.end},
                                  chain.end,
                                  snapshot.end,
                                  std::max(snapshot.end, commit ? commit->time : snapshot.end),
                                  {snapshot.id}});
    }

    void close_before(const Snapshot& next) {
        if (!open_) return;
        const Lsn end = open_->next.value_or(Lsn{next.log->range.begin});
        window_.gaps.push_back(
            {history_.timeline(), open_->end, end, window_.ranges.back().until, next.end, next.id});
        open_.reset();
    }
    void close() {
        const std::optional<LogChain>& last = open_ ? open_ : first_broken_;
        if (!last || !last->next) return;
        RecoveryGap gap{history_.timeline(), last->end, *last->next, {}, {}, {}};
        if (open_) gap.after = window_.ranges.back().until;
        window_.gaps.push_back(gap);
    }

    const RecoverySource& source_;
    const TimelineHistory history_;
    std::vector<LogSliceId>& used_;
    RecoveryWindow window_;
    std::optional<LogChain> open_; // of the last range
    std::optional<LogChain> first_broken_;
};

// Whether all of `range` is told of already by a history that goes on elsewhere.
bool is_shared(const RecoverySource& source, TimelineId timeline, Lsn end,
               std::span<const TimelineId> told_of) {
    const TimelineHistory history = source.history_of(timeline);
    return std::ranges::any_of(told_of, [&](TimelineId other) {
        const auto fork = source.history_of(other).fork_from(history);
        return fork && (!fork->end || end <= *fork->end);
    });
}

std::optional<MissingHistory> missing_history(const RecoverySource& source, TimelineId timeline) {
    if (timeline == 1 || source.histories.contains(timeline)) return std::nullopt;
    MissingHistory missing{timeline, end_of_time, {}, {}};
    for (const LogSliceId& slice : source.slices) {
        if (slice.range.branch == timeline && slice.range.begin < slice.range.end)
            missing.begin = std::min(missing.begin, Lsn{slice.range.begin});
    }
    for (const Snapshot& snapshot : source.snapshots) {
        if (snapshot.log->range.branch != timeline || (missing.before && *missing.before <= snapshot.end))
            continue;
        missing.before = snapshot.end;
        missing.again_from = snapshot.id;
        missing.begin = std::min(missing.begin, Lsn{snapshot.log->range.begin});
    }
    return missing;
}

RecoveryWindow whole_window(const RecoverySource& source, std::vector<LogSliceId>& used) {
    RecoveryWindow all;
    std::vector<TimelineId> told_of;
    for (const TimelineId timeline : source.timelines()) {
        RecoveryWindow window = Ranges(source, timeline, used).find();
        std::erase_if(window.ranges, [&](const RecoverableRange& range) {
            return is_shared(source, timeline, range.end, told_of);
        });
        std::erase_if(window.gaps,
                      [&](const RecoveryGap& gap) { return is_shared(source, timeline, gap.end, told_of); });
        for (const RunId& snapshot : window.without_log) {
            if (std::ranges::find(all.without_log, snapshot) == all.without_log.end())
                all.without_log.push_back(snapshot);
        }
        std::ranges::move(window.ranges, std::back_inserter(all.ranges));
        std::ranges::move(window.gaps, std::back_inserter(all.gaps));
        told_of.push_back(timeline);
        if (const auto missing = missing_history(source, timeline)) all.missing_histories.push_back(*missing);
    }
    return all;
}

// What `find` makes of the slices whose writers count: by names first, then without those that it counted on
// in vain.
template <typename Find>
RecoveryWindow of_what_counts(const RecoverySource& source, Find&& find) {
    RecoverySource counting = source;
    for (;;) {
        std::vector<LogSliceId> used;
        RecoveryWindow window = find(counting, used);
        std::ranges::sort(used);
        used.erase(std::ranges::unique(used).begin(), used.end());
        if (!counting.drop_refused(used)) return window;
    }
}

} // namespace

std::vector<const Snapshot*> snapshots_on(const RecoverySource& source, const TimelineHistory& history) {
    std::vector<const Snapshot*> found;
    for (const Snapshot& snapshot : source.snapshots) {
        const auto part = history.part_of(snapshot.log->range.branch);
        if (part && (!part->end || snapshot.log->range.end <= part->end->value)) found.push_back(&snapshot);
    }
    std::ranges::sort(found, [](const Snapshot* a, const Snapshot* b) {
        if (a->log->range.end != b->log->range.end) return a->log->range.end < b->log->range.end;
        return newer(*b, *a);
    });
    return found;
}

RecoveryWindow recovery_window(const RecoverySource& source, TimelineId timeline) {
    return of_what_counts(source, [&](const RecoverySource& counting, std::vector<LogSliceId>& used) {
        return Ranges(counting, timeline, used).find();
    });
}

RecoveryWindow recovery_window(const RecoverySource& source) { return of_what_counts(source, whole_window); }

std::optional<Timestamp> RecoveryWindow::earliest() const {
    if (ranges.empty()) return std::nullopt;
    return std::ranges::min(ranges, {}, &RecoverableRange::from).from;
}

std::optional<Timestamp> RecoveryWindow::latest() const {
    if (ranges.empty()) return std::nullopt;
    return std::ranges::max(ranges, {}, &RecoverableRange::until).until;
}

std::string describe_times(const RecoveryWindow& window) {
    if (window.ranges.empty()) return "nothing";
    std::vector<RecoverableRange> ranges = window.ranges;
    std::ranges::sort(ranges, {}, &RecoverableRange::from);
    std::string text;
    for (const RecoverableRange& range : ranges) {
        text += fmt::format("{}{} to {}", text.empty() ? "" : "; ", to_rfc3339(range.from),
                            to_rfc3339(range.until));
    }
    return text;
}

} // namespace holdfast::postgres
