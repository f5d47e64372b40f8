#include "service/policy_plan_json.h"

#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

using nlohmann::json;

json time_json(const std::optional<Timestamp>& time) { return time ? json(to_rfc3339(*time)) : json(); }

json effects_json(const std::vector<PolicyPlan::Effect>& effects) {
    json all = json::array();
    for (const PolicyPlan::Effect& effect : effects) {
        all.push_back({{"id", effect.snapshot},
                       {"time", to_rfc3339(effect.time)},
                       {"source", effect.source},
                       {"domain", effect.domain},
                       {"goes_before", time_json(effect.before)},
                       {"goes_after", time_json(effect.after)},
                       {"goes_now", effect.goes_now},
                       {"why_before", effect.why_before},
                       {"why_after", effect.why_after}});
    }
    return all;
}

json runs_json(const std::vector<Schedule::Run>& runs) {
    json all = json::array();
    for (const Schedule::Run& run : runs) all.push_back(to_rfc3339(run.begin));
    return all;
}

} // namespace

json to_json(const PolicyPlan& plan) {
    json policies = json::array(), backups = json::array();
    for (const PolicyChange& change : plan.policies)
        policies.push_back({{"name", change.name}, {"change", to_string(change.kind)}});
    for (const BackupChange& change : plan.backups) {
        backups.push_back({{"source", change.source},
                           {"plan", change.plan},
                           {"change", to_string(change.kind)},
                           {"before", runs_json(change.before)},
                           {"after", runs_json(change.after)}});
    }
    return {{"policies", std::move(policies)},
            {"sooner", effects_json(plan.sooner)},
            {"later", effects_json(plan.later)},
            {"backups", std::move(backups)},
            {"keeps_less", plan.losses}};
}

} // namespace holdfast
