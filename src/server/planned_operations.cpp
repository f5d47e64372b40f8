#include "server/planned_operations.h"

#include "policy/policy_change.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

using nlohmann::json;

// A source without a snapshot is backed up at once; one that has some goes on from its newest.
std::optional<Timestamp> known_before(const std::optional<NewestSnapshots>& newest,
                                      const std::string& source) {
    if (!newest) return std::nullopt;
    const auto found = newest->find(source);
    return found == newest->end() ? Timestamp{} : found->second.value_or(Timestamp{});
}

// What was never verified is, as soon as there is something.
std::optional<Timestamp> has_snapshot(const std::optional<NewestSnapshots>& newest,
                                      const std::string& source) {
    return newest && newest->contains(source) ? std::optional(Timestamp{}) : std::nullopt;
}

} // namespace

std::string backup_request(const BackupPlan& plan, const std::string& kind) {
    json request = json::object();
    if (kind == "postgresql") request["type"] = plan.type;
    if (!plan.class_name.empty()) request["class"] = plan.class_name;
    if (plan.keep) request["keep_for"] = plan.keep->text();
    if (!plan.tags.empty()) request["tags"] = plan.tags;
    if (plan.time_limit != Duration{})
        request["time_limit_seconds"] = std::chrono::ceil<std::chrono::seconds>(plan.time_limit).count();
    return request.dump();
}

std::vector<PlannedOperation> planned_operations(const std::vector<Policy>& policies,
                                                 const std::vector<MeasuredSource>& sources,
                                                 const ServerSettings& settings,
                                                 const std::optional<NewestSnapshots>& newest) {
    std::vector<PlannedOperation> planned;
    for (const MeasuredSource& declared : sources) {
        const std::string& source = declared.name;
        const Policy* policy = clear_policy_for(policies, source);
        if (policy == nullptr) continue;
        for (const BackupPlan& plan : policy->backups) {
            planned.push_back({.kind = "backup",
                               .source = source,
                               .plan = fmt::format("{}/{}", policy->name, plan.name),
                               .request = backup_request(plan, declared.kind),
                               .schedule = policy->schedule_of(plan, source),
                               .catch_up = plan.catch_up,
                               .known_before = known_before(newest, source)});
        }
        for (const VerificationPlan& plan : policy->verifications) {
            planned.push_back({.kind = "verify",
                               .source = source,
                               .plan = fmt::format("{}/{}", policy->name, plan.name),
                               .request = json{{"depth", plan.depth}}.dump(),
                               .schedule = policy->schedule_of(plan, source),
                               .known_before = has_snapshot(newest, source)});
        }
    }
    if (settings.retention != "never") {
        planned.push_back({.kind = "retention",
                           .source = std::nullopt,
                           .plan = "retention",
                           .request = "{}",
                           .schedule = {CronExpression::parse(settings.retention), TimeZone(), "retention"},
                           .known_before = Timestamp{}});
    }
    return planned;
}

} // namespace holdfast
