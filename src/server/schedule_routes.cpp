#include "base/error.h"
#include "policy/policy_change.h"
#include "policy/policy_form.h"
#include "server/policy_routes.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

using api::Call;
using api::Permission;
using api::Response;
using nlohmann::json;

constexpr std::uint64_t most_runs = 100;

json time_of(const std::optional<Timestamp>& time) { return time ? json(to_rfc3339(*time)) : json(); }

Response answer(const json& value) {
    return api::json_response(200, value.dump(-1, ' ', false, json::error_handler_t::replace));
}

// By which it is known, and which its place in the list follows from.
std::string key_of(const PlannedOperation& planned) {
    return fmt::format("{}\n{}\n{}", planned.source.value_or(""), planned.kind, planned.plan);
}

json last_json(const std::optional<Operation>& operation) {
    if (!operation) return nullptr;
    return {{"operation", operation->id},
            {"state", to_string(operation->state)},
            {"nominal", time_of(operation->nominal)},
            {"started", time_of(operation->started)},
            {"ended", time_of(operation->ended)}};
}

json schedule_json(const PlannedOperation& planned, const Policy* policy, const PolicyServices& services,
                   std::size_t runs) {
    const Timestamp now = services.clock.now();
    json next = json::array();
    for (const Schedule::Run& run : coming_runs(planned.schedule, now, runs))
        next.push_back({{"nominal", to_rfc3339(run.nominal)}, {"begin", to_rfc3339(run.begin)}});
    json overlaps = json::array();
    if (policy != nullptr)
        for (const MaintenanceOverlap& overlap : maintenance_overlaps(*policy, planned.schedule, now))
            overlaps.push_back({{"window", overlap.window}, {"first", to_rfc3339(overlap.first.begin)}});
    const auto [member, text] = rhythm_member(planned.schedule.rhythm());
    return {{"kind", planned.kind},
            {"source", planned.source ? json(*planned.source) : json()},
            {"plan", planned.plan},
            {"policy", policy != nullptr ? json(policy->name) : json()},
            {"rhythm", {{member, text}}},
            {"time_zone", planned.schedule.zone().name()},
            {"catch_up", planned.catch_up},
            {"next", std::move(next)},
            {"last", last_json(services.operations.last_run(planned.kind, planned.source, planned.plan))},
            {"maintenance_overlaps", std::move(overlaps)}};
}

Response schedules(Call& call, const PolicyServices& services) {
    call.expect_parameters({"source", "runs", "limit", "cursor"});
    const auto source = call.request().parameter("source");
    const std::uint64_t runs = call.number("runs", 0, most_runs).value_or(3);
    const api::Page page = call.page("schedules");
    const std::vector<Policy> policies = services.book.in_force(services.declared());
    auto planned = planned_operations(policies, services.sources(), services.settings, std::nullopt);
    std::erase_if(planned, [&](const PlannedOperation& one) {
        return (source && one.source != *source) || (!page.after.empty() && key_of(one) <= page.after);
    });
    std::ranges::sort(planned, {}, key_of);
    const std::size_t count = std::min<std::size_t>(page.limit, planned.size());
    json items = json::array();
    for (std::size_t i = 0; i < count; ++i) {
        const auto& of = planned[i].source;
        items.push_back(
            schedule_json(planned[i], of ? clear_policy_for(policies, *of) : nullptr, services, runs));
    }
    json next;
    if (count < planned.size()) next = Call::cursor("schedules", key_of(planned[count - 1]));
    return answer({{"items", std::move(items)}, {"next", next}});
}

// B09 of the requirements.
json source_json(const MeasuredSource& source, const Policy* policy, const std::vector<Policy>& declared) {
    json told = {{"source", source.name},    {"kind", source.kind},
                 {"encrypted", true},        {"policy", nullptr},
                 {"origin", nullptr},        {"retention", nullptr},
                 {"objectives", nullptr},    {"time_zone", nullptr},
                 {"backups", json::array()}, {"maintenance_windows", json::array()}};
    if (policy == nullptr) return told;
    const bool of_file = std::ranges::find(declared, policy->name, &Policy::name) != declared.end();
    told["policy"] = policy->name;
    told["origin"] = of_file ? "file" : "api";
    told["retention"] = json::parse(retention_json(policy->retention));
    told["objectives"] = json::parse(objectives_json(policy->objectives));
    told["time_zone"] = policy->zone.name();
    for (const BackupPlan& plan : policy->backups) {
        const auto [member, text] = rhythm_member(plan.rhythm);
        told["backups"].push_back({{"name", plan.name}, {"type", plan.type}, {member, text}});
    }
    for (const WeeklyWindow& window : policy->maintenance)
        told["maintenance_windows"].push_back(window.text());
    return told;
}

Response configuration(Call& call, const PolicyServices& services) {
    call.expect_parameters({"source"});
    const auto wanted = call.request().parameter("source");
    const std::vector<Policy> declared = services.declared(), policies = services.book.in_force(declared);
    json sources = json::array();
    for (const MeasuredSource& source : services.sources())
        if (!wanted || *wanted == source.name)
            sources.push_back(source_json(source, clear_policy_for(policies, source.name), declared));
    const std::string why = services.in_effect.why_retention_waits();
    return answer({{"sources", std::move(sources)},
                   {"retention",
                    {{"enforced", services.settings.retention},
                     {"time_zone", "UTC"},
                     {"waits", why.empty() ? json() : json(why)}}}});
}

// What applying the file would change, without looking ahead: that is what `holdfast plan` does.
json change_json(const PoliciesInEffect& in_effect, const ServerDeclaration& declaration) {
    json policies = json::array();
    for (const PolicyChange& change : in_effect.changes_of(declaration))
        policies.push_back({{"name", change.name}, {"change", to_string(change.kind)}});
    return {{"policies", std::move(policies)}, {"keeps_less", in_effect.losses_of(declaration)}};
}

// Of all that will take effect, and not of policies alone.
std::string etag_of(const ServerDeclaration& declaration) {
    return api::etag_of(policies_text(declaration.policies) + declaration.text);
}

Response changes(Call& call, const PolicyServices& services) {
    call.expect_parameters({});
    const ServerDeclaration declaration = services.declare_again();
    Response response = answer(change_json(services.in_effect, declaration));
    response.headers.set("ETag", etag_of(declaration));
    return response;
}

std::optional<api::Demand> demand_of_applying(const Call& call, const PolicyServices& services) {
    const ServerDeclaration declaration = services.declare_again();
    if (call.unless_seen(etag_of(declaration))) return std::nullopt; // nothing will come of it
    if (services.in_effect.losses_of(declaration).empty()) return std::nullopt;
    return api::Demand{.permission = Permission::remove,
                       .action = action_of_keeping_less,
                       .judged_by = services.in_effect.judged_by(declaration)};
}

// As `holdfast apply` on this machine: the server's next round takes the file up.
Response apply(Call& call, const PolicyServices& services) {
    call.expect_parameters({});
    call.form().expect_no_more();
    const ServerDeclaration declaration = services.declare_again();
    if (const auto problem = call.unless_seen(etag_of(declaration)))
        return api::problem_response(*problem, call.request().path, {});
    const json change = change_json(services.in_effect, declaration);
    // The file is not read by who demanded alone.
    if (!change["keeps_less"].empty()) call.require_demanded(services.in_effect.judged_by(declaration));
    call.in_trail("configuration.apply", "holdfast.toml",
                  change.dump(-1, ' ', false, json::error_handler_t::replace),
                  [&] { write_applied_policies(services.settings.state_directory, declaration.policies); });
    return call.change([&](Database&) { return answer(change); });
}

} // namespace

void add_schedule_routes(api::Router& router, const PolicyServices& services) {
    const auto shared = std::make_shared<const PolicyServices>(services);
    router.add({.method = "GET",
                .path = "/v1/schedules",
                .name = "listSchedules",
                .permission = Permission::read,
                .handle = [shared](Call& call) { return schedules(call, *shared); }});
    router.add({.method = "GET",
                .path = "/v1/configuration",
                .name = "getConfiguration",
                .permission = Permission::read,
                .handle = [shared](Call& call) { return configuration(call, *shared); }});
    router.add({.method = "GET",
                .path = "/v1/configuration/changes",
                .name = "getConfigurationChanges",
                .permission = Permission::configure,
                .handle = [shared](Call& call) { return changes(call, *shared); }});
    router.add({.method = "POST",
                .path = "/v1/configuration/apply",
                .name = "applyConfiguration",
                .permission = Permission::configure,
                .handle = [shared](Call& call) { return apply(call, *shared); },
                .demand = [shared](const Call& call) { return demand_of_applying(call, *shared); }});
}

} // namespace holdfast
