#include "server/policy_routes.h"

#include "base/error.h"
#include "policy/policy_change.h"
#include "policy/policy_form.h"
#include "server/policy_answers.h"
#include "service/policy_plan.h"

#include <algorithm>
#include <iterator>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

using api::Call;
using api::Permission;
using api::Response;
using nlohmann::json;

constexpr std::size_t longest_name = 100;

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
        if (call.request().method == "DELETE") {
            call.expect_no_body();
            return {name->second, std::nullopt};
        }
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

// Throws, or returns, why what is asked for cannot be done to what there is of the name.
std::optional<api::Problem> unless_possible(const Call& call, const Asked& asked,
                                            const std::optional<KeptPolicy>& there) {
    if (call.request().method == "POST") {
        if (!there) return std::nullopt;
        throw Error(ErrorCode::already_exists, fmt::format("there is a policy '{}'", asked.name),
                    "change it: PUT /v1/policies/NAME")
            .with_field("name");
    }
    if (!there) throw Error(ErrorCode::not_found, fmt::format("there is no policy '{}'", asked.name));
    return call.unless_seen(api::etag_of(there->body));
}

// Whether what is asked for is what there is.
bool is_done(const Asked& asked, const std::optional<KeptPolicy>& there) {
    return asked.policy ? there && there->body == policy_json(*asked.policy) : !there;
}

struct Judgement {
    bool keeps_less = false;
    std::string by; // all policies before
};

// Throws Error(unavailable) when nobody has looked yet at what there is: that may be of sources that are
// configured nowhere any more.
Judgement judge(const PolicyServices& services, const Asked& asked) {
    const auto view = services.observer.require_view();
    const std::vector<Policy> before = services.book.in_force(services.declared()),
                              after = in_force_with(services, asked);
    const auto known = std::ranges::find(before, asked.name, &Policy::name);
    const bool less = known != before.end() && asked.policy && !keeps_less(&*known, &*asked.policy).empty();
    return {.keeps_less = less || !policy_losses(before, after, view->measurements.retention,
                                                 source_names(services), services.clock.now())
                                       .empty(),
            .by = policies_text(before)};
}

// Which of two policies a source has must be clear; and what the file declares is changed there alone, so
// what its policies cover, by a pattern too, is not taken from them. What a policy had before the file came
// to cover it as well is not taken: the one that names a source goes before a pattern.
void require_clear(const PolicyServices& services, const Asked& asked) {
    const std::vector<Policy> policies = in_force_with(services, asked), declared = services.declared(),
                              before = services.book.in_force(declared);
    std::vector<std::string> sources = source_names(services);
    if (asked.policy)
        std::ranges::copy_if(asked.policy->sources, std::back_inserter(sources),
                             [](const std::string& name) { return name.find('*') == std::string::npos; });
    for (const std::string& source : sources) {
        try {
            const Policy* policy = policy_for(policies, source);
            const Policy* of_file = policy_for(declared, source);
            if (policy == nullptr || of_file == nullptr || policy->name != asked.name) continue;
            const Policy* had = clear_policy_for(before, source);
            if (had != nullptr && had->name == asked.name) continue;
            throw Error(
                ErrorCode::fenced,
                fmt::format("the policy '{}' would take the source '{}' from '{}', which is declared in "
                            "holdfast.toml",
                            asked.name, source, of_file->name),
                "have the policy of the file leave it out, or declare the other one there as well");
        } catch (const Error& error) {
            throw Error(ErrorCode::fenced, error.message(), error.hint());
        }
    }
}

// Keeping less than before may take more than a role.
std::optional<api::Demand> demand(const Call& call, const PolicyServices& services) {
    Asked asked;
    try {
        asked = asked_by(call);
        if (is_declared(services, asked.name) || unless_possible(call, asked, services.book.find(asked.name)))
            return std::nullopt;
        require_clear(services, asked);
    } catch (const Error&) {
        return std::nullopt; // nothing will come of it
    }
    Judgement judgement = judge(services, asked);
    if (!judgement.keeps_less) return std::nullopt;
    return api::Demand{.permission = Permission::remove,
                       .action = action_of_keeping_less,
                       .judged_by = std::move(judgement.by)};
}

Response refuse_declared(const Call& call, const std::string& name) {
    api::Problem problem = api::problem_of(
        409, fmt::format("the policy '{}' is declared in holdfast.toml, and changed there alone", name));
    problem.code = "declared-in-file";
    problem.hint = "edit the file, see what that does with 'holdfast plan', and 'holdfast apply' it";
    return api::problem_response(problem, call.request().path, {});
}

class LookAgain {
  public:
    explicit LookAgain(const std::function<void()>& changed) : changed_(changed) {}
    ~LookAgain() { changed_(); }
    LookAgain(const LookAgain&) = delete;
    LookAgain& operator=(const LookAgain&) = delete;

  private:
    const std::function<void()>& changed_;
};

// The trail has it first; then the repository is told, which may take as long as it takes, and then the
// catalog. When this server ends in between, what was stated is found by the next look.
Response change(Call& call, const PolicyServices& services) {
    call.expect_parameters({});
    const Asked asked = asked_by(call);
    const bool create = call.request().method == "POST";
    if (is_declared(services, asked.name)) return refuse_declared(call, asked.name);
    PolicyBook::Change change(services.book);
    // The same request may have been waited for.
    if (auto kept = call.kept_answer()) return std::move(*kept);
    const std::optional<KeptPolicy> seen = services.book.find(asked.name);
    const auto told = [&](const KeptPolicy& kept) {
        if (!asked.policy) return Response{.status = 204};
        Response response = answer_policy(create ? 201 : 200, {*asked.policy, kept},
                                          in_force_with(services, asked), services);
        if (create) response.headers.set("Location", "/v1/policies/" + asked.name);
        return response;
    };
    if (call.is_approved() && is_done(asked, seen))
        return call.change([&](Database&) { return told(seen.value_or(KeptPolicy{})); });
    if (const auto problem = unless_possible(call, asked, seen))
        return api::problem_response(*problem, call.request().path, {});
    require_clear(services, asked);
    // By now policies may be others than those that were known to who demanded.
    if (const Judgement judgement = judge(services, asked); judgement.keeps_less)
        call.require_demanded(judgement.by);
    KeptPolicy kept{.name = asked.name,
                    .body = asked.policy ? policy_json(*asked.policy) : std::string(),
                    .statement = {},
                    .changed = services.clock.now(),
                    .changed_by = call.actor()};
    const json details = {{"before", seen ? json::parse(seen->body) : json()},
                          {"after", asked.policy ? json::parse(kept.body) : json()}};
    const char* const action = create ? "policy.create" : asked.policy ? "policy.change" : "policy.delete";
    const LookAgain look_again(services.changed); // whatever comes of it
    kept.statement = call.in_trail(action, asked.name, details.dump(),
                                   [&] { return change.state(asked.name, asked.policy, seen); });
    const Response response = call.change([&](Database& database) {
        change.keep(database, kept, seen);
        return told(kept);
    });
    services.book.reload();
    return response;
}

} // namespace

void add_policy_routes(api::Router& router, const PolicyServices& services) {
    const auto shared = std::make_shared<const PolicyServices>(services);
    router.add({.method = "GET",
                .path = "/v1/policies",
                .name = "listPolicies",
                .permission = Permission::read,
                .handle = [shared](Call& call) { return list_policies(call, *shared); }});
    router.add({.method = "GET",
                .path = "/v1/policies/{name}",
                .name = "getPolicy",
                .permission = Permission::read,
                .handle = [shared](Call& call) { return get_policy(call, *shared); }});
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
