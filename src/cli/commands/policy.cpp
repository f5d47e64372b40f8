#include "base/error.h"
#include "cli/command.h"
#include "cli/configuration.h"
#include "cli/fields.h"
#include "cli/say.h"
#include "client/api_client.h"
#include "policy/policy_change.h"
#include "policy/policy_form.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace holdfast {

namespace {

using nlohmann::json;

struct Arguments {
    std::string at;
    std::size_t runs = 3;
};

// A policy in force, and which sources go by it.
struct Shown {
    Policy policy;
    std::vector<std::string> covers;
    std::string origin; // who may change it: "file" or "api"
};

json runs_json(const Schedule& schedule, Timestamp from, std::size_t count) {
    json runs = json::array();
    for (const Schedule::Run& run : coming_runs(schedule, from, count))
        runs.push_back({{"nominal", to_rfc3339(run.nominal)}, {"begin", to_rfc3339(run.begin)}});
    return runs;
}

json to_json(const Shown& shown, Timestamp from, std::size_t count) {
    json next = json::array();
    for (const std::string& source : shown.covers) {
        for (const BackupPlan& plan : shown.policy.backups) {
            next.push_back({{"source", source},
                            {"backup", plan.name},
                            {"runs", runs_json(shown.policy.schedule_of(plan, source), from, count)}});
        }
    }
    return {{"name", shown.policy.name},
            {"origin", shown.origin},
            {"policy", json::parse(policy_json(shown.policy))},
            {"covers", shown.covers},
            {"next", next},
            {"doubts", doubts_about(shown.policy, from)}};
}

void print_policy(const json& policy) {
    say("{}: {}{}\n", text_in(policy, "name"),
        fmt::join(texts_in(list_in(policy, "policy"), "sources"), ", "),
        text_in(policy, "origin") == "api" ? " (made by API)" : "");
    if (list_in(policy, "covers").empty()) say("  no source is covered\n");
    for (const json& next : list_in(policy, "next")) {
        std::vector<std::string> times;
        for (const json& run : list_in(next, "runs")) times.push_back(local_time_in(run, "begin"));
        say("  {}, {}: {}\n", text_in(next, "source"), text_in(next, "backup"), fmt::join(times, ", "));
    }
    for (const std::string& doubt : texts_in(policy, "doubts")) say("  Doubtful: {}\n", doubt);
}

int show(CommandContext& context, const Arguments& arguments, const std::vector<Shown>& policies) {
    const Timestamp from = arguments.at.empty() ? system_clock().now() : from_rfc3339(arguments.at);
    json value = json::array();
    bool doubtful = false;
    for (const Shown& shown : policies) {
        value.push_back(to_json(shown, from, arguments.runs));
        doubtful = doubtful || !value.back()["doubts"].empty();
    }
    context.print(value, [&] {
        for (const json& policy : value) print_policy(policy);
        if (value.empty()) say("(no policies)\n");
    });
    return doubtful ? exit_incomplete : exit_done;
}

// Of the configuration.
int run_policy(CommandContext& context, const Arguments& arguments) {
    const Configuration& configuration = context.configuration();
    std::vector<Shown> policies;
    for (const Policy& policy : configuration.policies) {
        Shown shown{.policy = policy, .covers = {}, .origin = "file"};
        for (const auto& [name, source] : configuration.sources)
            if (policy_for(configuration.policies, name) == &policy) shown.covers.push_back(name);
        policies.push_back(std::move(shown));
    }
    return show(context, arguments, policies);
}

// All that are in force there.
int policies_at_server(CommandContext& context, const Arguments& arguments) {
    std::vector<Shown> policies;
    context.api().each("/v1/policies", {}, [&](const json& told) {
        const std::string name = text_in(told, "name");
        policies.push_back({.policy = parse_policy(name, list_in(told, "policy").dump()),
                            .covers = texts_in(told, "covers"),
                            .origin = text_in(told, "origin")});
        return true;
    });
    return show(context, arguments, policies);
}

} // namespace

void add_policy(CLI::App& app, RunCommand& run) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command =
        app.add_subcommand("policy", "Show the policies, what they do next, and doubts about them");
    command->add_option("--at", arguments->at, "As if it were that time, RFC 3339");
    command->add_option("--runs", arguments->runs, "How many coming runs to show")
        ->check(CLI::Range(std::size_t{0}, std::size_t{1000}))
        ->capture_default_str();
    command->callback([arguments, &run] {
        run = [arguments](CommandContext& context) { return run_policy(context, *arguments); };
        run.at_server = [arguments](CommandContext& context) {
            return policies_at_server(context, *arguments);
        };
    });
}

} // namespace holdfast
