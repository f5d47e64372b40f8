#include "server/policy_answers.h"

#include "base/error.h"
#include "base/json_text.h"
#include "policy/policy_change.h"
#include "policy/policy_form.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast {

using api::Call;
using api::Response;
using nlohmann::json;

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

namespace {

// Those in force, by name.
std::vector<ListedPolicy> listed(const PolicyServices& services) {
    std::vector<ListedPolicy> all;
    for (Policy& policy : services.declared()) all.push_back({std::move(policy), std::nullopt});
    for (PolicyBook::Entry& entry : services.book.entries())
        if (!is_declared(services, entry.kept.name))
            all.push_back({std::move(entry.policy), std::move(entry.kept)});
    std::ranges::sort(all, {}, [](const ListedPolicy& one) { return one.policy.name; });
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

json json_of(const ListedPolicy& one, const Coverage& coverage, const PolicyServices& services) {
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

Response answer(int status, const json& value) { return api::json_response(status, json_text(value)); }

} // namespace

Response answer_policy(int status, const ListedPolicy& one, const std::vector<Policy>& policies,
                       const PolicyServices& services) {
    Response response = answer(status, json_of(one, coverage_by(policies, services), services));
    response.headers.set("ETag", etag_of(one.policy));
    return response;
}

Response list_policies(Call& call, const PolicyServices& services) {
    call.expect_parameters({"limit", "cursor"});
    const api::Page page = call.page("policies");
    const Coverage coverage = coverage_by(services.book.in_force(services.declared()), services);
    json items = json::array();
    json next;
    for (const ListedPolicy& one : listed(services)) {
        if (!page.after.empty() && one.policy.name <= page.after) continue;
        if (items.size() == page.limit) {
            next = Call::cursor("policies", items.back()["name"].get<std::string>());
            break;
        }
        items.push_back(json_of(one, coverage, services));
    }
    return answer(200, {{"items", std::move(items)}, {"next", next}});
}

Response get_policy(Call& call, const PolicyServices& services) {
    call.expect_parameters({});
    const std::string& name = call.path_parameter("name");
    for (const ListedPolicy& one : listed(services))
        if (one.policy.name == name)
            return answer_policy(200, one, services.book.in_force(services.declared()), services);
    throw Error(ErrorCode::not_found, fmt::format("there is no policy '{}'", name));
}

} // namespace holdfast
