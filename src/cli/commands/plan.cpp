// What a changed holdfast.toml would do, and doing it: `holdfast plan` and `holdfast apply`.
#include "base/error.h"
#include "base/file_descriptor.h"
#include "cli/at_server.h"
#include "cli/commands/repository_option.h"
#include "cli/commands/server_option.h"
#include "cli/configuration.h"
#include "cli/fields.h"
#include "cli/problems.h"
#include "cli/say.h"
#include "cli/terminal.h"
#include "server/applied_policies.h"
#include "service/policy_plan_json.h"

#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/file.h>

namespace holdfast {

namespace {

using nlohmann::json;

struct Arguments {
    std::string repository;
    std::string horizon = "10y";
    std::size_t runs = 3;
    bool yes = false;
};

// Whether there is nothing that applying it would change.
bool is_nothing(const json& plan) {
    return list_in(plan, "policies").empty() && flag_in(plan, "applied_before");
}

std::string state_directory_of(const CommandContext& context) {
    return server_settings(context.configuration()).state_directory;
}

json make_plan(CommandContext& context, const Arguments& arguments) {
    const Configuration& configuration = context.configuration();
    if (configuration.file.empty())
        throw Error(ErrorCode::usage, "there is no configuration file, and so nothing to plan",
                    "name it with --config");
    const auto applied = read_applied_policies(state_directory_of(context));
    const OpenRepository open = context.open(arguments.repository);
    RetentionView view = view_retention(*open.repository, configuration.policies, std::nullopt);
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
    json plan =
        to_json(plan_policies(policies_in_force(applied.value_or(std::vector<Policy>{}), stated.policies),
                              view.policies, stored, settings, context.stop()));
    plan["applied_before"] = applied.has_value();
    plan["problems"] = view.problems;
    return plan;
}

// Of the server's own file, and of what it goes by.
json plan_at_server(CommandContext& context, const Arguments& arguments) {
    return context.api().get("/v1/configuration/changes",
                             {{"horizon", arguments.horizon}, {"runs", std::to_string(arguments.runs)}});
}

// As of a plan that was made here: by its version it is applied.
std::string take_etag(json& plan) {
    std::string etag = text_in(plan, "etag");
    plan.erase("etag");
    return etag;
}

void print_effects(const char* title, const json& effects) {
    if (effects.empty()) return;
    say("{}:\n", title);
    say("  {:<10}{:<21}{:<17}{:<21}{:<21}{}\n", "ID", "TIME", "SOURCE", "LIVED UNTIL", "LIVES UNTIL", "WHY");
    for (const json& effect : effects) {
        say("  {:<10}{:<21}{:<17}{:<21}{:<21}{}\n", short_id_in(effect, "id"), local_time_in(effect, "time"),
            text_in(effect, "source"), local_time_in(effect, "goes_before", "stays"),
            flag_in(effect, "goes_now") ? "goes now" : local_time_in(effect, "goes_after", "stays"),
            fmt::join(texts_in(effect, "why_after"), "; "));
    }
}

std::string times_text(const json& change, const char* member) {
    std::vector<std::string> times;
    for (const std::string& time : texts_in(change, member)) times.push_back(local_time(from_rfc3339(time)));
    return times.empty() ? "never" : fmt::format("{}", fmt::join(times, ", "));
}

void print_plan(const json& plan) {
    if (!flag_in(plan, "applied_before")) say("No policies were applied before.\n");
    const json& policies = list_in(plan, "policies");
    if (policies.empty()) say("The policies are those that are in effect.\n");
    for (const json& change : policies)
        say("Policy {}: {}\n", text_in(change, "name"), text_in(change, "change"));
    for (const json& change : list_in(plan, "backups")) {
        const std::string kind = text_in(change, "change");
        say("Backups '{}' of {}: {}\n", text_in(change, "plan"), text_in(change, "source"), kind);
        if (kind != to_string(PolicyChangeKind::added)) say("  before  {}\n", times_text(change, "before"));
        if (kind != to_string(PolicyChangeKind::removed)) say("  then    {}\n", times_text(change, "after"));
    }
    print_effects("Kept for a shorter time", list_in(plan, "sooner"));
    print_effects("Kept longer", list_in(plan, "later"));
    for (const std::string& loss : texts_in(plan, "keeps_less")) say("Keeps less: {}\n", loss);
}

using MakePlan = json (*)(CommandContext&, const Arguments&);

int show_plan(CommandContext& context, const Arguments& arguments, MakePlan make) {
    json plan = make(context, arguments);
    take_etag(plan);
    context.print(plan, [&] { print_plan(plan); });
    return tell_problems(context, texts_in(plan, "problems"));
}

// Whether it is to be applied; that it is not is told.
bool is_wanted(CommandContext& context, const Arguments& arguments, const json& plan) {
    if (is_nothing(plan) || arguments.yes) return true;
    if (!context.json()) {
        print_plan(plan);
        std::fflush(stdout);
    }
    if (confirm("Apply this?", context.stop())) return true;
    context.report({{"applied", false}}, [] { say("Nothing was changed.\n"); });
    return false;
}

int tell_applied(CommandContext& context, const Arguments& arguments, json plan, bool served) {
    plan["applied"] = true;
    plan["served"] = served;
    context.report(plan, [&] {
        if (arguments.yes) print_plan(plan);
        say("Applied; {}.\n", served ? "the server takes it up now" : "the next start goes by it");
    });
    return tell_problems(context, texts_in(plan, "problems"));
}

// Whether a server runs with this state.
bool is_served(const std::string& state_directory) {
    const int fd = ::open((state_directory + "/lock").c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0) return false;
    const FileDescriptor lock(fd);
    return ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

int run_apply(CommandContext& context, const Arguments& arguments) {
    json plan = make_plan(context, arguments);
    const std::string state_directory = state_directory_of(context);
    const bool served = is_served(state_directory);
    if (!is_wanted(context, arguments, plan)) return exit_failed;
    create_directories_private(state_directory);
    write_applied_policies(state_directory, context.configuration().policies);
    return tell_applied(context, arguments, std::move(plan), served);
}

// The policies that take effect are those that were shown, though the file is edited meanwhile; what else the
// file has is read again by the server.
int apply_at_server(CommandContext& context, const Arguments& arguments) {
    json plan = plan_at_server(context, arguments);
    const std::string etag = take_etag(plan);
    if (!is_wanted(context, arguments, plan)) return exit_failed;
    return change_at_server(context, {.path = "/v1/configuration/apply", .if_match = etag},
                            [&](CommandContext&, const json&) {
                                return tell_applied(context, arguments, std::move(plan), true);
                            });
}

using Body = int (*)(CommandContext&, const Arguments&);

CLI::App* add_command(CLI::App& app, RunCommand& run, const std::shared_ptr<Arguments>& arguments,
                      const char* name, const char* text, Body here, Body at_server) {
    CLI::App* command = app.add_subcommand(name, text);
    add_repository_option(*command, arguments->repository);
    command->add_option("--horizon", arguments->horizon, "How far to look ahead")->capture_default_str();
    command->add_option("--runs", arguments->runs, "How many coming backups of each plan to show")
        ->check(CLI::Range(std::size_t{0}, std::size_t{1000}))
        ->capture_default_str();
    command->callback([arguments, here, at_server, &run] {
        run = [arguments, here](CommandContext& context) { return here(context, *arguments); };
        run.at_server = [arguments, at_server](CommandContext& context) {
            return at_server(context, *arguments);
        };
    });
    return command;
}

} // namespace

void add_plan(CLI::App& app, RunCommand& run) {
    auto arguments = std::make_shared<Arguments>();
    add_command(
        app, run, arguments, "plan",
        "Show what the policies of a changed configuration would do: what would go, stay, be backed up",
        [](CommandContext& context, const Arguments& a) { return show_plan(context, a, make_plan); },
        [](CommandContext& context, const Arguments& a) { return show_plan(context, a, plan_at_server); });
}

void add_apply(CLI::App& app, RunCommand& run) {
    auto arguments = std::make_shared<Arguments>();
    add_command(app, run, arguments, "apply", "Let the policies of a changed configuration take effect",
                run_apply, apply_at_server)
        ->add_flag("--yes", arguments->yes, "Do not ask");
}

} // namespace holdfast
