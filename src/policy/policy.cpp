#include "policy/policy.h"

#include "base/error.h"

#include <algorithm>

#include <fmt/format.h>

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

void doubt_windows(const Policy& policy, const BackupPlan& plan, Timestamp from,
                   std::vector<std::string>& doubts) {
    const auto* window = std::get_if<WeeklyWindow>(&plan.rhythm);
    for (const WeeklyWindow& maintenance : policy.maintenance) {
        std::optional<TimeSpan> overlap;
        if (window != nullptr) {
            overlap = first_overlap(*window, policy.zone, maintenance, policy.zone, from);
        } else {
            const Schedule schedule = policy.schedule_of(plan, policy.name);
            for (auto run = schedule.next(from); run && run->begin < from + std::chrono::days(366);
                 run = schedule.next(run->nominal)) {
                if (!maintenance.contains(run->begin, policy.zone)) continue;
                overlap = TimeSpan{run->begin, run->begin};
                break;
            }
        }
        if (!overlap) continue;
        doubts.push_back(fmt::format("backups '{}' run in the maintenance window '{}', first at {}",
                                     plan.name, maintenance.text(), to_rfc3339(overlap->begin)));
    }
}

} // namespace

bool Policy::covers(std::string_view source) const {
    return std::ranges::any_of(sources, [&](const std::string& pattern) { return fits(pattern, source); });
}

Schedule Policy::schedule_of(const BackupPlan& plan, std::string_view source) const {
    return {plan.rhythm, zone, fmt::format("{}/{}", source, plan.name), plan.jitter};
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

std::vector<std::string> doubts_about(const Policy& policy, Timestamp from) {
    std::vector<std::string> doubts;
    for (const BackupPlan& plan : policy.backups) doubt_windows(policy, plan, from, doubts);
    const Objectives& objectives = policy.objectives;
    const auto& window = policy.retention.window;
    if (objectives.window && (!window || window->longest() < objectives.window->longest())) {
        doubts.push_back(
            fmt::format("any second of {} is promised, and {} kept restorable", objectives.window->text(),
                        window ? fmt::format("{} are", window->text()) : std::string("none is")));
    }
    if (objectives.backup_age) {
        // Two runs of the most frequent backups, with their delays, must not lie further apart.
        std::optional<Duration> longest_pause;
        for (const BackupPlan& plan : policy.backups) {
            const Schedule schedule = policy.schedule_of(plan, policy.name);
            Duration pause{};
            auto run = schedule.next(from);
            for (int i = 0; run && i < 60; ++i) {
                const auto following = schedule.next(run->nominal);
                if (!following) break;
                pause = std::max(pause, following->begin - run->begin);
                run = following;
            }
            longest_pause = std::min(longest_pause.value_or(Duration::max()), pause);
        }
        if (!longest_pause || *longest_pause > objectives.backup_age->longest()) {
            doubts.push_back(fmt::format("a backup not older than {} is promised, and none is made so often",
                                         objectives.backup_age->text()));
        }
    }
    const auto& rules = policy.retention.rules;
    if (!policy.backups.empty() && rules.empty() && policy.retention.classes.empty() && !window)
        doubts.emplace_back("there are no rules for retention: only the newest snapshot is kept");
    return doubts;
}

} // namespace holdfast
