#include "cli/commands/server_alerts.h"

#include "base/error.h"
#include "cli/at_server.h"
#include "cli/commands/server_command.h"
#include "cli/duration_option.h"
#include "cli/fields.h"
#include "cli/say.h"

#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace holdfast {

namespace {

using nlohmann::json;

struct Arguments {
    std::vector<std::string> states, severities;
    std::string rule, subject, id, comment, length, until, reason;
};

void print_alert(const json& alert) {
    say("{:<34}{:<10}{:<14}{:<21}{}: {}\n", text_in(alert, "id"), text_in(alert, "severity"),
        text_in(alert, "state"), local_time_in(alert, "since"), text_in(alert, "title"),
        text_in(alert, "summary"));
}

int list_alerts(CommandContext& context, const Arguments& arguments) {
    ApiQuery query;
    const auto add = [&](const char* name, const std::string& value) {
        if (!value.empty()) query.emplace_back(name, value);
    };
    add("state", fmt::format("{}", fmt::join(arguments.states, ",")));
    add("severity", fmt::format("{}", fmt::join(arguments.severities, ",")));
    add("rule", arguments.rule);
    add("source", arguments.subject);
    const json alerts = context.api().list("/v1/alerts", query);
    context.print(alerts, [&] {
        say("{:<34}{:<10}{:<14}{:<21}{}\n", "ID", "SEVERITY", "STATE", "SINCE", "WHAT");
        for (const json& alert : alerts) print_alert(alert);
        if (alerts.empty()) say("(none)\n");
    });
    return exit_done;
}

std::string path_of(const Arguments& arguments) { return "/v1/alerts/" + url_part(arguments.id); }

int show_alert(CommandContext& context, const Arguments& arguments) {
    const json alert = context.api().get(path_of(arguments));
    context.print(alert, [&] {
        say("{} {}: {}, {}\n", text_in(alert, "severity"), text_in(alert, "title"), text_in(alert, "subject"),
            text_in(alert, "state"));
        say("  {}\n  since {}\n", text_in(alert, "summary"), local_time_in(alert, "since"));
        for (const json& event : list_in(alert, "history"))
            say("  {} {} {} {}\n", local_time_in(event, "time"), text_in(event, "event"),
                text_in(event, "actor"), text_in(event, "text"));
        std::istringstream runbook(text_in(alert, "runbook"));
        for (std::string line; std::getline(runbook, line);) say("{}\n", line);
    });
    return exit_done;
}

// The server does not keep answers to these: sent twice, the second is told that it is too late.
int say_of_alert(CommandContext& context, const Arguments& arguments, const char* what) {
    json body = json::object();
    set_unless_empty(body, "comment", arguments.comment);
    const json alert = context.api().change(
        {.path = path_of(arguments) + "/" + what, .body = request_text(body), .kept_by_key = false});
    context.report(alert, [&] {
        say("{} {} is {}\n", text_in(alert, "title"), text_in(alert, "subject"), text_in(alert, "state"));
    });
    return exit_done;
}

int acknowledge(CommandContext& context, const Arguments& arguments) {
    return say_of_alert(context, arguments, "acknowledge");
}

int resolve(CommandContext& context, const Arguments& arguments) {
    return say_of_alert(context, arguments, "resolve");
}

int silence(CommandContext& context, const Arguments& arguments) {
    if (arguments.length.empty() == arguments.until.empty())
        throw Error(ErrorCode::usage, "a silence has an end", "add --for, such as 2h, or --until");
    json body = {{"reason", arguments.reason}};
    body["ends"] = arguments.until.empty()
                       ? to_rfc3339(std::chrono::floor<std::chrono::seconds>(
                             system_clock().now() + parse_duration(arguments.length, "--for")))
                       : arguments.until;
    set_unless_empty(body, "rule", arguments.rule);
    set_unless_empty(body, "subject", arguments.subject);
    const json answer =
        context.api().change({.path = "/v1/silences", .body = request_text(body), .kept_by_key = false});
    context.report(answer, [&] {
        say("Silence {} holds until {}\n", text_in(answer, "id"), local_time_in(body, "ends"));
    });
    return exit_done;
}

int list_silences(CommandContext& context, const Arguments&) {
    const json silences = list_in(context.api().get("/v1/silences"), "items");
    context.print(silences, [&] {
        say("{:<34}{:<20}{:<20}{:<21}{}\n", "ID", "RULE", "SUBJECT", "UNTIL", "REASON");
        for (const json& one : silences)
            say("{:<34}{:<20}{:<20}{:<21}{} ({})\n", text_in(one, "id"), text_in(one, "rule"),
                text_in(one, "subject"), local_time_in(one, "ends"), text_in(one, "reason"),
                text_in(one, "owner"));
        if (silences.empty()) say("(none)\n");
    });
    return exit_done;
}

int end_silence(CommandContext& context, const Arguments& arguments) {
    const json answer = context.api().change(
        {.method = "DELETE", .path = "/v1/silences/" + url_part(arguments.id), .kept_by_key = false});
    context.report(answer, [&] { say("Silence {} is over\n", arguments.id); });
    return exit_done;
}

} // namespace

void add_alerts_of_server(CLI::App& group, RunCommand& run) {
    auto a = std::make_shared<Arguments>();
    const auto add = [&](const char* name, const char* text, int (*body)(CommandContext&, const Arguments&)) {
        return add_server_command(group, run, name, text, a, body);
    };
    CLI::App* list = add("list", "Alerts of a server that are open, the newest first", list_alerts);
    list->add_option("--state", a->states, "pending, firing, acknowledged or resolved; may be repeated")
        ->allow_extra_args(false)
        ->check(CLI::IsMember({"pending", "firing", "acknowledged", "resolved"}));
    list->add_option("--severity", a->severities, "P1, P2, P3 or P4; may be repeated")
        ->allow_extra_args(false)
        ->check(CLI::IsMember({"P1", "P2", "P3", "P4"}));
    list->add_option("--rule", a->rule, "Of this rule");
    list->add_option("--subject", a->subject, "About this source, repository, server or channel");
    add("show", "One alert, with its history and what to do", show_alert)
        ->add_option("ALERT", a->id, "Its id")
        ->required();
    for (const auto& [name, text, body] :
         {std::tuple{"acknowledge", "Somebody has seen it: nobody else is told", &acknowledge},
          std::tuple{"resolve", "End an alert; if its cause is still there, another begins", &resolve}}) {
        CLI::App* say = add(name, text, body);
        say->add_option("ALERT", a->id, "Its id")->required();
        say->add_option("--comment", a->comment, "For whoever reads its history");
    }
    CLI::App* hush = add("silence", "Tell nobody of some alerts for a time", silence);
    hush->add_option("--rule", a->rule, "Of this rule; a * stands for anything");
    hush->add_option("--subject", a->subject, "About this source, repository, server or channel");
    hush->add_option("--for", a->length, "How long, as 2h or 30m");
    hush->add_option("--until", a->until, "Until when, RFC 3339");
    hush->add_option("--reason", a->reason, "Why")->required();
    add("silences", "Silences that are not over", list_silences);
    add("unsilence", "End a silence early", end_silence)
        ->add_option("SILENCE", a->id, "Its id, as 'alerts silences' shows it")
        ->required();
}

} // namespace holdfast
