// Who may ask a server for what.
#include "base/error.h"
#include "cli/at_server.h"
#include "cli/commands/server_command.h"
#include "cli/fields.h"
#include "cli/say.h"
#include "policy/period.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace holdfast {

namespace {

using nlohmann::json;

struct Arguments {
    std::string id, name, expires;
    std::vector<std::string> roles;
    bool second_factor = false;
};

std::string validity_of(const json& token) {
    if (has(token, "revoked")) return "revoked";
    if (!flag_in(token, "valid")) return "expired";
    return local_time_in(token, "expires", "until revoked");
}

int list_tokens(CommandContext& context, const Arguments&) {
    const json tokens = context.api().list("/v1/tokens");
    context.print(tokens, [&] {
        say("{:<34}{:<20}{:<30}{:<21}{:<8}{}\n", "ID", "NAME", "ROLES", "HOLDS", "FACTOR", "MADE BY");
        for (const json& token : tokens)
            say("{:<34}{:<20}{:<30}{:<21}{:<8}{}\n", text_in(token, "id"), text_in(token, "name"),
                fmt::format("{}", fmt::join(texts_in(token, "roles"), ",")), validity_of(token),
                flag_in(token, "second_factor") ? "second" : "-", text_in(token, "created_by"));
    });
    return exit_done;
}

// The secret goes to standard output alone, as it must be caught this once.
int tell_token(CommandContext& context, const json& token) {
    context.print(token, [&] {
        say("{}\n", text_in(token, "token"));
        if (const std::string authenticator = text_in(token, "authenticator"); !authenticator.empty())
            say("{}\n", authenticator);
        say(stderr, "The token \"{}\" ({}) is shown this once: keep it in a file of mode 600\n",
            text_in(token, "name"), text_in(token, "id"));
    });
    return exit_done;
}

int create_token(CommandContext& context, const Arguments& arguments) {
    json body = {{"name", arguments.name}, {"roles", arguments.roles}};
    if (!arguments.expires.empty())
        body["expires"] = to_rfc3339(std::chrono::floor<std::chrono::seconds>(
            Period::parse(arguments.expires, "--expires").after(system_clock().now(), TimeZone())));
    if (arguments.second_factor) body["second_factor"] = true;
    return change_at_server(context, {.path = "/v1/tokens", .body = request_text(body)}, tell_token);
}

int revoke_token(CommandContext& context, const Arguments& arguments) {
    // By name too, as people know them.
    json found;
    for (const json& token : context.api().list("/v1/tokens")) {
        const bool named = text_in(token, "name") == arguments.id && !has(token, "revoked");
        if (!named && text_in(token, "id") != arguments.id) continue;
        if (!found.is_null())
            throw Error(ErrorCode::usage, fmt::format("several tokens are named '{}'", arguments.id),
                        "give the id, as 'holdfast tokens list' shows it");
        found = token;
    }
    if (found.is_null())
        throw Error(ErrorCode::not_found, fmt::format("there is no token '{}'", arguments.id),
                    "'holdfast tokens list' shows those that there are");
    const std::string id = text_in(found, "id");
    return change_at_server(context, {.method = "DELETE", .path = "/v1/tokens/" + url_part(id)},
                            [&](CommandContext& told, const json&) {
                                told.report(
                                    {{"token", id}, {"name", text_in(found, "name")}, {"revoked", true}},
                                    [&] { say("{} is revoked\n", text_in(found, "name")); });
                                return exit_done;
                            });
}

} // namespace

void add_tokens(CLI::App& app, RunCommand& run) {
    auto a = std::make_shared<Arguments>();
    CLI::App* group = app.add_subcommand("tokens", "Who may ask a server for what");
    group->require_subcommand(1);
    const auto add = [&](const char* name, const char* text, int (*body)(CommandContext&, const Arguments&)) {
        return add_server_command(*group, run, name, text, a, body);
    };
    add("list", "The tokens, without their secrets", list_tokens);
    CLI::App* create = add("create", "Make a token, and print its secret this once", create_token);
    create->add_option("NAME", a->name, "For whom or what it is")->required();
    create->add_option("--role", a->roles, "What it may; may be repeated")
        ->allow_extra_args(false)
        ->required()
        ->check(CLI::IsMember({"viewer", "operator", "restorer", "administrator", "exporter"}));
    create->add_option("--expires", a->expires, "How long it holds, as 90d or 1y (default: until revoked)");
    create->add_flag("--second-factor", a->second_factor,
                     "With a second factor; what an authenticator needs is printed below the token");
    add("revoke", "End a token", revoke_token)->add_option("TOKEN", a->id, "Its id or its name")->required();
}

} // namespace holdfast
