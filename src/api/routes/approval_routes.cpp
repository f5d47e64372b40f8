#include "api/approved.h"
#include "api/routes/routes.h"
#include "base/json_text.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast::api {

namespace {

using Json = nlohmann::ordered_json;

Json time_of(const std::optional<Timestamp>& time) { return time ? Json(to_rfc3339(*time)) : Json(); }

std::string name_of(const RouteServices& services, const std::string& token) {
    const auto found = services.tokens.find(token);
    return found ? found->name : token;
}

Json read_back(const std::string& text) {
    Json json = Json::parse(text, nullptr, false);
    return json.is_discarded() ? Json(text) : json;
}

Json json_of(const Approval& approval, const RouteServices& services) {
    const Json request = read_back(approval.request);
    return {{"id", approval.id},
            {"action", approval.action},
            {"request",
             {{"method", request.at("method")},
              {"path", request.at("path")},
              {"query", request.at("query")},
              {"body", request.at("body").get_ref<const std::string&>().empty()
                           ? Json()
                           : read_back(request.at("body").get<std::string>())}}},
            {"requested_by", name_of(services, approval.requested_by)},
            {"created", to_rfc3339(approval.created)},
            {"expires", to_rfc3339(approval.expires)},
            {"state", approval.state},
            {"decided_by", approval.decided_by ? Json(name_of(services, *approval.decided_by)) : Json()},
            {"decided", time_of(approval.decided)},
            {"answer", approval.answer ? read_back(*approval.answer) : Json()}};
}

// What was asked for, as approval.request has it in the trail.
Json asked_in(const Approval& approval) {
    const Json request = read_back(approval.request);
    Json query = Json::object();
    for (const Json& pair : request.at("query")) query[pair.at(0).get<std::string>()] = pair.at(1);
    Json body = Json::parse(request.at("body").get_ref<const std::string&>(), nullptr, false);
    return {{"method", request.at("method")},
            {"path", request.at("path")},
            {"query", std::move(query)},
            {"request", body.is_discarded() ? Json() : std::move(body)},
            {"action", approval.action}};
}

Approval found(const RouteServices& services, const std::string& id) {
    if (auto approval = services.approvals.find(id)) return std::move(*approval);
    throw Error(ErrorCode::not_found, fmt::format("there is no approval {}", id));
}

Response list(Call& call, const RouteServices& services) {
    call.expect_parameters({"limit", "cursor"});
    const Page page = call.page("approvals");
    auto approvals = services.approvals.list(page.after, page.limit + 1);
    const bool more = approvals.size() > page.limit;
    if (more) approvals.resize(page.limit);
    Json items = Json::array();
    for (const Approval& approval : approvals) items.push_back(json_of(approval, services));
    const Json next = more ? Json(Call::cursor("approvals", approvals.back().id)) : Json();
    return json_response(200, json_text(Json{{"items", std::move(items)}, {"next", next}}));
}

Response decide(Call& call, Router& router, const RouteServices& services, bool approved) {
    call.expect_parameters({});
    call.expect_no_body();
    const Approval approval = found(services, call.path_parameter("id"));
    if (approval.requested_by == call.identity().token.id && approved) {
        return problem_response(problem_of(403, "it takes another person than the one who asks for it"),
                                call.request().path, {});
    }
    bool ours = false;
    Response response = call.change([&](Database& database) {
        if (!services.approvals.decide(database, approval.id, approved, call.identity().token.id)) {
            throw Error(ErrorCode::fenced,
                        fmt::format("the approval {} does not wait for this decision any more", approval.id));
        }
        ours = true;
        Json details = asked_in(approval);
        details["requested_by"] = name_of(services, approval.requested_by);
        call.audit(database, approved ? "approval.approve" : "approval.reject", approval.id,
                   json_text(details));
        return json_response(
            200, json_text(Json{{"approval", approval.id}, {"state", approved ? "approved" : "rejected"}}));
    });
    if (!approved || !ours) return response;
    const Json answer = Json::parse(carry_out_approved(router, services, approval));
    return json_response(
        200, json_text(Json{{"approval", approval.id}, {"state", "approved"}, {"answer", answer}}));
}

} // namespace

void add_approval_routes(Router& router, const RouteServices& services) {
    router.add({.method = "GET",
                .path = "/v1/approvals",
                .name = "listApprovals",
                .permission = Permission::administer,
                .handle = [&services](Call& call) { return list(call, services); }});
    router.add({.method = "GET",
                .path = "/v1/approvals/{id}",
                .name = "getApproval",
                .permission = Permission::administer,
                .handle = [&services](Call& call) {
                    call.expect_parameters({});
                    return json_response(
                        200, json_text(json_of(found(services, call.path_parameter("id")), services)));
                }});
    for (const bool approved : {true, false}) {
        router.add({.method = "POST",
                    .path = approved ? "/v1/approvals/{id}/approve" : "/v1/approvals/{id}/reject",
                    .name = approved ? "approve" : "reject",
                    .permission = Permission::administer,
                    .handle = [&services, &router,
                               approved](Call& call) { return decide(call, router, services, approved); },
                    .takes_long = [](const Request&) { return true; }});
    }
}

} // namespace holdfast::api
