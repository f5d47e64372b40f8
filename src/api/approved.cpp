#include "api/approved.h"

#include "base/json_text.h"

#include <nlohmann/json.hpp>

namespace holdfast::api {

namespace {

using Json = nlohmann::ordered_json;

// For how long after it was decided what was approved may still be carried out.
constexpr auto good_for = std::chrono::hours(24);

std::string answer_text(const Response& done, bool with_secret) {
    const auto location = done.headers.find("Location");
    Json body = done.body.empty() ? Json() : Json::parse(done.body, nullptr, false);
    if (body.is_discarded()) body = done.body;
    // The secret of a new token is told to who approves of it, and kept nowhere.
    if (!with_secret && body.is_object() && body.contains("token")) body = Json();
    return json_text(
        Json{{"status", done.status}, {"location", location ? Json(*location) : Json()}, {"body", body}});
}

void keep(const RouteServices& services, const Approval& approval, const Response& done) {
    services.catalog.with([&](Database& database) {
        services.approvals.keep_answer(database, approval.id, answer_text(done, false));
    });
}

bool makes_a_token(const Approval& approval) {
    const Json request = Json::parse(approval.request);
    return request.at("method") == "POST" && request.at("path") == "/v1/tokens";
}

// Why it is not done any more; nothing when it can be.
std::optional<Problem> too_late(const RouteServices& services, const Approval& approval) {
    if (approval.decided && services.clock.now() - *approval.decided > good_for) {
        Problem problem = problem_of(409, "it could not be done within a day");
        problem.hint = "the audit trail has what was tried: see what came of it, and ask for it again";
        return problem;
    }
    if (makes_a_token(approval)) {
        Problem problem = problem_of(409, "the server that was to do it was lost");
        problem.hint = "its secret could be told to nobody any more: ask for another token";
        return problem;
    }
    return std::nullopt;
}

} // namespace

std::string carry_out_approved(Router& router, const RouteServices& services, const Approval& approval) {
    const auto requester = services.tokens.find(approval.requested_by);
    const Response done =
        requester && requester->is_valid(services.clock.now())
            ? router.carry_out(approval, Identity{.token = *requester, .secret = {}},
                               [](const Response& response) { return answer_text(response, false); })
            : problem_response(problem_of(403, "the token that asked for it is not valid any more"), {}, {});
    // What cannot be done at the moment is left, and done when it can be.
    if (done.status != 503 && done.status != 504) keep(services, approval, done);
    services.access.forget();
    return answer_text(done, true);
}

std::size_t carry_out_left(Router& router, const RouteServices& services) {
    std::size_t count = 0;
    for (; const auto approval = services.approvals.claim_left(); ++count) {
        // Once, however often it is tried.
        if (!services.audit.without("approval.carry_on", {approval->id}).empty())
            services.audit.append("server", "approval.carry_on", approval->id,
                                  json_text(Json{{"action", approval->action}}));
        if (const auto problem = too_late(services, *approval)) {
            keep(services, *approval, problem_response(*problem, {}, {}));
        } else {
            carry_out_approved(router, services, *approval);
        }
    }
    return count;
}

} // namespace holdfast::api
