#include "api/routes/routes.h"
#include "base/json_text.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast::api {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* action = "tokens.administer";

Json time_of(const std::optional<Timestamp>& time) { return time ? Json(to_rfc3339(*time)) : Json(); }

Json roles_of(const Token& token) {
    Json roles = Json::array();
    for (const TokenRole role : token.roles) roles.push_back(to_string(role));
    return roles;
}

Json json_of(const Token& token, Timestamp now) {
    return {{"id", token.id},
            {"name", token.name},
            {"roles", roles_of(token)},
            {"created", to_rfc3339(token.created)},
            {"created_by", token.created_by},
            {"expires", time_of(token.expires)},
            {"revoked", time_of(token.revoked)},
            {"valid", token.is_valid(now)},
            {"second_factor", token.has_second_factor}};
}

Response list(Call& call, const RouteServices& services) {
    call.expect_parameters({"limit", "cursor"});
    const Page page = call.page("tokens");
    auto tokens = services.tokens.list(page.after, page.limit + 1);
    const bool more = tokens.size() > page.limit;
    if (more) tokens.resize(page.limit);
    Json items = Json::array();
    for (const Token& token : tokens) items.push_back(json_of(token, services.clock.now()));
    const Json next = more ? Json(Call::cursor("tokens", tokens.back().id)) : Json();
    return json_response(200, json_text(Json{{"items", std::move(items)}, {"next", next}}));
}

Token found(const RouteServices& services, const std::string& id) {
    if (auto token = services.tokens.find(id)) return std::move(*token);
    throw Error(ErrorCode::not_found, fmt::format("there is no token {}", id));
}

Response create(Call& call, const RouteServices& services) {
    call.expect_parameters({});
    Form form = call.form();
    TokenRequest request;
    const auto name = form.text("name", 64);
    if (!name) form.fail("name", "is missing");
    request.name = *name;
    const auto roles = form.texts("roles");
    if (roles.empty()) form.fail("roles", "is missing");
    for (const std::string& role : roles)
        request.roles.insert(form.at("roles", [&] { return role_of(role); }));
    request.expires = form.text_as("expires", from_rfc3339);
    request.second_factor = form.flag("second_factor").value_or(false);
    request.created_by = call.actor();
    form.expect_no_more();
    return call.change([&](Database& database) {
        const IssuedToken issued = services.tokens.issue(database, request);
        call.audit(database, "token.create", issued.token.name, token_in_trail(issued.token));
        Json json = json_of(issued.token, services.clock.now());
        json["token"] = issued.secret;
        json["authenticator"] = issued.authenticator ? Json(*issued.authenticator) : Json();
        Response response = json_response(201, json_text(json));
        response.headers.set("Location", "/v1/tokens/" + issued.token.id);
        return response;
    });
}

Response revoke(Call& call, const RouteServices& services) {
    call.expect_parameters({});
    call.expect_no_body();
    const Token token = found(services, call.path_parameter("id"));
    Response response = call.change([&](Database& database) {
        if (services.tokens.revoke(database, token.id))
            call.audit(
                database, "token.revoke", token.name,
                json_text(Json{{"id", token.id}, {"roles", json_of(token, services.clock.now())["roles"]}}));
        return Response{.status = 204};
    });
    services.access.forget();
    return response;
}

} // namespace

std::string token_in_trail(const Token& token) {
    return json_text(Json{{"id", token.id},
                          {"roles", roles_of(token)},
                          {"expires", time_of(token.expires)},
                          {"second_factor", token.has_second_factor}});
}

void add_token_routes(Router& router, const RouteServices& services) {
    router.add({.method = "GET",
                .path = "/v1/tokens",
                .name = "listTokens",
                .permission = Permission::administer,
                .handle = [&services](Call& call) { return list(call, services); }});
    router.add({.method = "POST",
                .path = "/v1/tokens",
                .name = "createToken",
                .permission = Permission::administer,
                .action = action,
                .handle = [&services](Call& call) { return create(call, services); }});
    router.add({.method = "GET",
                .path = "/v1/tokens/{id}",
                .name = "getToken",
                .permission = Permission::administer,
                .handle = [&services](Call& call) {
                    call.expect_parameters({});
                    return json_response(200, json_text(json_of(found(services, call.path_parameter("id")),
                                                                services.clock.now())));
                }});
    router.add({.method = "DELETE",
                .path = "/v1/tokens/{id}",
                .name = "revokeToken",
                .permission = Permission::administer,
                .action = action,
                .handle = [&services](Call& call) { return revoke(call, services); }});
}

} // namespace holdfast::api
