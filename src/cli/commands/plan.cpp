// What a changed holdfast.toml would do, and doing it: `holdfast plan` and `holdfast apply`.
#include "base/error.h"
#include "base/file_descriptor.h"
#include "cli/commands/repository_option.h"
#include "cli/commands/server_option.h"
#include "cli/configuration.h"
#include "cli/terminal.h"
#include "cli/text.h"
#include "server/applied_policies.h"
#include "service/policy_plan.h"

#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/file.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string repository;
    std::string horizon = "10y";
    std::size_t runs = 3;
    bool yes = false;
};

// A plan, and what it was made from.
struct Planned {
    std::string state_directory;
    bool applied_before = false; // else nothing was ever applied
    PolicyPlan plan;
    std::vector<std::string> problems;

    bool nothing() const { return plan.policies.empty() && applied_before; }
};

Planned make_plan(CommandContext& context, const Arguments& arguments) {
    const Configuration& configuration = context.configuration();
    if (configuration.file.empty())
        throw Error(ErrorCode::usage, "there is no configuration file, and so nothing to plan",
                    "name it with --config");
    Planned planned;
    planned.state_directory = server_settings(configuration).state_directory;
    const auto applied = read_applied_policies(planned.state_directory);
    planned.applied_before = applied.has_value();
    const OpenRepository open = context.open(arguments.repository);
    RetentionView view = view_retention(*open.repository, configuration.policies, std::nullopt);
    planned.problems = view.problems;
    const StatedPolicies stated = stated_policies(view.statements);
    PolicyPlanSettings settings{.now = open.repository->clock().now(), .runs = arguments.runs};
    settings.horizon = Period::parse(arguments.horizon, "--horizon").after(settings.now, TimeZone());
    for (const auto& [name, source] : configuration.sources) {
        policy_for(view.policies, name); // says which two contradict each other
        settings.sources.push_back(name);
    }
    std::vector<RetentionSource> stored;
    for (SourceSnapshots& source : view.sources)
        stored.push_back({source.source, source.domain, source.blocked, std::move(source.subjects)});
    planned.plan = plan_policies(policies_in_force(applied.value_or(std::vector<Policy>{}), stated.policies),
                                 view.policies, stored, settings, context.stop());
    return planned;
}

nlohmann::json time_json(const std::optional<Timestamp>& time) {
    return time ? nlohmann::json(to_rfc3339(*time)) : nlohmann::json();
}

nlohmann::json effects_json(const std::vector<PolicyPlan::Effect>& effects) {
    nlohmann::json all = nlohmann::json::array();
    for (const PolicyPlan::Effect& effect : effects) {
        all.push_back({{"id", effect.snapshot},
                       {"time", to_rfc3339(effect.time)},
                       {"source", effect.source},
                       {"domain", effect.domain},
                       {"goes_before", time_json(effect.before)},
                       {"goes_after", time_json(effect.after)},
                       {"goes_now", effect.goes_now},
                       {"why_before", effect.why_before},
                       {"why_after", effect.why_after}});
    }
    return all;
}

nlohmann::json runs_json(const std::vector<Schedule::Run>& runs) {
    nlohmann::json all = nlohmann::json::array();
    for (const Schedule::Run& run : runs) all.push_back(to_rfc3339(run.begin));
    return all;
}

nlohmann::json to_json(const Planned& planned) {
    nlohmann::json policies = nlohmann::json::array(), backups = nlohmann::json::array();
    for (const PolicyChange& change : planned.plan.policies)
        policies.push_back({{"name", change.name}, {"change", to_string(change.kind)}});
    for (const BackupChange& change : planned.plan.backups) {
        backups.push_back({{"source", change.source},
                           {"plan", change.plan},
                           {"change", to_string(change.kind)},
                           {"before", runs_json(change.before)},
                           {"after", runs_json(change.after)}});
    }
    return {{"applied_before", planned.applied_before},
            {"policies", std::move(policies)},
            {"sooner", effects_json(planned.plan.sooner)},
            {"later", effects_json(planned.plan.later)},
            {"backups", std::move(backups)},
            {"keeps_less", planned.plan.losses},
            {"problems", planned.problems}};
}

std::string end_text(const std::optional<Timestamp>& time) { return time ? local_time(*time) : "stays"; }

void print_effects(const char* title, const std::vector<PolicyPlan::Effect>& effects) {
    if (effects.empty()) return;
    fmt::print("{}:\n", title);
    fmt::print("  {:<10}{:<21}{:<17}{:<21}{:<21}{}\n", "ID", "TIME", "SOURCE", "LIVED UNTIL", "LIVES UNTIL",
               "WHY");
    for (const PolicyPlan::Effect& effect : effects) {
        fmt::print("  {:<10}{:<21}{:<17}{:<21}{:<21}{}\n", short_id(effect.snapshot), local_time(effect.time),
                   effect.source, end_text(effect.before),
                   effect.goes_now ? "goes now" : end_text(effect.after), fmt::join(effect.why_after, "; "));
    }
}

std::string times_text(const std::vector<Schedule::Run>& runs) {
    std::vector<std::string> times;
    for (const Schedule::Run& run : runs) times.push_back(local_time(run.begin));
    return times.empty() ? "never" : fmt::format("{}", fmt::join(times, ", "));
}

void print_plan(const Planned& planned) {
    if (!planned.applied_before) fmt::print("No policies were applied before.\n");
    if (planned.plan.policies.empty()) fmt::print("The policies are those that are in effect.\n");
    for (const PolicyChange& change : planned.plan.policies)
        fmt::print("Policy {}: {}\n", change.name, to_string(change.kind));
    for (const BackupChange& change : planned.plan.backups) {
        fmt::print("Backups '{}' of {}: {}\n", change.plan, change.source, to_string(change.kind));
        if (change.kind != PolicyChangeKind::added) fmt::print("  before  {}\n", times_text(change.before));
        if (change.kind != PolicyChangeKind::removed) fmt::print("  then    {}\n", times_text(change.after));
    }
    print_effects("Kept for a shorter time", planned.plan.sooner);
    print_effects("Kept longer", planned.plan.later);
    for (const std::string& loss : planned.plan.losses) fmt::print("Keeps less: {}\n", loss);
}

int tell_problems(CommandContext& context, const Planned& planned) {
    for (const std::string& problem : planned.problems)
        context.logger().warning("passed over", {{"reason", problem}});
    return planned.problems.empty() ? exit_done : exit_incomplete;
}

int run_plan(CommandContext& context, const Arguments& arguments) {
    const Planned planned = make_plan(context, arguments);
    context.print(to_json(planned), [&] { print_plan(planned); });
    return tell_problems(context, planned);
}

// Whether a server runs with this state.
bool is_served(const std::string& state_directory) {
    const int fd = ::open((state_directory + "/lock").c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0) return false;
    const FileDescriptor lock(fd);
    return ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

int run_apply(CommandContext& context, const Arguments& arguments) {
    const Planned planned = make_plan(context, arguments);
    const bool served = is_served(planned.state_directory);
    if (!planned.nothing() && !arguments.yes) {
        if (!context.json()) {
            print_plan(planned);
            std::fflush(stdout);
        }
        if (!confirm("Apply this?", context.stop())) {
            context.report({{"applied", false}}, [] { fmt::print("Nothing was changed.\n"); });
            return exit_failed;
        }
    }
    create_directories_private(planned.state_directory);
    write_applied_policies(planned.state_directory, context.configuration().policies);
    nlohmann::json value = to_json(planned);
    value["applied"] = true;
    value["served"] = served;
    context.report(value, [&] {
        if (arguments.yes) print_plan(planned);
        fmt::print("Applied; {}.\n", served ? "the server takes it up now" : "the next start goes by it");
    });
    return tell_problems(context, planned);
}

CLI::App* add_command(CLI::App& app, RunCommand& run, const std::shared_ptr<Arguments>& arguments,
                      const char* name, const char* text, int (*body)(CommandContext&, const Arguments&)) {
    CLI::App* command = app.add_subcommand(name, text);
    add_repository_option(*command, arguments->repository);
    command->add_option("--horizon", arguments->horizon, "How far to look ahead")->capture_default_str();
    command->add_option("--runs", arguments->runs, "How many coming backups of each plan to show")
        ->check(CLI::Range(std::size_t{0}, std::size_t{1000}))
        ->capture_default_str();
    command->callback([arguments, body, &run] {
        run = [arguments, body](CommandContext& context) { return body(context, *arguments); };
    });
    return command;
}

} // namespace

void add_plan(CLI::App& app, RunCommand& run) {
    auto arguments = std::make_shared<Arguments>();
    add_command(
        app, run, arguments, "plan",
        "Show what the policies of a changed configuration would do: what would go, stay, be backed up",
        run_plan);
}

void add_apply(CLI::App& app, RunCommand& run) {
    auto arguments = std::make_shared<Arguments>();
    add_command(app, run, arguments, "apply", "Let the policies of a changed configuration take effect",
                run_apply)
        ->add_flag("--yes", arguments->yes, "Do not ask");
}

} // namespace holdfast
