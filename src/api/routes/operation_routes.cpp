#include "api/operation_json.h"
#include "api/routes/routes.h"
#include "base/json_text.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast::api {

namespace {

using Json = nlohmann::ordered_json;

Operation found(const RouteServices& services, const std::string& id) {
    if (auto operation = services.operations.find(id)) return std::move(*operation);
    throw Error(ErrorCode::not_found, fmt::format("there is no operation {}", id));
}

// "queued,running", as a set.
std::set<OperationState> states_in(const std::string& text) {
    std::set<OperationState> states;
    for (std::string_view rest = text; !rest.empty();) {
        const std::size_t comma = std::min(rest.find(','), rest.size());
        try {
            states.insert(operation_state(rest.substr(0, comma)));
        } catch (const Error& error) {
            throw error.with_context("state").with_field("state");
        }
        rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
    return states;
}

Response list(Call& call, const RouteServices& services) {
    call.expect_parameters({"kind", "source", "state", "limit", "cursor"});
    const Page page = call.page("operations");
    OperationFilter filter{.kind = call.request().parameter("kind"),
                           .source = call.request().parameter("source"),
                           .states = states_in(call.request().parameter("state").value_or("")),
                           .before = page.after.empty() ? std::nullopt : std::optional(page.after),
                           .limit = page.limit + 1};
    auto operations = services.operations.list(filter);
    const bool more = operations.size() > page.limit;
    if (more) operations.resize(page.limit);
    std::string body = "{\"items\":[";
    for (std::size_t i = 0; i < operations.size(); ++i) {
        if (i > 0) body += ",";
        body += operation_json(operations[i], services.clock.now(), false);
    }
    body += "],\"next\":";
    body += more ? fmt::format("\"{}\"", Call::cursor("operations", operations.back().id)) : "null";
    body += "}";
    return json_response(200, std::move(body));
}

Response log(Call& call, const RouteServices& services) {
    call.expect_parameters({"limit", "cursor"});
    const std::string id = found(services, call.path_parameter("id")).id;
    const Page page = call.page("log");
    auto lines = services.operations.log_after(id, page.after_number(), page.limit + 1);
    const bool more = lines.size() > page.limit;
    if (more) lines.resize(page.limit);
    Json items = Json::array();
    for (const OperationLogLine& line : lines)
        items.push_back({{"number", line.number},
                         {"time", to_rfc3339(line.time)},
                         {"level", line.level},
                         {"message", line.message}});
    const Json next = more ? Json(Call::cursor("log", std::to_string(lines.back().number))) : Json();
    return json_response(200, json_text(Json{{"items", std::move(items)}, {"next", next}}));
}

Response cancel(Call& call, const RouteServices& services) {
    call.expect_parameters({});
    call.expect_no_body();
    const Operation operation = found(services, call.path_parameter("id"));
    const auto& roles = call.identity().token.roles;
    if (!allows(roles, Permission::back_up) && operation.requested_by != call.actor()) {
        Problem problem = problem_of(403, "a restorer may cancel what he has asked for himself, alone");
        return problem_response(problem, call.request().path, {});
    }
    return call.change([&](Database& database) {
        if (!services.operations.cancel(database, operation.id)) {
            throw Error(ErrorCode::fenced, fmt::format("the operation {} is over already", operation.id));
        }
        call.audit(database, "operation.cancel", operation.id,
                   json_text(Json{{"kind", operation.kind},
                                  {"source", operation.source ? Json(*operation.source) : Json()},
                                  {"requested_by", operation.requested_by}}));
        Response response =
            json_response(202, json_text(Json{{"operation", operation.id}, {"cancel_requested", true}}));
        response.headers.set("Location", "/v1/operations/" + operation.id);
        return response;
    });
}

} // namespace

void add_operation_routes(Router& router, const RouteServices& services) {
    router.add({.method = "GET",
                .path = "/v1/operations",
                .name = "listOperations",
                .permission = Permission::read,
                .handle = [&services](Call& call) { return list(call, services); }});
    router.add({.method = "GET",
                .path = "/v1/operations/events",
                .name = "streamOperations",
                .permission = Permission::read,
                .produces = "text/event-stream",
                .handle = [&services](Call& call) { return answer_with_events(call, *services.feed); }});
    router.add({.method = "GET",
                .path = "/v1/operations/{id}",
                .name = "getOperation",
                .permission = Permission::read,
                .handle = [&services](Call& call) {
                    call.expect_parameters({});
                    return json_response(200, operation_json(found(services, call.path_parameter("id")),
                                                             services.clock.now(), true));
                }});
    router.add({.method = "GET",
                .path = "/v1/operations/{id}/log",
                .name = "getOperationLog",
                .permission = Permission::read,
                .handle = [&services](Call& call) { return log(call, services); }});
    router.add({.method = "POST",
                .path = "/v1/operations/{id}/cancel",
                .name = "cancelOperation",
                .permission = Permission::cancel,
                .handle = [&services](Call& call) { return cancel(call, services); }});
}

} // namespace holdfast::api
