#include "base/json_text.h"
#include "policy/policy_change.h"
#include "policy/policy_form.h"
#include "server/look_ahead.h"
#include "server/policy_routes.h"
#include "service/policy_plan_json.h"

#include <algorithm>
#include <memory>

#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

using api::Call;
using api::Permission;
using api::Response;
using nlohmann::json;

constexpr std::uint64_t most_runs = 1000;
constexpr std::uint64_t usual_runs = 3;

Response answer(const json& value) { return api::json_response(200, json_text(value)); }

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

// What applying the file would change, without looking ahead.
json change_json(const PoliciesInEffect& in_effect, const ServerDeclaration& declaration) {
    json policies = json::array();
    for (const PolicyChange& change : in_effect.changes_of(declaration))
        policies.push_back({{"name", change.name}, {"change", to_string(change.kind)}});
    return {{"policies", std::move(policies)}, {"keeps_less", in_effect.losses_of(declaration)}};
}

// Whether it is asked what becomes of snapshots and backups, too.
bool looks_ahead(const api::Request& request) {
    return request.parameter("horizon").has_value() || request.parameter("runs").has_value();
}

// The same members as `holdfast plan --json`: what a server goes by was taken up before.
json plan_json(const Call& call, const PolicyServices& services, const ServerDeclaration& declaration) {
    const Timestamp now = services.clock.now();
    json value =
        to_json(services.in_effect.plan_of(declaration,
                                           {.now = now,
                                            .horizon = asked_horizon(call, now),
                                            .runs = call.number("runs", 0, most_runs).value_or(usual_runs)},
                                           services.stop));
    value["applied_before"] = true;
    value["problems"] = services.observer.require_view()->measurements.problems;
    return value;
}

// Of all that will take effect, and not of policies alone.
std::string etag_of(const ServerDeclaration& declaration) {
    return api::etag_of(policies_text(declaration.policies) + declaration.text);
}

Response changes(Call& call, const PolicyServices& services) {
    call.expect_parameters({"horizon", "runs"});
    const ServerDeclaration declaration = services.declare_again();
    json value = looks_ahead(call.request()) ? plan_json(call, services, declaration)
                                             : change_json(services.in_effect, declaration);
    const std::string etag = etag_of(declaration);
    value["etag"] = etag;
    Response response = answer(value);
    response.headers.set("ETag", etag);
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
    call.expect_no_body();
    const ServerDeclaration declaration = services.declare_again();
    if (const auto problem = call.unless_seen(etag_of(declaration)))
        return api::problem_response(*problem, call.request().path, {});
    services.in_effect.require_clear(declaration);
    const json change = change_json(services.in_effect, declaration);
    // The file is not read by who demanded alone.
    if (!change["keeps_less"].empty()) call.require_demanded(services.in_effect.judged_by(declaration));
    json details = change;
    details["policies"] = json::parse(services.in_effect.changes_json(declaration));
    call.in_trail("configuration.apply", "holdfast.toml", json_text(details),
                  [&] { write_applied_policies(services.settings.state_directory, declaration.policies); });
    return call.change([&](Database&) { return answer(change); });
}

} // namespace

void add_configuration_routes(api::Router& router, const PolicyServices& services) {
    const auto shared = std::make_shared<const PolicyServices>(services);
    router.add({.method = "GET",
                .path = "/v1/configuration",
                .name = "getConfiguration",
                .permission = Permission::read,
                .handle = [shared](Call& call) { return configuration(call, *shared); }});
    router.add({.method = "GET",
                .path = "/v1/configuration/changes",
                .name = "getConfigurationChanges",
                .permission = Permission::configure,
                .handle = [shared](Call& call) { return changes(call, *shared); },
                .takes_long = looks_ahead});
    router.add({.method = "POST",
                .path = "/v1/configuration/apply",
                .name = "applyConfiguration",
                .permission = Permission::configure,
                .handle = [shared](Call& call) { return apply(call, *shared); },
                .demand = [shared](const Call& call) { return demand_of_applying(call, *shared); }});
}

} // namespace holdfast
