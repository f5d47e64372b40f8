#include "api/routes/routes.h"
#include "base/json_text.h"

#include <nlohmann/json.hpp>

namespace holdfast::api {

namespace {

using Json = nlohmann::ordered_json;

} // namespace

Response queue_operation(Call& call, const RouteServices& services, const OperationAsked& asked) {
    if (!services.prepare) throw Error(ErrorCode::unsupported, "this server carries out no operations");
    OperationRequest request = services.prepare(asked);
    request.requested_by = call.actor();
    return call.change([&](Database& database) {
        const auto id = services.operations.add(database, request);
        if (!id) {
            throw Error(ErrorCode::already_exists,
                        "the plan has asked for this operation before, for the same time");
        }
        call.audit(database, "operation.request", *id,
                   json_text(Json{{"kind", request.kind},
                                  {"source", request.source ? Json(*request.source) : Json()},
                                  {"request", Json::parse(request.request)},
                                  {"path", call.request().path}}));
        Response response = json_response(
            202, json_text(Json{{"operation", *id}, {"kind", request.kind}, {"state", "queued"}}));
        response.headers.set("Location", "/v1/operations/" + *id);
        return response;
    });
}

std::function<Response(Call&)> begin_work(const RouteServices& services, std::string kind,
                                          std::map<std::string, std::string> implied,
                                          std::map<std::string, std::string> from_path) {
    return [&services, kind = std::move(kind), implied = std::move(implied),
            from_path = std::move(from_path)](Call& call) {
        call.expect_parameters({});
        OperationAsked asked{.kind = kind,
                             .implied = implied,
                             .body = call.request().body.empty() ? "{}" : call.request().body,
                             .requested_by = call.actor()};
        for (const auto& [parameter, member] : from_path)
            asked.implied[member] = call.path_parameter(parameter);
        Form::parse(asked.body, "");
        return queue_operation(call, services, asked);
    };
}

void add_work_routes(Router& router, const RouteServices& services) {
    router.add({.method = "POST",
                .path = "/v1/backups",
                .name = "startBackup",
                .permission = Permission::back_up,
                .handle = begin_work(services, "backup")});
    router.add({.method = "POST",
                .path = "/v1/verifications",
                .name = "startVerification",
                .permission = Permission::back_up,
                .handle = begin_work(services, "verify")});
    router.add({.method = "POST",
                .path = "/v1/restores",
                .name = "startRestore",
                .permission = Permission::restore,
                .handle = begin_work(services, "restore")});
    router.add({.method = "POST",
                .path = "/v1/retention/runs",
                .name = "startRetention",
                .permission = Permission::remove,
                .action = "backups.delete",
                .handle = begin_work(services, "retention")});
    router.add({.method = "POST",
                .path = "/v1/prunes",
                .name = "startPrune",
                .permission = Permission::remove,
                .action = "backups.delete",
                .handle = begin_work(services, "prune")});
    // It tells receivers of an alert that is none.
    router.add({.method = "POST",
                .path = "/v1/rules/tests",
                .name = "startRuleTest",
                .permission = Permission::configure,
                .handle = begin_work(services, "alert-test")});
}

} // namespace holdfast::api
