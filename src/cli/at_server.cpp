#include "cli/at_server.h"

#include "base/error.h"
#include "cli/fields.h"
#include "cli/say.h"
#include "cli/text.h"
#include "client/follow_operation.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace holdfast {

namespace {

using nlohmann::json;

// What --repo is at a server is said where it is chosen, and help was not asked for.
constexpr std::array<std::string_view, 3> of_all_commands{"repo", "help", "help-all"};

ErrorCode code_named(const std::string& name) {
    for (int i = 0; i <= static_cast<int>(ErrorCode::internal); ++i)
        if (to_string(static_cast<ErrorCode>(i)) == name) return static_cast<ErrorCode>(i);
    return ErrorCode::internal;
}

// As the command would have thrown it here.
Error error_of(const json& operation) {
    const json& error = list_in(operation, "error");
    const std::string id = text_in(operation, "id");
    const std::string message = text_in(error, "message");
    std::string hint = text_in(error, "hint");
    if (hint.empty()) hint = fmt::format("'holdfast operations log {}' says more", id);
    return Error(code_named(text_in(error, "code")),
                 message.empty() ? fmt::format("the operation {} {}", id, text_in(operation, "state"))
                                 : message,
                 hint, flag_in(error, "retryable"));
}

int tell_waiting(CommandContext& context, const json& answer) {
    context.print(answer, [&] {
        const std::string id = text_in(answer, "approval");
        say("It waits until {} for another person's approval: holdfast approvals approve {}\n",
            local_time_in(answer, "expires"), id);
    });
    return exit_incomplete;
}

bool waits_for_approval(const json& answer) { return has(answer, "approval"); }

} // namespace

int work_at_server(CommandContext& context, const std::string& path, const json& request,
                   const TellResult& tell) {
    return work_at_server(context, {.path = path, .body = request_text(request)}, tell);
}

std::string request_text(const json& request) {
    try {
        return request.dump();
    } catch (const json::type_error&) {
        throw Error(ErrorCode::usage, "an argument is not UTF-8 text",
                    "only text can be sent to a server: type it in UTF-8");
    }
}

int work_at_server(CommandContext& context, const ApiChange& change, const TellResult& tell) {
    const json answer = context.api().change(change);
    if (waits_for_approval(answer)) return tell_waiting(context, answer);
    const std::string id = text_in(answer, "operation");
    if (context.options().detach) {
        context.print(answer, [&] { say("{}\n", id); });
        return exit_done;
    }
    return follow_at_server(context, id, tell);
}

json snapshot_at_server(CommandContext& context, const std::string& name) {
    try {
        return context.api().get("/v1/snapshots/" + url_part(name));
    } catch (const Error& error) {
        if (error.code() != ErrorCode::not_found) throw;
        throw Error(ErrorCode::usage, error.message(), "'holdfast snapshots' lists those that there are");
    }
}

int follow_at_server(CommandContext& context, const std::string& id, const TellResult& tell) {
    ApiClient& api = context.api();
    Progress progress;
    json operation;
    try {
        const ProgressDisplay display(progress, stderr, context.progress_style());
        const FollowSettings settings{.on_away = [&](const Error& why) {
            context.logger().warning("the server is away; it is asked again",
                                     {{"operation", id}, {"reason", why.message()}});
        }};
        operation = follow_operation(api, id, settings, progress, context.stop());
    } catch (const Error& error) {
        if (error.code() != ErrorCode::cancelled) throw;
        throw Error(ErrorCode::cancelled,
                    fmt::format("stopped following the operation {}, which goes on at {}", id, api.url()),
                    fmt::format("'holdfast operations follow {0}' comes back to it, 'holdfast operations "
                                "cancel {0}' ends it",
                                id));
    }
    return tell_operation(context, operation, tell);
}

int tell_operation(CommandContext& context, const json& operation, const TellResult& tell) {
    const json& result = list_in(operation, "result");
    const std::string state = text_in(operation, "state");
    const bool failed = state == "failed" || state == "cancelled";
    if (flag_in(result, "too_large"))
        throw Error(
            ErrorCode::unsupported,
            fmt::format("the result of the operation {} was too large to be kept", text_in(operation, "id")),
            fmt::format("it {}; its log says more", state));
    if (failed && result.empty()) throw error_of(operation);
    const int code = tell(context, result);
    if (failed) return code == exit_done || code == exit_incomplete ? exit_failed : code;
    return code == exit_done && state == "incomplete" ? exit_incomplete : code;
}

int change_at_server(CommandContext& context, const ApiChange& change, const TellResult& tell) {
    const json answer = context.api().change(change);
    return waits_for_approval(answer) ? tell_waiting(context, answer) : tell(context, answer);
}

void refuse_options_but(const CLI::App& command, const std::vector<std::string>& known) {
    for (const CLI::Option* option : command.get_options()) {
        if (option->count() == 0 || option->get_positional() || option->get_lnames().empty()) continue;
        const std::string& name = option->get_lnames().front();
        if (std::ranges::find(of_all_commands, name) != of_all_commands.end()) continue;
        if (std::ranges::find(known, "--" + name) != known.end()) continue;
        throw Error(ErrorCode::usage, fmt::format("--{} is not for a server", name),
                    "leave it out, or work on the repository itself with --repo");
    }
}

void set_unless_empty(json& request, const char* member, const std::string& text) {
    if (!text.empty()) request[member] = text;
}

} // namespace holdfast
