#include "policy/policy.h"

#include "base/close_names.h"
#include "base/error.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace holdfast {

namespace {

// Whether `name` is what `pattern` says, where a `*` stands for any characters.
bool fits(std::string_view pattern, std::string_view name) {
    std::size_t p = 0, n = 0;
    std::size_t star = std::string_view::npos, resume = 0;
    while (n < name.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            resume = n;
        } else if (p < pattern.size() && pattern[p] == name[n]) {
            ++p;
            ++n;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            n = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

bool names(const Policy& policy, std::string_view source) {
    return std::ranges::find(policy.sources, source) != policy.sources.end();
}

// The longest time from one run to the next of any of the plans, in ten days and around each change of the
// clocks; nothing when there are no runs. Delays are taken at their worst.
std::optional<Duration> longest_pause(const Policy& policy, Timestamp from) {
    std::optional<Duration> longest;
    std::vector<Timestamp> starts{from};
    for (int day = 1; day < 366; ++day) {
        const auto offset = [&](Timestamp time) {
            return policy.zone.local(time).time_since_epoch() -
                   std::chrono::floor<std::chrono::seconds>(time).time_since_epoch();
        };
        const Timestamp at = from + std::chrono::days(day);
        if (offset(at) != offset(at - std::chrono::days(1))) starts.push_back(at - std::chrono::days(3));
    }
    for (const Timestamp start : starts) {
        const Timestamp end = start + std::chrono::days(start == from ? 10 : 5);
        std::vector<std::pair<Timestamp, Duration>> runs; // and how much later they may begin
        for (const BackupPlan& plan : policy.backups) {
            const Schedule schedule = policy.schedule_of(plan, policy.name);
            for (auto run = schedule.next(start); run; run = schedule.next(run->nominal)) {
                runs.emplace_back(run->nominal, schedule.longest_delay());
                if (run->nominal >= end) break;
            }
        }
        // A run is followed by the first one that has begun for certain.
        std::ranges::sort(runs);
        std::optional<Timestamp> followed;
        for (auto run = runs.rbegin(); run != runs.rend(); ++run) {
            if (followed && run->first < end)
                longest = std::max(longest.value_or(Duration::zero()), Duration(*followed - run->first));
            const Timestamp certain = run->first + run->second;
            followed = followed ? std::min(*followed, certain) : certain;
        }
        if (runs.size() == 1)
            longest = std::max(longest.value_or(Duration::zero()), Duration(runs[0].first - start));
    }
    return longest;
}

} // namespace

bool Policy::covers(std::string_view source) const {
    return std::ranges::any_of(sources, [&](const std::string& pattern) { return fits(pattern, source); });
}

Schedule Policy::schedule_of(const BackupPlan& plan, std::string_view source) const {
    return {plan.rhythm, zone, fmt::format("{}/{}", source, plan.name), plan.jitter};
}

Schedule Policy::schedule_of(const VerificationPlan& plan, std::string_view source) const {
    return {plan.rhythm, zone, fmt::format("{}/verify {}", source, plan.name), plan.jitter};
}

const Policy* policy_for(const std::vector<Policy>& policies, std::string_view source) {
    const Policy* found = nullptr;
    for (const bool by_name : {true, false}) {
        for (const Policy& policy : policies) {
            if (by_name ? !names(policy, source) : !policy.covers(source)) continue;
            if (found != nullptr) {
                throw Error(ErrorCode::usage,
                            fmt::format("the policies '{}' and '{}' both cover the source '{}'", found->name,
                                        policy.name, source),
                            "name the source in exactly one of them");
            }
            found = &policy;
        }
        if (found != nullptr) return found;
    }
    return nullptr;
}

std::set<std::string> known_classes(const std::vector<Policy>& policies) {
    std::set<std::string> known;
    for (const std::string_view name :
         {class_full, class_incremental, class_manual, class_pre_maintenance, class_forensic})
        known.emplace(name);
    for (const Policy& policy : policies) {
        for (const auto& [name, rules] : policy.retention.classes) known.insert(name);
        for (const BackupPlan& plan : policy.backups)
            if (!plan.class_name.empty()) known.insert(plan.class_name);
    }
    return known;
}

void require_known_class(const std::string& name, const std::set<std::string>& known) {
    if (known.contains(name)) return;
    const auto close = close_names(name, {known.begin(), known.end()});
    throw Error(ErrorCode::usage, fmt::format("there is no class '{}'", name),
                fmt::format("{}there are {}, and those that policies name",
                            close.empty() ? "" : fmt::format("did you mean '{}'? ", close.front()),
                            fmt::join(known, ", ")));
}

std::vector<MaintenanceOverlap> maintenance_overlaps(const Policy& policy, const Schedule& schedule,
                                                     Timestamp from) {
    std::vector<MaintenanceOverlap> overlaps;
    const auto* window = std::get_if<WeeklyWindow>(&schedule.rhythm());
    for (const WeeklyWindow& maintenance : policy.maintenance) {
        std::optional<TimeSpan> overlap;
        if (window != nullptr) {
            overlap = first_overlap(*window, schedule.zone(), maintenance, policy.zone, from);
        } else {
            for (TimeSpan span = maintenance.next(from, policy.zone);
                 !overlap && span.begin < from + std::chrono::days(366);
                 span = maintenance.next(span.begin, policy.zone)) {
                const auto run = schedule.next(span.begin - std::chrono::nanoseconds(1));
                if (run && span.contains(run->begin)) overlap = TimeSpan{run->begin, run->begin};
            }
        }
        if (overlap) overlaps.push_back({maintenance.text(), *overlap});
    }
    return overlaps;
}

std::vector<std::string> doubts_about(const Policy& policy, Timestamp from) {
    std::vector<std::string> doubts;
    for (const BackupPlan& plan : policy.backups) {
        for (const MaintenanceOverlap& overlap :
             maintenance_overlaps(policy, policy.schedule_of(plan, policy.name), from))
            doubts.push_back(fmt::format("backups '{}' run in the maintenance window '{}', first at {}",
                                         plan.name, overlap.window, to_rfc3339(overlap.first.begin)));
    }
    const Objectives& objectives = policy.objectives;
    const auto& window = policy.retention.window;
    if (objectives.window && (!window || window->longest() < objectives.window->longest())) {
        doubts.push_back(
            fmt::format("any second of {} is promised, and {} kept restorable", objectives.window->text(),
                        window ? fmt::format("{} are", window->text()) : std::string("none is")));
    }
    if (objectives.backup_age) {
        const std::optional<Duration> pause = longest_pause(policy, from);
        if (!pause || *pause > objectives.backup_age->longest()) {
            doubts.push_back(
                fmt::format("a backup not older than {} is promised, and {}", objectives.backup_age->text(),
                            pause ? fmt::format("they lie up to {} hours apart",
                                                std::chrono::ceil<std::chrono::hours>(*pause).count())
                                  : std::string("none is made")));
        }
    }
    const auto& rules = policy.retention.rules;
    if (!policy.backups.empty() && rules.empty() && policy.retention.classes.empty() && !window)
        doubts.emplace_back("there are no rules for retention: all snapshots stay");
    return doubts;
}

} // namespace holdfast
