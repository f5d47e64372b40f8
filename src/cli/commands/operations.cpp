// What a server has done, does and is to do.
#include "base/error.h"
#include "cli/at_server.h"
#include "cli/commands/alert_test_output.h"
#include "cli/commands/backup_output.h"
#include "cli/commands/prune_output.h"
#include "cli/commands/restore_output.h"
#include "cli/commands/retention_output.h"
#include "cli/commands/server_command.h"
#include "cli/commands/verify_output.h"
#include "cli/fields.h"
#include "cli/say.h"
#include "cli/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace holdfast {

namespace {

using nlohmann::json;

struct Arguments {
    std::string id, kind, source;
    std::vector<std::string> states;
    std::size_t newest = 20;
};

std::string path_of(const Arguments& arguments) { return "/v1/operations/" + url_part(arguments.id); }

std::string source_of(const json& operation) {
    const std::string source = text_in(operation, "source");
    return source.empty() ? "-" : source;
}

std::string progress_of(const json& operation) {
    if (!has(operation, "percent")) return "-";
    return fmt::format("{:.0f}%", real_in(operation, "percent"));
}

int list_operations(CommandContext& context, const Arguments& arguments) {
    ApiQuery query;
    const auto add = [&](const char* name, const std::string& value) {
        if (!value.empty()) query.emplace_back(name, value);
    };
    add("state", fmt::format("{}", fmt::join(arguments.states, ",")));
    add("kind", arguments.kind);
    add("source", arguments.source);
    json operations = json::array();
    context.api().each("/v1/operations", query, [&](const json& operation) {
        operations.push_back(operation);
        return operations.size() < arguments.newest;
    });
    context.print(operations, [&] {
        say("{:<34}{:<11}{:<16}{:<11}{:>5}  {:<21}{}\n", "ID", "KIND", "SOURCE", "STATE", "DONE", "CREATED",
            "BY");
        for (const json& one : operations)
            say("{:<34}{:<11}{:<16}{:<11}{:>5}  {:<21}{}\n", text_in(one, "id"), text_in(one, "kind"),
                source_of(one), text_in(one, "state"), progress_of(one), local_time_in(one, "created"),
                text_in(one, "requested_by"));
        if (operations.empty()) say("(none)\n");
    });
    return exit_done;
}

void print_operation(const json& operation) {
    say("{} of {}: {}\n", text_in(operation, "kind"), source_of(operation), text_in(operation, "state"));
    say("  asked for {} by {}\n", local_time_in(operation, "created"), text_in(operation, "requested_by"));
    if (has(operation, "started")) say("  began     {}\n", local_time_in(operation, "started"));
    if (has(operation, "ended")) say("  ended     {}\n", local_time_in(operation, "ended"));
    if (text_in(operation, "state") == "running") {
        say("  at        {}, {}\n", text_in(operation, "phase"), progress_of(operation));
        if (const json& estimate = list_in(operation, "estimate"); !estimate.empty())
            say("  left      about {}, from {}\n", format_duration(real_in(estimate, "seconds_left")),
                text_in(estimate, "basis"));
    }
    if (flag_in(operation, "cancel_requested")) say("  has been asked to stop\n");
    if (number_in(operation, "attempts") > 1) say("  {} attempts\n", number_in(operation, "attempts"));
    const json& error = list_in(operation, "error");
    if (!error.empty()) say("  {}: {}\n", text_in(error, "code"), text_in(error, "message"));
    if (const std::string hint = text_in(error, "hint"); !hint.empty()) say("  {}\n", hint);
}

int show_operation(CommandContext& context, const Arguments& arguments) {
    const json operation = context.api().get(path_of(arguments));
    context.print(operation, [&] { print_operation(operation); });
    return exit_done;
}

int print_log(CommandContext& context, const Arguments& arguments) {
    const json lines = context.api().list(path_of(arguments) + "/log");
    context.print(lines, [&] {
        for (const json& line : lines)
            say("{} {:<8}{}\n", local_time_in(line, "time"), text_in(line, "level"),
                text_in(line, "message"));
    });
    return exit_done;
}

int cancel(CommandContext& context, const Arguments& arguments) {
    const json answer = context.api().change({.path = path_of(arguments) + "/cancel"});
    context.report(answer, [&] { say("{} has been asked to stop\n", arguments.id); });
    return exit_done;
}

TellResult tell_for(const std::string& kind) {
    if (kind == "backup") return tell_backup;
    if (kind == "verify") return tell_verification;
    if (kind == "restore") return tell_restore;
    if (kind == "retention") return tell_retention;
    if (kind == "prune") return tell_prune;
    if (kind == "alert-test") return tell_alert_tests;
    // Of a newer server.
    return [](CommandContext& context, const json& result) {
        context.print(result, [&] { fmt::print("{}\n", result.dump(2, ' ', true)); });
        return exit_done;
    };
}

int follow(CommandContext& context, const Arguments& arguments) {
    const json operation = context.api().get(path_of(arguments));
    return follow_at_server(context, text_in(operation, "id"), tell_for(text_in(operation, "kind")));
}

} // namespace

void add_operations(CLI::App& app, RunCommand& run) {
    auto a = std::make_shared<Arguments>();
    CLI::App* group = app.add_subcommand("operations", "What a server has done, does and is to do");
    group->require_subcommand(1);
    const auto add = [&](const char* name, const char* text, int (*body)(CommandContext&, const Arguments&)) {
        return add_server_command(*group, run, name, text, a, body);
    };
    const auto add_one = [&](const char* name, const char* text,
                             int (*body)(CommandContext&, const Arguments&)) {
        add(name, text, body)->add_option("OPERATION", a->id, "Its id")->required();
    };
    CLI::App* list = add("list", "The operations, newest first", list_operations);
    list->add_option("--state", a->states,
                     "queued, running, succeeded, incomplete, failed or cancelled; may be repeated")
        ->allow_extra_args(false)
        ->check(CLI::IsMember({"queued", "running", "succeeded", "incomplete", "failed", "cancelled"}));
    list->add_option("--kind", a->kind,
                     "Of this kind: backup, verify, restore, retention, forget, prune, alert-test");
    list->add_option("--source", a->source, "About this source");
    list->add_option("--newest", a->newest, "Only so many")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    add_one("show", "One operation: how far it is, or what came of it", show_operation);
    add_one("log", "What it had to say", print_log);
    add_one("follow", "Follow it to its end, and print its result", follow);
    add_one("cancel", "Stop it", cancel);
}

} // namespace holdfast
