#include "api/routes/routes.h"
#include "base/json_text.h"
#include "service/audit_heads.h"

#include <mutex>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast::api {

namespace {

using Json = nlohmann::ordered_json;

Json json_of(const AuditEntry& entry) {
    Json details = Json::parse(entry.details, nullptr, false);
    return {{"number", entry.number},
            {"time", to_rfc3339(entry.time)},
            {"actor", entry.actor},
            {"action", entry.action},
            {"object", entry.object},
            {"details", details.is_discarded() ? Json(entry.details) : std::move(details)},
            {"digest", entry.digest}};
}

Response list(Call& call, const RouteServices& services) {
    call.expect_parameters({"limit", "cursor"});
    const Page page = call.page("audit");
    Json items = Json::array();
    bool more = false;
    services.audit.read(page.after_number() + 1, [&](const AuditEntry& entry) {
        more = items.size() == page.limit;
        if (!more) items.push_back(json_of(entry));
        return !more;
    });
    const Json next =
        more ? Json(Call::cursor("audit", std::to_string(items.back()["number"].get<std::int64_t>())))
             : Json();
    return json_response(200, json_text(Json{{"items", std::move(items)}, {"next", next}}));
}

Response verify(Call& call, const RouteServices& services, std::mutex& one_at_a_time) {
    call.expect_parameters({});
    const std::unique_lock lock(one_at_a_time, std::try_to_lock);
    if (!lock.owns_lock()) {
        throw Error(ErrorCode::unavailable, "the trail is being verified already", {}, true)
            .with_retry_after(5);
    }
    return json_response(
        200, json_text(verify_trail(services.audit,
                                    services.statements ? services.statements() : std::vector<Statement>())));
}

} // namespace

void add_audit_routes(Router& router, const RouteServices& services) {
    router.add({.method = "GET",
                .path = "/v1/audit",
                .name = "listAudit",
                .permission = Permission::read_trail,
                .handle = [&services](Call& call) { return list(call, services); }});
    router.add({.method = "GET",
                .path = "/v1/audit/verify",
                .name = "verifyAudit",
                .permission = Permission::read_trail,
                .handle = [&services, busy = std::make_shared<std::mutex>()](Call& call) {
                    return verify(call, services, *busy);
                }});
}

} // namespace holdfast::api
