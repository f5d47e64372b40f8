#include "postgres/recovery/recovery_plan.h"

#include "base/error.h"
#include "documents/entry_name.h"
#include "postgres/recovery/log_search.h"
#include "postgres/recovery/recovery_window.h"
#include "postgres/wal/wal_reader.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

template <typename... Handlers>
struct Overloaded : Handlers... {
    using Handlers::operator()...;
};

Lsn end_of(const Snapshot& snapshot) { return Lsn{snapshot.log->range.end}; }

bool is_complete(const Snapshot& snapshot) { return snapshot.state == SnapshotState::complete; }

// One plan, once.
class Planner {
  public:
    Planner(const SnapshotLogs& logs, const RecoveryRequest& request)
        : logs_(logs), source_(logs.source()), request_(request), history_(choose_history()) {
        plan_.timeline = history_.timeline();
        plan_.target = plan_.requested = request.target;
        plan_.inclusive = request.inclusive;
    }

    RecoveryPlan plan() {
        std::visit([&](const auto& target) { plan_for(target); }, request_.target);
        plan_.snapshot_bytes = plan_.snapshot.totals.bytes;
        plan_.log_bytes = plan_.log.bytes();
        if (!is_complete(plan_.snapshot)) {
            plan_.notes.push_back(
                fmt::format("snapshot {} is {}: not everything could be read when it was made",
                            plan_.snapshot.id.hex(), to_string(plan_.snapshot.state)));
        }
        return std::move(plan_);
    }

    // By their names.
    const std::vector<LogSliceId>& looked_at() const { return looked_at_; }
    const TimelineHistory& history() const { return history_; }

  private:
    // --- The history, and the snapshots on it -------------------------------------------------------------

    TimelineHistory choose_history() {
        if (source_.snapshots.empty()) {
            throw Error(ErrorCode::not_found,
                        fmt::format("source {} has no snapshot to recover from", source_.name),
                        "make one with 'holdfast backup'");
        }
        const Snapshot* wanted = requested_snapshot();
        if (request_.timeline) {
            TimelineHistory history = source_.history_of(*request_.timeline);
            if (snapshots_of(history).empty()) {
                throw Error(ErrorCode::not_found,
                            fmt::format("no snapshot of source {}{} leads to timeline {}", source_.name,
                                        wanted != nullptr ? " but the one that is named" : "",
                                        *request_.timeline),
                            "leave the timeline out, or name another");
            }
            return history;
        }
        if (wanted != nullptr && std::holds_alternative<RecoverToConsistency>(request_.target))
            return source_.history_of(wanted->log->range.branch);
        std::optional<TimelineId> passed_over;
        for (const TimelineId timeline : source_.timelines()) {
            TimelineHistory history = source_.history_of(timeline);
            if (snapshots_of(history).empty()) {
                if (!passed_over) passed_over = timeline;
                continue;
            }
            if (passed_over) {
                plan_.notes.push_back(
                    fmt::format("no snapshot leads to timeline {}, the newest; timeline {} is used",
                                *passed_over, timeline));
            }
            return history;
        }
        return source_.history_of(source_.snapshots.front().log->range.branch);
    }

    const Snapshot* requested_snapshot() const {
        if (!request_.snapshot) return nullptr;
        const auto found = std::ranges::find(source_.snapshots, *request_.snapshot, &Snapshot::id);
        if (found == source_.snapshots.end()) {
            throw Error(ErrorCode::not_found,
                        fmt::format("source {} has no snapshot {}", source_.name, request_.snapshot->hex()));
        }
        return &*found;
    }

    // Those that may be used, by where they end.
    std::vector<const Snapshot*> snapshots_of(const TimelineHistory& history) const {
        std::vector<const Snapshot*> found = snapshots_on(source_, history);
        if (request_.snapshot)
            std::erase_if(found,
                          [&](const Snapshot* snapshot) { return snapshot->id != *request_.snapshot; });
        std::erase_if(found,
                      [&](const Snapshot* snapshot) { return logs_.is_off_choice(*snapshot, history); });
        return found;
    }

    // The newest for which `fits`, but one that is complete if the log leads from it past those that are not;
    // null when there is none.
    template <typename Fits>
    const Snapshot* newest(Fits fits) {
        const std::vector<const Snapshot*> snapshots = snapshots_of(history_);
        const auto find = [&](auto&& wanted) -> const Snapshot* {
            const auto found = std::find_if(snapshots.rbegin(), snapshots.rend(),
                                            [&](const Snapshot* snapshot) { return wanted(*snapshot); });
            return found == snapshots.rend() ? nullptr : *found;
        };
        const Snapshot* any = find(fits);
        const Snapshot* whole =
            find([&](const Snapshot& snapshot) { return is_complete(snapshot) && fits(snapshot); });
        if (any == whole || whole == nullptr) return any;
        const LogChain chain = logs_.log_of(*whole, history_, Lsn{any->log->range.end});
        looked_at_ = chain.slices();
        if (chain.end < end_of(*any)) return any;
        plan_.notes.push_back(
            fmt::format("snapshot {} is newer, and {}: {}, which is complete, is used, with the log since",
                        any->id.hex(), to_string(any->state), whole->id.hex()));
        return whole;
    }
    const Snapshot& newest() {
        const Snapshot* found = newest([](const Snapshot&) { return true; });
        if (found == nullptr) refuse_choice();
        return *found;
    }
    [[noreturn]] void refuse_choice() const {
        throw Error(
            ErrorCode::not_found,
            fmt::format("no snapshot of source {}{} leads to the branch of the log that was chosen",
                        source_.name, request_.snapshot ? " but another than the one that is named" : ""),
            "leave out --snapshot, or choose the branch on which it was made; 'holdfast window' names them");
    }

    // Uses `snapshot`, with all log from there on.
    void use(const Snapshot& snapshot) {
        plan_.snapshot = snapshot;
        plan_.log = logs_.log_of(snapshot, history_);
        details_ = logs_.details_of(snapshot, history_);
        looked_at_ = plan_.log.slices();
        if (plan_.log.end < end_of(snapshot)) {
            refuse(fmt::format("snapshot {} needs the log up to {}, and {}", snapshot.id.hex(),
                               end_of(snapshot).str(), missing()));
        }
        if (const auto commit = last_commit_of(details_, plan_.log.steps)) plan_.last_commit = commit->time;
    }

    // --- By target ---------------------------------------------------------------------------------------

    void plan_for(const RecoverToEnd&) {
        use(newest());
        // To stop before the gap without a word would lose what lies behind it.
        if (plan_.log.next) refuse(missing());
        if (const auto commit = last_commit_of(details_, plan_.log.steps))
            plan_.must_reach = std::max(commit->end, end_of(plan_.snapshot));
    }

    void plan_for(const RecoverToConsistency&) {
        use(newest());
        plan_for_consistency();
        plan_.last_commit.reset();
    }

    void plan_for(const RecoverToTime& target) {
        const Snapshot* snapshot =
            newest([&](const Snapshot& found) { return is_before(found, target.time); });
        if (snapshot == nullptr) refuse("no snapshot was complete by then");
        use(*snapshot);
        // The server holds times in microseconds, rounded so that they say the same of every commit.
        if (const auto step = step_with_commit_after(details_, plan_.log.steps, target.time)) {
            plan_.log = plan_.log.up_to(Lsn{plan_.log.steps[*step].end});
            return;
        }
        const auto commit = last_commit_of(details_, plan_.log.steps);
        if (commit && commit->time == target.time && commit->end > end_of(*snapshot)) {
            if (plan_.inclusive) stop_behind(commit->end);
            return;
        }
        if (snapshot->end == target.time && plan_.inclusive) return plan_for_consistency();
        if (plan_.log.next) refuse(missing());
        refuse(commit ? fmt::format("the newest commit that is stored is of {}", to_rfc3339(commit->time))
                      : "no commit is stored that is as late");
    }

    void plan_for(const RecoverToLsn& target) {
        if (!target.position) throw Error(ErrorCode::usage, "0/0 is no position to recover to");
        const Snapshot* snapshot =
            newest([&](const Snapshot& found) { return end_of(found) <= target.position; });
        if (snapshot == nullptr) refuse("no snapshot is consistent before it");
        use(*snapshot);
        if (target.position > plan_.log.end)
            refuse(plan_.log.next ? missing()
                                  : fmt::format("the log that is stored ends at {}", plan_.log.end.str()));
        if (target.position == end_of(*snapshot) && !plan_.inclusive) return plan_for_consistency();
        const auto last = last_record_of(details_, plan_.log.steps);
        if (last && target.position > *last) {
            plan_.target = RecoverToLsn{*last};
            plan_.inclusive = true;
            return;
        }
        stop_at(target.position);
    }

    void plan_for(const RecoverToXid& target) {
        const TransactionSearch search = log_search().transaction(target.xid);
        if (!search.found && search.unread.empty())
            refuse_unfound("has no end of this transaction", search.ends);
        if (!search.found) {
            use(newest());
            plan_.notes.push_back(fmt::format(
                "where the transaction ended is not known ({}): the newest snapshot is used, and the "
                "recovery fails if it had ended before that; then name an earlier snapshot",
                search.unread));
            return;
        }
        const TransactionPlace& place = *search.found;
        const Snapshot* snapshot = newest([&](const Snapshot& found) {
            return end_of(found) <= place.start && logs_.log_of(found, history_).end >= place.end;
        });
        if (snapshot == nullptr) {
            refuse(
                fmt::format("it ended at {}, and no snapshot from before it leads there", place.start.str()));
        }
        use(*snapshot);
        plan_.log = plan_.log.up_to(place.end);
        plan_.notes.push_back(fmt::format("the transaction was {} at {}",
                                          place.committed ? "committed" : "rolled back", place.start.str()));
    }

    void plan_for(const RecoverToName& target) {
        const ArchivedRestorePoint point = find_point(target.name);
        const Snapshot* snapshot = newest([&](const Snapshot& found) {
            return end_of(found) <= point.at &&
                   log_search().has_point(found, logs_.log_of(found, history_), point);
        });
        if (snapshot == nullptr) {
            refuse(fmt::format("it was made at {}, and no snapshot from before it leads there",
                               to_rfc3339(from_unix_microseconds(point.time_us))));
        }
        use(*snapshot);
        plan_.log = plan_.log.up_to(point.at);
        plan_.notes.push_back(fmt::format("the restore point was made at {}, at {}",
                                          to_rfc3339(from_unix_microseconds(point.time_us)), point.at.str()));
    }

    // --- Details -----------------------------------------------------------------------------------------

    // A server stops there only when it sees another record. Behind a snapshot of a standby there may be none
    // in the log that is used.
    void plan_for_consistency() {
        const Lsn end = end_of(plan_.snapshot);
        plan_.log = plan_.log.up_to(end);
        plan_.target = RecoverToConsistency{};
        const auto last = last_record_of(details_, plan_.log.steps);
        if (!last || *last >= end) return;
        const Lsn behind = details_(plan_.log.steps.back().slice).records_to;
        if (behind < end && !same_record_start(behind, end)) return;
        if (*last > plan_.log.begin) {
            plan_.target = RecoverToLsn{*last};
            plan_.inclusive = true;
        } else {
            // A checkpoint at a shutdown, where the backup began: nothing is replayed, so no target is met.
            plan_.target = RecoverToEnd{};
            plan_.must_reach = end;
        }
    }

    // Before or behind the record at `position`, or the first one behind it: a server goes on, and fails,
    // until it has read one from there on whole.
    void stop_at(Lsn position) {
        Lsn end = position + 1;
        for (const PathStep& step : plan_.log.steps) {
            if (step.end <= position.value) continue;
            end = Lsn{step.end};
            const Lsn last = details_(step.slice).last;
            if (last >= position && last < end) break;
        }
        plan_.log = plan_.log.up_to(end);
    }

    // Whether a server finds no commit that is later than `time` before the snapshot is consistent.
    bool is_before(const Snapshot& snapshot, Timestamp time) const {
        if (snapshot.end > time) return false;
        // The clock of who made the snapshot may be another than the server's: what was committed before its
        // end is held against the time too.
        for (auto slice = source_.slices.rbegin(); slice != source_.slices.rend(); ++slice) {
            const LogRange& range = slice->range;
            if (range.branch != snapshot.log->range.branch || range.end > snapshot.log->range.end) continue;
            const std::int64_t commit_us = source_.details(*slice).last_commit_us;
            if (commit_us != 0) return from_unix_microseconds(commit_us) <= time;
        }
        return true;
    }

    // Everything up to the end of a record that no other may follow.
    void stop_behind(Lsn end) {
        const auto last = last_record_of(details_, plan_.log.steps);
        if (last && *last >= end) {
            plan_.target = RecoverToLsn{end};
            plan_.inclusive = false;
        } else if (last) {
            plan_.target = RecoverToLsn{*last};
            plan_.inclusive = true;
        } else {
            plan_.target = RecoverToEnd{};
            plan_.must_reach = end;
        }
    }

    [[noreturn]] void refuse_unfound(std::string_view what, const std::string& ends) const {
        refuse(fmt::format("the log that snapshots lead to {}{}{}", what, ends.empty() ? "" : "; ", ends));
    }

    LogSearch log_search() const { return {logs_, history_, snapshots_of(history_)}; }

    ArchivedRestorePoint find_point(const std::string& name) {
        const auto [found, ends] = log_search().points(name, looked_at_);
        if (found.empty()) refuse_unfound("has no restore point of this name", ends);
        if (found.size() == 1) return found.front();
        std::string list;
        for (const ArchivedRestorePoint& point : found) {
            list += fmt::format("{}{} ({})", list.empty() ? "" : ", ", point.at.str(),
                                to_rfc3339(from_unix_microseconds(point.time_us)));
        }
        throw Error(ErrorCode::usage,
                    fmt::format("there are {} restore points '{}': {}", found.size(), printable(name), list),
                    "name the position of the one that is meant, exclusive; where they are on several "
                    "branches of the log, choose one of these with --branch");
    }

    std::string missing() const {
        if (!plan_.log.why_it_ends.empty()) return plan_.log.why_it_ends;
        if (plan_.log.next && source_.is_released(history_, plan_.log.end, *plan_.log.next))
            return released();
        return plan_.log.next
                   ? fmt::format("the log from {} to {} of timeline {} is missing", plan_.log.end.str(),
                                 plan_.log.next->str(), history_.timeline_at(plan_.log.end))
                   : fmt::format("the log that is stored ends at {}", plan_.log.end.str());
    }

    std::string released() const {
        const RecoveryWindow window = recovery_window(source_, history_.timeline(), request_.branches);
        std::string nearest;
        for (const RecoveryGap& stretch : window.released) {
            if (stretch.begin > plan_.log.end || stretch.end <= plan_.log.end) continue;
            if (stretch.after)
                nearest += fmt::format("; the nearest before it is {}", to_rfc3339(*stretch.after));
            if (stretch.before)
                nearest += fmt::format("; the nearest behind it is {}", to_rfc3339(*stretch.before));
        }
        return fmt::format("the log from {} to {} of timeline {} was released by policy{}",
                           plan_.log.end.str(), plan_.log.next->str(), history_.timeline_at(plan_.log.end),
                           nearest);
    }

    [[noreturn]] void refuse(const std::string& why) const {
        const std::string times =
            fmt::format("can be recovered on timeline {}: {}", history_.timeline(),
                        describe_times(recovery_window(source_, history_.timeline(), request_.branches)));
        throw Error(ErrorCode::not_found,
                    fmt::format("source {} cannot be recovered to {}: {}", source_.name,
                                describe(request_.target), why),
                    plan_.log.why_it_ends.empty() || plan_.log.next == std::nullopt
                        ? times
                        : "choose one with --branch, or a snapshot that was made on it with --snapshot; " +
                              times);
    }

    const SnapshotLogs& logs_;
    const RecoverySource& source_;
    const RecoveryRequest& request_;
    RecoveryPlan plan_;
    SliceDetails details_; // of the log that is used
    std::vector<LogSliceId> looked_at_;
    const TimelineHistory history_;
};

// Whether what the target is has to be looked for in the log.
bool is_looked_for(const RecoveryTarget& target) {
    return std::holds_alternative<RecoverToXid>(target) || std::holds_alternative<RecoverToName>(target);
}

} // namespace

// By names first, which tell of many slices at once; then those that it comes to are asked.
RecoveryPlan plan_recovery(const RecoverySource& source, const RecoveryRequest& request) {
    SnapshotLogs logs(source, request.branches);
    logs.require_chosen();
    std::set<TimelineId> settled;
    for (;;) {
        Planner planner(logs, request);
        if (is_looked_for(request.target) && settled.insert(planner.history().timeline()).second) {
            settle_all(logs, planner.history());
            continue; // which timeline is followed may hang on it
        }
        try {
            RecoveryPlan plan = planner.plan();
            if (!logs.settle(plan.snapshot, planner.history(), plan.log)) continue;
            plan.forks = logs.forks_of(plan.snapshot, planner.history());
            plan.aside = logs.aside_of(plan.snapshot, planner.history());
            for (const LogFork& fork : plan.forks) plan.notes.push_back(describe(fork));
            return plan;
        } catch (const Error& error) {
            if (error.code() != ErrorCode::not_found || !logs.drop_refused(planner.looked_at())) throw;
        }
    }
}

std::string describe(const RecoveryTarget& target) {
    return std::visit(
        Overloaded{
            [](const RecoverToEnd&) { return std::string("the end of the log"); },
            [](const RecoverToConsistency&) { return std::string("the end of a snapshot"); },
            [](const RecoverToTime& to) { return fmt::format("time {}", to_rfc3339(to.time)); },
            [](const RecoverToLsn& to) { return fmt::format("position {}", to.position.str()); },
            [](const RecoverToXid& to) { return fmt::format("transaction {}", to.xid); },
            [](const RecoverToName& to) { return fmt::format("restore point '{}'", printable(to.name)); },
        },
        target);
}

} // namespace holdfast::postgres
