#include "base/error.h"
#include "cli/at_server.h"
#include "cli/commands/alert_test_output.h"
#include "cli/commands/server_alerts.h"
#include "cli/configuration.h"
#include "cli/fields.h"
#include "cli/say.h"
#include "cli/text.h"
#include "service/alert_sandbox.h"
#include "watch/alert_report.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

namespace holdfast {

namespace {

using nlohmann::json;

struct Arguments {
    std::vector<std::string> names;
    bool all = false;
    bool no_channels = false;
    std::string directory;
};

// Who a test says that it comes from.
std::string origin() {
    std::array<char, 256> name{};
    if (::gethostname(name.data(), name.size() - 1) != 0) return "test of alerts";
    return fmt::format("test of alerts on {}", name.data());
}

std::string timing_text(const json& rule) {
    if (!flag_in(rule, "on")) return "off";
    const std::uint64_t evaluations = number_in(rule, "evaluations");
    const double seconds = real_in(rule, "hold_for_seconds");
    if (evaluations == 1 && seconds == 0) return "at once";
    return fmt::format("after {} and {} rounds", length_text(seconds), evaluations);
}

int tell_rules(CommandContext& context, const json& rules) {
    context.print(rules, [&] {
        say("{:<24}{:<9}{:<26}{}\n", "RULE", "SEVERITY", "FIRES", "WHAT");
        for (const json& rule : rules)
            say("{:<24}{:<9}{:<26}{}\n", text_in(rule, "name"), text_in(rule, "severity"), timing_text(rule),
                text_in(rule, "title"));
    });
    return exit_done;
}

int run_rules(CommandContext& context, const Arguments&) {
    return tell_rules(context, json::parse(rules_json(RuleBook(context.configuration().alerts))));
}

int rules_at_server(CommandContext& context, const Arguments&) {
    return tell_rules(context, list_in(context.api().get("/v1/rules"), "items"));
}

// `channels`: how many were to be told; null: nobody was to be.
json trial_json(const AlertTrial& trial, const json& channels) {
    return {{"rule", trial.rule},      {"cause", trial.cause},         {"quiet_before", trial.quiet_before},
            {"fired", trial.fired},    {"summary", trial.summary},     {"reached", trial.reached},
            {"failed", trial.failed},  {"not_meant", trial.not_meant}, {"channels", channels},
            {"passed", trial.passed()}};
}

void print_trial(const json& trial) {
    const std::string rule = text_in(trial, "rule");
    if (!has(trial, "passed")) {
        say("not tried: {}: {}\n", rule, text_in(trial, "problem"));
        return;
    }
    say("{}: {}\n", rule, flag_in(trial, "passed") ? "passed" : "FAILED");
    say("  cause: {}\n", text_in(trial, "cause"));
    if (!flag_in(trial, "quiet_before")) say("  it fired although all was well\n");
    say("  {}\n",
        flag_in(trial, "fired") ? "fired: " + text_in(trial, "summary") : std::string("did not fire"));
    const std::vector<std::string> reached = texts_in(trial, "reached");
    if (!reached.empty()) say("  told: {}\n", fmt::join(reached, ", "));
    const std::vector<std::string> not_meant = texts_in(trial, "not_meant");
    if (!not_meant.empty()) say("  not to be told, by their routes: {}\n", fmt::join(not_meant, ", "));
    for (const auto& [channel, why] : list_in(trial, "failed").items())
        say("  not told: {}: {}\n", channel, plain_text(why));
}

Error no_rule() { return Error(ErrorCode::usage, "no rule is named", "name one, or --all"); }

std::vector<const Rule*> chosen_rules(const Arguments& arguments) {
    std::vector<const Rule*> rules;
    for (const std::string& name : arguments.names) {
        const Rule* rule = find_rule(name);
        if (rule == nullptr)
            throw Error(ErrorCode::usage, fmt::format("there is no rule '{}'", name),
                        "'holdfast alerts rules' lists them");
        rules.push_back(rule);
    }
    if (arguments.all)
        for (const Rule& rule : all_rules()) rules.push_back(&rule);
    if (rules.empty()) throw no_rule();
    return rules;
}

int run_test(CommandContext& context, const Arguments& arguments) {
    AlertTrialSettings settings;
    settings.rules = RuleBook(context.configuration().alerts);
    if (!arguments.no_channels) settings.channels = context.configuration().channels;
    settings.origin = origin();
    settings.directory = arguments.directory;
    const json channels = arguments.no_channels ? json() : json(settings.channels.size());
    json trials = json::array();
    // What fails in a sandbox is meant to, and is no news.
    Logger& logger = context.options().verbose ? context.logger() : silent_logger();
    for (const Rule* rule : chosen_rules(arguments)) {
        try {
            trials.push_back(trial_json(try_alert(*rule, settings, logger, context.stop()), channels));
        } catch (const Error& error) {
            // Of all rules those that cannot be tried here are named, and the others are.
            if (!arguments.all || error.code() == ErrorCode::cancelled) throw;
            trials.push_back({{"rule", rule->name}, {"passed", nullptr}, {"problem", error.message()}});
        }
    }
    return tell_alert_tests(context, trials);
}

// By its own rules and over its own channels.
int test_at_server(CommandContext& context, const CLI::App& command, const Arguments& arguments) {
    refuse_options_but(command, {"--all", "--no-channels"});
    if (arguments.names.empty() && !arguments.all) throw no_rule();
    json request = json::object();
    request[arguments.all ? "all" : "rules"] = arguments.all ? json(true) : json(arguments.names);
    if (arguments.no_channels) request["channels"] = false;
    return work_at_server(context, "/v1/rules/tests", request, tell_alert_tests);
}

int run_test_channel(CommandContext& context, const Arguments& arguments) {
    const std::vector<ChannelSettings> channels = context.configuration().channels;
    const auto channel = std::ranges::find(channels, arguments.names.front(), &ChannelSettings::name);
    if (channel == channels.end()) {
        throw Error(ErrorCode::usage, fmt::format("there is no channel '{}'", arguments.names.front()),
                    "the configuration names them: [channel.NAME]");
    }
    const std::string id = fmt::format("test-{}", system_random().id<8>().hex());
    make_channel(*channel, system_clock())
        ->send(test_notice(origin(), id, system_clock().now()), context.stop());
    context.report({{"channel", channel->name}, {"type", to_string(channel->type)}, {"sent", true}},
                   [&] { say("{} took the test notice {}.\n", channel->name, id); });
    return exit_done;
}

int test_channel_at_server(CommandContext& context, const Arguments& arguments) {
    const std::string& name = arguments.names.front();
    const json answer = context.api().change(
        {.path = fmt::format("/v1/channels/{}/test", url_part(name)), .kept_by_key = false});
    context.report(answer, [&] { say("{} took the test notice.\n", name); });
    return exit_done;
}

} // namespace

int tell_alert_tests(CommandContext& context, const json& trials) {
    const auto none_configured = [](const json& trial) {
        return has(trial, "channels") && number_in(trial, "channels") == 0;
    };
    // What fired and was to be told to somebody, and reaches nobody.
    const auto reaches_nobody = [](const json& trial) {
        return has(trial, "channels") && flag_in(trial, "fired") && texts_in(trial, "reached").empty() &&
               list_in(trial, "failed").empty();
    };
    const bool nobody_told =
        std::ranges::any_of(trials, none_configured) || std::ranges::any_of(trials, reaches_nobody);
    context.print(trials, [&] {
        for (const json& trial : trials) print_trial(trial);
        if (std::ranges::any_of(trials, none_configured)) {
            say("No channel is configured: nobody was told.\n");
        } else if (nobody_told) {
            say("No channel takes every rule that was tried: of those nobody would be told.\n");
        }
    });
    const auto is_tried = [](const json& trial) { return has(trial, "passed"); };
    const auto has_failed = [&](const json& trial) { return is_tried(trial) && !flag_in(trial, "passed"); };
    if (std::ranges::any_of(trials, has_failed)) return exit_failed;
    return std::ranges::all_of(trials, is_tried) && !nobody_told ? exit_done : exit_incomplete;
}

void add_alerts(CLI::App& app, RunCommand& run) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand("alerts", "The rules that watch over backups, and trying them");
    command->require_subcommand(1);
    using Body = int (*)(CommandContext&, const Arguments&);
    const auto add = [&](const char* name, const char* text, Body body, Body at_server) {
        CLI::App* sub = command->add_subcommand(name, text);
        sub->callback([arguments, body, at_server, &run] {
            run = [arguments, body](CommandContext& context) { return body(context, *arguments); };
            run.at_server = [arguments, at_server](CommandContext& context) {
                return at_server(context, *arguments);
            };
        });
        return sub;
    };
    add("rules", "Show the rules as they are in force", run_rules, rules_at_server);
    CLI::App* test =
        command->add_subcommand("test", "Bring about in a sandbox what a rule is for, and see it fire");
    test->callback([arguments, test, &run] {
        run = [arguments](CommandContext& context) { return run_test(context, *arguments); };
        run.at_server = [arguments, test](CommandContext& context) {
            return test_at_server(context, *test, *arguments);
        };
    });
    test->add_option("RULE", arguments->names, "Which; several may be named");
    test->add_flag("--all", arguments->all, "All of them");
    test->add_flag("--no-channels", arguments->no_channels, "Tell nobody");
    test->add_option("--directory", arguments->directory, "Where the sandbox is made");
    add("test-channel", "Send a notice that is marked as a test", run_test_channel, test_channel_at_server)
        ->add_option("CHANNEL", arguments->names, "Which")
        ->required()
        ->expected(1);
    add_alerts_of_server(*command, run);
}

} // namespace holdfast
