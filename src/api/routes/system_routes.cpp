#include "api/openapi_text.h"
#include "api/routes/routes.h"
#include "base/json_text.h"

#include <nlohmann/json.hpp>

namespace holdfast::api {

namespace {

using Json = nlohmann::ordered_json;

// Who asks is nobody, so that it says what is missing in general words alone.
Response ready(const RouteServices& services) {
    Json checks = Json::object();
    bool all = true;
    for (const ReadyCheck& check : services.ready) {
        std::optional<std::string> missing;
        try {
            missing = check.missing();
        } catch (const std::exception&) {
            missing = "cannot be asked";
        }
        checks[check.name] = missing ? Json(*missing) : Json("ok");
        all = all && !missing;
    }
    Response response =
        json_response(all ? 200 : 503, json_text(Json{{"ready", all}, {"checks", std::move(checks)}}));
    if (!all) response.headers.set("Retry-After", "1");
    return response;
}

} // namespace

void add_system_routes(Router& router, const RouteServices& services) {
    router.add({.method = "GET",
                .path = "/healthz",
                .name = "health",
                .permission = std::nullopt,
                .handle = [](Call&) { return json_response(200, "{\"alive\":true}"); }});
    router.add({.method = "GET",
                .path = "/readyz",
                .name = "ready",
                .permission = std::nullopt,
                .handle = [&services](Call&) { return ready(services); }});
    router.add({.method = "GET",
                .path = "/openapi.yaml",
                .name = "contract",
                .permission = std::nullopt,
                .produces = "application/yaml",
                .handle = [](Call&) {
                    return Response{.content_type = "application/yaml", .body = std::string(openapi_text())};
                }});
}

} // namespace holdfast::api
