#include "postgres/recovery/recovery_window.h"

#include "postgres/recovery/snapshot_logs.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

bool is_told_of(const std::vector<LogFork>& forks, const LogFork& fork) {
    return std::ranges::any_of(forks, [&](const LogFork& known) {
        return known.timeline == fork.timeline && known.at == fork.at && known.decided == fork.decided &&
               known.branches.front().name == fork.branches.front().name;
    });
}

// What one history yields.
class Ranges {
  public:
    Ranges(SnapshotLogs& logs, TimelineId timeline)
        : logs_(logs), history_(logs.source().history_of(timeline)) {}

    RecoveryWindow find() {
        for (const Snapshot* snapshot : snapshots_on(logs_.source(), history_)) {
            if (!logs_.is_off_choice(*snapshot, history_)) take(*snapshot);
        }
        close();
        return std::move(window_);
    }

  private:
    // The log from a snapshot on, and its slices, sorted, where others are beside them.
    struct Open {
        LogChain log;
        std::vector<LogSliceId> slices;
        bool has_rivals = false;
    };

    bool carries(const Open& open, const Snapshot& snapshot) const {
        const LogRange& log = snapshot.log->range;
        return log.begin >= open.log.begin.value && log.end <= open.log.end.value;
    }

    void take(const Snapshot& snapshot) {
        // What carries an earlier snapshot past this one carries this one too.
        if (open_ && !open_->has_rivals && carries(*open_, snapshot))
            return window_.ranges.back().snapshots.push_back(snapshot.id);
        const Open found = open_log(snapshot);
        if (open_ && open_->has_rivals && carries(*open_, snapshot) &&
            std::ranges::includes(open_->slices, found.slices))
            return window_.ranges.back().snapshots.push_back(snapshot.id);
        const LogRange& log = snapshot.log->range;
        if (found.log.end.value < log.end) {
            window_.without_log.push_back(snapshot.id);
            if (!open_ && window_.ranges.empty()) first_broken_ = found.log;
            return;
        }
        close_before(snapshot);
        open_ = found;
        const auto behind =
            std::ranges::find_if(found.log.steps, [&](const PathStep& step) { return step.end > log.end; });
        const auto commit =
            last_commit_of(logs_.details_of(snapshot, history_), {behind, found.log.steps.end()});
        window_.ranges.push_back({history_.timeline(),
                                  Lsn{log.end},
                                  found.log.end,
                                  snapshot.end,
                                  std::max(snapshot.end, commit ? commit->time : snapshot.end),
                                  {snapshot.id}});
    }

    Open open_log(const Snapshot& snapshot) {
        Open found{logs_.settled_log_of(snapshot, history_), {}, false};
        for (LogFork& fork : logs_.forks_of(snapshot, history_)) {
            found.has_rivals = true;
            if (!is_told_of(window_.forks, fork)) window_.forks.push_back(std::move(fork));
        }
        found.slices = found.log.slices();
        std::ranges::sort(found.slices);
        return found;
    }

    void close_before(const Snapshot& next) {
        if (!open_) return;
        const LogChain& log = open_->log;
        const Lsn begin{next.log->range.begin};
        const bool other_branch = open_->has_rivals && log.why_it_ends.empty() && begin < log.end;
        if (!other_branch) {
            const Lsn end = log.why_it_ends.empty() ? log.next.value_or(begin) : std::max(log.end, begin);
            add_gap({history_.timeline(), log.end, end, log.why_it_ends, window_.ranges.back().until,
                     next.end, next.id});
        }
        open_.reset();
    }
    void close() {
        const LogChain* last = open_ ? &open_->log : first_broken_ ? &*first_broken_ : nullptr;
        if (last == nullptr || !last->next) return;
        RecoveryGap gap{history_.timeline(), last->end, *last->next, last->why_it_ends, {}, {}, {}};
        if (open_) gap.after = window_.ranges.back().until;
        add_gap(std::move(gap));
    }
    void add_gap(RecoveryGap gap) {
        const bool released = gap.why.empty() && logs_.source().is_released(history_, gap.begin, gap.end);
        (released ? window_.released : window_.gaps).push_back(std::move(gap));
    }

    SnapshotLogs& logs_;
    const TimelineHistory history_;
    RecoveryWindow window_;
    std::optional<Open> open_; // of the last range
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

RecoveryWindow whole_window(SnapshotLogs& logs) {
    RecoveryWindow all;
    std::vector<TimelineId> told_of;
    for (const TimelineId timeline : logs.source().timelines()) {
        RecoveryWindow window = Ranges(logs, timeline).find();
        const RecoverySource& source = logs.source();
        std::erase_if(window.ranges, [&](const RecoverableRange& range) {
            return is_shared(source, timeline, range.end, told_of);
        });
        for (std::vector<RecoveryGap>* gaps : {&window.gaps, &window.released}) {
            std::erase_if(
                *gaps, [&](const RecoveryGap& gap) { return is_shared(source, timeline, gap.end, told_of); });
        }
        for (const RunId& snapshot : window.without_log) {
            if (std::ranges::find(all.without_log, snapshot) == all.without_log.end())
                all.without_log.push_back(snapshot);
        }
        std::ranges::move(window.ranges, std::back_inserter(all.ranges));
        std::ranges::move(window.gaps, std::back_inserter(all.gaps));
        std::ranges::move(window.released, std::back_inserter(all.released));
        for (LogFork& fork : window.forks)
            if (!is_told_of(all.forks, fork)) all.forks.push_back(std::move(fork));
        told_of.push_back(timeline);
        if (const auto missing = missing_history(source, timeline)) all.missing_histories.push_back(*missing);
    }
    return all;
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

RecoveryWindow recovery_window(const RecoverySource& source, TimelineId timeline,
                               const std::vector<std::string>& branches) {
    SnapshotLogs logs(source, branches);
    return Ranges(logs, timeline).find();
}

RecoveryWindow recovery_window(const RecoverySource& source, const std::vector<std::string>& branches) {
    SnapshotLogs logs(source, branches);
    return whole_window(logs);
}

std::optional<Timestamp> RecoveryWindow::earliest() const {
    if (ranges.empty()) return std::nullopt;
    return std::ranges::min(ranges, {}, &RecoverableRange::from).from;
}

std::optional<Timestamp> RecoveryWindow::continuous_from() const {
    std::optional<Timestamp> from = earliest();
    for (const RecoveryGap& stretch : released)
        if (stretch.before) from = std::max(from, stretch.before);
    return from;
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
