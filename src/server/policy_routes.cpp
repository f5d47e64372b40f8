#include "server/policy_routes.h"

#include "base/error.h"
#include "policy/policy_change.h"
#include "policy/policy_form.h"
#include "service/policy_plan.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

using api::Call;
using api::Permission;
using api::Response;
using nlohmann::json;

constexpr std::size_t longest_name = 100;

struct Listed {
    Policy policy;
    std::optional<KeptPolicy> kept; // nothing: holdfast.toml declares it
};

std::vector<std::string> source_names(const PolicyServices& services) {
    std::set<std::string> names;
    for (const MeasuredSource& source : services.sources()) names.insert(source.name);
    if (const auto view = services.observer.view())
        for (const SourceMeasurement& source : view->measurements.sources) names.insert(source.facts.source);
    return {names.begin(), names.end()};
}

bool is_declared(const PolicyServices& services, const std::string& name) {
    const std::vector<Policy> declared = services.declared();
    return std::ranges::find(declared, name, &Policy::name) != declared.end();
}

// Those in force, by name.
std::vector<Listed> listed(const PolicyServices& services) {
    std::vector<Listed> all;
    for (Policy& policy : services.declared()) all.push_back({std::move(policy), std::nullopt});
    for (PolicyBook::Entry& entry : services.book.entries())
        if (!is_declared(services, entry.kept.name))
            all.push_back({std::move(entry.policy), std::move(entry.kept)});
    std::ranges::sort(all, {}, [](const Listed& one) { return one.policy.name; });
    return all;
}

std::string etag_of(const Policy& policy) { return api::etag_of(policy_json(policy)); }

// By policy, the sources that go by it.
using Coverage = std::map<std::string, std::vector<std::string>>;

Coverage coverage_by(const std::vector<Policy>& policies, const PolicyServices& services) {
    Coverage coverage;
    for (const std::string& source : source_names(services))
        if (const Policy* policy = clear_policy_for(policies, source))
            coverage[policy->name].push_back(source);
    return coverage;
}

json json_of(const Listed& one, const Coverage& coverage, const PolicyServices& services) {
    const auto covers = coverage.find(one.policy.name);
    return {{"name", one.policy.name},
            {"origin", one.kept ? "api" : "file"},
            {"policy", json::parse(policy_json(one.policy))},
            {"covers", covers == coverage.end() ? json::array() : json(covers->second)},
            {"doubts", doubts_about(one.policy, services.clock.now())},
            {"changed", one.kept ? json(to_rfc3339(one.kept->changed)) : json()},
            {"changed_by", one.kept && !one.kept->changed_by.empty() ? json(one.kept->changed_by) : json()},
            {"etag", etag_of(one.policy)}};
}

Response answer(int status, const json& value) {
    return api::json_response(status, value.dump(-1, ' ', false, json::error_handler_t::replace));
}

Response answer_one(int status, const Listed& one, const std::vector<Policy>& policies,
                    const PolicyServices& services) {
    Response response = answer(status, json_of(one, coverage_by(policies, services), services));
    response.headers.set("ETag", etag_of(one.policy));
    return response;
}

Response list(Call& call, const PolicyServices& services) {
    call.expect_parameters({"limit", "cursor"});
    const api::Page page = call.page("policies");
    const Coverage coverage = coverage_by(services.book.in_force(services.declared()), services);
    json items = json::array();
    json next;
    for (const Listed& one : listed(services)) {
        if (!page.after.empty() && one.policy.name <= page.after) continue;
        if (items.size() == page.limit) {
            next = Call::cursor("policies", items.back()["name"].get<std::string>());
            break;
        }
        items.push_back(json_of(one, coverage, services));
    }
    return answer(200, {{"items", std::move(items)}, {"next", next}});
}

Response get(Call& call, const PolicyServices& services) {
    call.expect_parameters({});
    const std::string& name = call.path_parameter("name");
    for (const Listed& one : listed(services))
        if (one.policy.name == name)
            return answer_one(200, one, services.book.in_force(services.declared()), services);
    throw Error(ErrorCode::not_found, fmt::format("there is no policy '{}'", name));
}

// A policy as a body says it, and its name, which a new one says itself.
struct Asked {
    std::string name;
    std::optional<Policy> policy; // nothing: it is to go
};

void require_name(const std::string& name) {
    const bool fits =
        !name.empty() && name.size() <= longest_name && std::ranges::all_of(name, [](unsigned char letter) {
            return std::isalnum(letter) != 0 || letter == '-' || letter == '_' || letter == '.';
        });
    if (!fits)
        throw Error(ErrorCode::usage, "name: must be of 1 to 100 letters, digits, '-', '_' and '.'")
            .with_field("name");
}

// With paths as the body has them.
Policy parse_body(const std::string& name, const std::string& body) {
    try {
        return parse_policy(name, body);
    } catch (const Error& error) {
        const std::string prefix = "policy." + name + ".";
        if (!error.field().starts_with(prefix)) throw;
        throw Error(error).with_field(error.field().substr(prefix.size()));
    }
}

Asked asked_by(const Call& call) {
    const auto& parameters = call.path_parameters();
    if (const auto name = parameters.find("name"); name != parameters.end()) {
        if (call.request().method == "DELETE") return {name->second, std::nullopt};
        return {name->second, parse_body(name->second, call.request().body)};
    }
    Form form = call.form(); // whose form it has
    const std::string name = form.text("name").value_or("");
    require_name(name);
    json body = json::parse(call.request().body);
    body.erase("name");
    return {name, parse_body(name, body.dump())};
}

std::vector<Policy> in_force_with(const PolicyServices& services, const Asked& asked) {
    std::vector<Policy> policies = services.book.in_force(services.declared());
    std::erase_if(policies, [&](const Policy& policy) { return policy.name == asked.name; });
    if (asked.policy) policies.push_back(*asked.policy);
    return policies;
}

// Keeping less than before may take more than a role.
std::optional<api::Demand> demand(const Call& call, const PolicyServices& services) {
    Asked asked;
    try {
        asked = asked_by(call);
    } catch (const Error&) {
        return std::nullopt; // nothing will come of it
    }
    if (is_declared(services, asked.name)) return std::nullopt;
    const std::vector<Policy> before = services.book.in_force(services.declared()),
                              after = in_force_with(services, asked);
    const auto view = services.observer.view();
    const auto known = std::ranges::find(before, asked.name, &Policy::name);
    const bool less = known != before.end() && asked.policy && !keeps_less(&*known, &*asked.policy).empty();
    if (!less &&
        policy_losses(before, after, view ? view->measurements.retention : std::vector<RetentionSource>{},
                      source_names(services), services.clock.now())
            .empty())
        return std::nullopt;
    return api::Demand{.permission = Permission::remove, .action = action_of_keeping_less};
}

Response refuse_declared(const Call& call, const std::string& name) {
    api::Problem problem = api::problem_of(
        409, fmt::format("the policy '{}' is declared in holdfast.toml, and changed there alone", name));
    problem.code = "declared-in-file";
    problem.hint = "edit the file, see what that does with 'holdfast plan', and 'holdfast apply' it";
    return api::problem_response(problem, call.request().path, {});
}

// Which of two policies a source has must be clear.
void require_clear(const PolicyServices& services, const Asked& asked) {
    const std::vector<Policy> policies = in_force_with(services, asked);
    for (const std::string& source : source_names(services)) {
        try {
            policy_for(policies, source);
        } catch (const Error& error) {
            throw Error(ErrorCode::fenced, error.message(), error.hint());
        }
    }
}

Response change(Call& call, const PolicyServices& services) {
    call.expect_parameters({});
    const Asked asked = asked_by(call);
    const bool create = call.request().method == "POST";
    if (is_declared(services, asked.name)) return refuse_declared(call, asked.name);
    PolicyBook::Change change(services.book);
    const std::optional<KeptPolicy> seen = change.find(asked.name);
    if (create && seen)
        throw Error(ErrorCode::already_exists, fmt::format("there is a policy '{}'", asked.name),
                    "change it: PUT /v1/policies/NAME")
            .with_field("name");
    if (!create) {
        if (!seen) throw Error(ErrorCode::not_found, fmt::format("there is no policy '{}'", asked.name));
        if (const auto problem = call.unless_match(api::etag_of(seen->body)))
            return api::problem_response(*problem, call.request().path, {});
    }
    require_clear(services, asked);
    KeptPolicy kept{.name = asked.name,
                    .body = asked.policy ? policy_json(*asked.policy) : std::string(),
                    .statement = {},
                    .changed = services.clock.now(),
                    .changed_by = call.actor()};
    const Response response = call.change([&](Database& database) {
        change.state(database, kept, asked.policy, seen);
        const json details = {{"before", seen ? json::parse(seen->body) : json()},
                              {"after", asked.policy ? json::parse(kept.body) : json()}};
        call.audit(database,
                   create         ? "policy.create"
                   : asked.policy ? "policy.change"
                                  : "policy.delete",
                   asked.name, details.dump());
        if (!asked.policy) return Response{.status = 204};
        Response told =
            answer_one(create ? 201 : 200, {*asked.policy, kept}, in_force_with(services, asked), services);
        if (create) told.headers.set("Location", "/v1/policies/" + asked.name);
        return told;
    });
    services.book.reload();
    services.changed();
    return response;
}

} // namespace

void add_policy_routes(api::Router& router, const PolicyServices& services) {
    const auto shared = std::make_shared<const PolicyServices>(services);
    router.add({.method = "GET",
                .path = "/v1/policies",
                .name = "listPolicies",
                .permission = Permission::read,
                .handle = [shared](Call& call) { return list(call, *shared); }});
    router.add({.method = "GET",
                .path = "/v1/policies/{name}",
                .name = "getPolicy",
                .permission = Permission::read,
                .handle = [shared](Call& call) { return get(call, *shared); }});
    struct Changing {
        const char *method, *path, *name;
    };
    for (const Changing& each : {Changing{"POST", "/v1/policies", "createPolicy"},
                                 Changing{"PUT", "/v1/policies/{name}", "changePolicy"},
                                 Changing{"DELETE", "/v1/policies/{name}", "deletePolicy"}}) {
        router.add({.method = each.method,
                    .path = each.path,
                    .name = each.name,
                    .permission = Permission::configure,
                    .handle = [shared](Call& call) { return change(call, *shared); },
                    // The repository is opened for it.
                    .takes_long = [](const api::Request&) { return true; },
                    .demand = [shared](const Call& call) { return demand(call, *shared); }});
    }
}

} // namespace holdfast
