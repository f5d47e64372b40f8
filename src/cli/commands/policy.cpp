#include "base/error.h"
#include "cli/command.h"
#include "cli/configuration.h"
#include "policy/policy_change.h"
#include "policy/policy_form.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string at;
    std::size_t runs = 3;
};

// The sources of the configuration that the policy covers.
std::vector<std::string> covered(const Configuration& configuration, const Policy& policy) {
    std::vector<std::string> names;
    for (const auto& [name, source] : configuration.sources)
        if (policy_for(configuration.policies, name) == &policy) names.push_back(name);
    return names;
}

nlohmann::json runs_json(const Schedule& schedule, Timestamp from, std::size_t count) {
    nlohmann::json runs = nlohmann::json::array();
    for (const Schedule::Run& run : coming_runs(schedule, from, count))
        runs.push_back({{"nominal", to_rfc3339(run.nominal)}, {"begin", to_rfc3339(run.begin)}});
    return runs;
}

nlohmann::json policy_value(const Policy& policy, const std::vector<std::string>& sources, Timestamp from,
                            std::size_t count) {
    nlohmann::json next = nlohmann::json::array();
    for (const std::string& source : sources) {
        for (const BackupPlan& plan : policy.backups) {
            next.push_back({{"source", source},
                            {"backup", plan.name},
                            {"runs", runs_json(policy.schedule_of(plan, source), from, count)}});
        }
    }
    return {{"name", policy.name},
            {"policy", nlohmann::json::parse(policy_json(policy))},
            {"covers", sources},
            {"next", next},
            {"doubts", doubts_about(policy, from)}};
}

void print_policy(const Policy& policy, const std::vector<std::string>& sources, Timestamp from,
                  std::size_t count) {
    fmt::print("{}: {}\n", policy.name, fmt::join(policy.sources, ", "));
    if (sources.empty()) fmt::print("  no source of the configuration is covered\n");
    for (const std::string& source : sources) {
        for (const BackupPlan& plan : policy.backups) {
            std::vector<std::string> times;
            for (const Schedule::Run& run : coming_runs(policy.schedule_of(plan, source), from, count))
                times.push_back(local_time(run.begin));
            fmt::print("  {}, {}: {}\n", source, plan.name, fmt::join(times, ", "));
        }
    }
    for (const std::string& doubt : doubts_about(policy, from)) fmt::print("  Doubtful: {}\n", doubt);
}

int run_policy(CommandContext& context, const Arguments& arguments) {
    const Configuration& configuration = context.configuration();
    const Timestamp from = arguments.at.empty() ? system_clock().now() : from_rfc3339(arguments.at);
    nlohmann::json value = nlohmann::json::array();
    bool doubtful = false;
    for (const Policy& policy : configuration.policies) {
        value.push_back(policy_value(policy, covered(configuration, policy), from, arguments.runs));
        doubtful = doubtful || !value.back()["doubts"].empty();
    }
    context.print(value, [&] {
        for (const Policy& policy : configuration.policies)
            print_policy(policy, covered(configuration, policy), from, arguments.runs);
        if (configuration.policies.empty()) fmt::print("(no policies)\n");
    });
    return doubtful ? exit_incomplete : exit_done;
}

} // namespace

void add_policy(CLI::App& app, RunCommand& run) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command =
        app.add_subcommand("policy", "Show the policies of the configuration, what they do next, and doubts");
    command->add_option("--at", arguments->at, "As if it were that time, RFC 3339");
    command->add_option("--runs", arguments->runs, "How many coming runs to show")
        ->check(CLI::Range(std::size_t{0}, std::size_t{1000}))
        ->capture_default_str();
    command->callback([arguments, &run] {
        run = [arguments](CommandContext& context) { return run_policy(context, *arguments); };
    });
}

} // namespace holdfast
