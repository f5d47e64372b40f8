#include "execution/plan_runner.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace holdfast {

namespace {

// How late a run may begin that is not to be made up for: a round of the server, and a busy machine.
constexpr Duration still_in_time = std::chrono::minutes(5);

using Identity = std::tuple<std::string, std::string, std::string>;

Identity identity_of(const PlannedOperation& planned) {
    return {planned.kind, planned.source.value_or(""), planned.plan};
}

} // namespace

void PlanRunner::plan(std::vector<PlannedOperation> planned) {
    std::map<Identity, std::optional<Timestamp>> last;
    for (const Entry& entry : entries_) last[identity_of(entry.planned)] = entry.last;
    entries_.clear();
    for (PlannedOperation& one : planned) {
        const auto before = last.find(identity_of(one));
        Entry entry{std::move(one), before == last.end() ? std::nullopt : before->second, std::nullopt};
        if (entry.last) go_on_from(entry, *entry.last);
        entries_.push_back(std::move(entry));
    }
}

PlanRunner::Round PlanRunner::round() {
    Round result;
    const Timestamp now = clock_.now();
    for (Entry& entry : entries_) {
        if (!entry.last) look_up(entry);
        if (!entry.last) continue;
        // A clock that was ahead: what it made happen early is no reason to do nothing until then.
        if (*entry.last > now) go_on_from(entry, now);
        if (entry.next && *entry.next <= now && ask_for_due(entry, now)) ++result.asked_for;
        if (entry.next && (!result.next || *entry.next < *result.next)) result.next = entry.next;
    }
    return result;
}

void PlanRunner::look_up(Entry& entry) {
    const PlannedOperation& planned = entry.planned;
    auto last = operations_.last_nominal(planned.kind, planned.source, planned.plan);
    if (!last) last = planned.known_before;
    if (last) go_on_from(entry, *last);
}

void PlanRunner::go_on_from(Entry& entry, Timestamp last) {
    const auto next = entry.planned.schedule.next(last);
    entry.next = next ? std::optional(next->begin) : std::nullopt;
    entry.last = last;
}

bool PlanRunner::ask_for_due(Entry& entry, Timestamp now) {
    const PlannedOperation& planned = entry.planned;
    // However many were missed, it is one.
    const auto run = planned.schedule.due(*entry.last, now);
    if (!run) return false;
    bool asked = false;
    if (!planned.catch_up && now - run->begin > still_in_time) {
        logger_.warning("a planned run was missed, and is not made up for",
                        {{"plan", planned.plan},
                         {"source", planned.source.value_or("")},
                         {"nominal", to_rfc3339(run->nominal)}});
    } else {
        asked = operations_
                    .add({.kind = planned.kind,
                          .source = planned.source,
                          .request = planned.request,
                          .requested_by = "plan " + planned.plan,
                          .plan = planned.plan,
                          .nominal = run->nominal,
                          .run_after = now})
                    .has_value();
    }
    go_on_from(entry, run->nominal);
    return asked;
}

} // namespace holdfast
