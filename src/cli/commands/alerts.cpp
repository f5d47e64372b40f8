#include "base/error.h"
#include "cli/command.h"
#include "cli/commands/server_alerts.h"
#include "cli/configuration.h"
#include "cli/fields.h"
#include "cli/text.h"
#include "client/api_client.h"
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
        fmt::print("{:<24}{:<9}{:<26}{}\n", "RULE", "SEVERITY", "FIRES", "WHAT");
        for (const json& rule : rules)
            fmt::print("{:<24}{:<9}{:<26}{}\n", text_in(rule, "name"), text_in(rule, "severity"),
                       timing_text(rule), text_in(rule, "title"));
    });
    return exit_done;
}

int run_rules(CommandContext& context, const Arguments&) {
    return tell_rules(context, json::parse(rules_json(RuleBook(context.configuration().alerts))));
}

int rules_at_server(CommandContext& context, const Arguments&) {
    return tell_rules(context, list_in(context.api().get("/v1/rules"), "items"));
}

nlohmann::json trial_json(const AlertTrial& trial) {
    return {{"rule", trial.rule},     {"cause", trial.cause},     {"quiet_before", trial.quiet_before},
            {"fired", trial.fired},   {"summary", trial.summary}, {"reached", trial.reached},
            {"failed", trial.failed}, {"passed", trial.passed()}};
}

void print_trial(const AlertTrial& trial) {
    fmt::print("{}: {}\n", trial.rule, trial.passed() ? "passed" : "FAILED");
    fmt::print("  cause: {}\n", trial.cause);
    if (!trial.quiet_before) fmt::print("  it fired although all was well\n");
    fmt::print("  {}\n", trial.fired ? "fired: " + trial.summary : std::string("did not fire"));
    if (!trial.reached.empty()) fmt::print("  told: {}\n", fmt::join(trial.reached, ", "));
    for (const auto& [channel, why] : trial.failed) fmt::print("  not told: {}: {}\n", channel, why);
}

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
    if (rules.empty()) throw Error(ErrorCode::usage, "no rule is named", "name one, or --all");
    return rules;
}

int run_test(CommandContext& context, const Arguments& arguments) {
    AlertTrialSettings settings;
    settings.rules = RuleBook(context.configuration().alerts);
    if (!arguments.no_channels) settings.channels = context.configuration().channels;
    settings.origin = origin();
    settings.directory = arguments.directory;
    nlohmann::json value = nlohmann::json::array();
    std::vector<AlertTrial> trials;
    std::vector<std::string> left_out;
    // What fails in a sandbox is meant to, and is no news.
    Logger& logger = context.options().verbose ? context.logger() : silent_logger();
    for (const Rule* rule : chosen_rules(arguments)) {
        try {
            trials.push_back(try_alert(*rule, settings, logger, context.stop()));
            value.push_back(trial_json(trials.back()));
        } catch (const Error& error) {
            // Of all rules those that cannot be tried here are named, and the others are.
            if (!arguments.all || error.code() == ErrorCode::cancelled) throw;
            left_out.push_back(fmt::format("{}: {}", rule->name, error.message()));
            value.push_back({{"rule", rule->name}, {"passed", nullptr}, {"problem", error.message()}});
        }
    }
    context.print(value, [&] {
        for (const AlertTrial& trial : trials) print_trial(trial);
        for (const std::string& text : left_out) fmt::print("not tried: {}\n", text);
        if (settings.channels.empty() && !arguments.no_channels)
            fmt::print("No channel is configured: nobody was told.\n");
    });
    if (!std::ranges::all_of(trials, &AlertTrial::passed)) return exit_failed;
    const bool nobody_told = settings.channels.empty() && !arguments.no_channels;
    return left_out.empty() && !nobody_told ? exit_done : exit_incomplete;
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
                   [&] { fmt::print("{} took the test notice {}.\n", channel->name, id); });
    return exit_done;
}

int test_channel_at_server(CommandContext& context, const Arguments& arguments) {
    const std::string& name = arguments.names.front();
    const json answer = context.api().change(
        {.path = fmt::format("/v1/channels/{}/test", url_part(name)), .kept_by_key = false});
    context.report(answer, [&] { fmt::print("{} took the test notice.\n", name); });
    return exit_done;
}

} // namespace

void add_alerts(CLI::App& app, RunCommand& run) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand("alerts", "The rules that watch over backups, and trying them");
    command->require_subcommand(1);
    using Body = int (*)(CommandContext&, const Arguments&);
    const auto add = [&](const char* name, const char* text, Body body, Body at_server) {
        CLI::App* sub = command->add_subcommand(name, text);
        sub->callback([arguments, body, at_server, &run] {
            run = [arguments, body](CommandContext& context) { return body(context, *arguments); };
            if (at_server != nullptr)
                run.at_server = [arguments, at_server](CommandContext& context) {
                    return at_server(context, *arguments);
                };
        });
        return sub;
    };
    add("rules", "Show the rules as they are in force", run_rules, rules_at_server);
    CLI::App* test =
        add("test", "Bring about in a sandbox what a rule is for, and see it fire", run_test, nullptr);
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
