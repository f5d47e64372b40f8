#include "service/retention.h"

#include "base/error.h"
#include "cli/at_server.h"
#include "cli/commands/repository_option.h"
#include "cli/commands/retention_output.h"
#include "cli/configuration.h"
#include "cli/fields.h"
#include "cli/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string repository;
    std::string source;
    std::string at;
    std::string horizon = "10y";
    bool dry_run = false;
    bool trust_clock = false;
};

std::optional<std::string> chosen(const Arguments& arguments) {
    return arguments.source.empty() ? std::nullopt : std::optional(arguments.source);
}

// Policies are those of the configuration and those of the repository.
void require_policies(CommandContext& context, std::size_t count) {
    if (count > 0) return;
    throw Error(ErrorCode::usage,
                context.configuration().file.empty()
                    ? std::string("there is no configuration file, no policy in the repository, and so none")
                    : fmt::format("there is no policy in {}, and none in the repository",
                                  context.configuration().file),
                "write one: [policy.NAME] with sources and [policy.NAME.retention]; see holdfast(1)");
}

void warn_of(CommandContext& context, const std::vector<std::string>& problems) {
    for (const std::string& problem : problems)
        context.logger().warning("passed over", {{"reason", problem}});
}

nlohmann::json fate_json(const Snapshot& snapshot, const RetentionSubject& subject, const Fate& fate) {
    nlohmann::json json = {{"id", snapshot.id.hex()},
                           {"time", to_rfc3339(snapshot.time)},
                           {"class", subject.class_name},
                           {"reasons", fate.reasons},
                           {"last_reasons", fate.last_reasons}};
    json["goes"] = fate.goes ? nlohmann::json(to_rfc3339(*fate.goes)) : nlohmann::json();
    return json;
}

std::string fate_text(const Fate& fate, Timestamp now) {
    if (!fate.goes) return "stays";
    return *fate.goes <= now ? "goes now" : local_time(*fate.goes);
}

void print_fates(const SourceSnapshots& source, const std::vector<Fate>& fates, Timestamp now) {
    fmt::print("{}: policy {}\n", source.source, source.policy->name);
    fmt::print("  {:<10}{:<21}{:<17}{:<21}{}\n", "ID", "TIME", "CLASS", "LIVES UNTIL", "WHY");
    for (std::size_t i = source.snapshots.size(); i-- > 0;) {
        const Fate& fate = fates[i];
        std::string why = fmt::format("{}", fmt::join(fate.reasons, "; "));
        if (!fate.last_reasons.empty() && fate.last_reasons != fate.reasons)
            why += fmt::format("; last: {}", fmt::join(fate.last_reasons, "; "));
        fmt::print("  {:<10}{:<21}{:<17}{:<21}{}\n", short_id(source.snapshots[i].snapshot.id.hex()),
                   local_time(source.snapshots[i].snapshot.time),
                   source.subjects[i].class_name.empty() ? "-" : source.subjects[i].class_name,
                   fate_text(fate, now), why);
    }
}

int run_simulate(CommandContext& context, const Arguments& arguments) {
    const OpenRepository open = context.open(arguments.repository);
    const Timestamp now = arguments.at.empty() ? open.repository->clock().now() : from_rfc3339(arguments.at);
    const RetentionView view =
        view_retention(*open.repository, context.configuration().policies, chosen(arguments));
    require_policies(context, view.policies.size());
    const Timestamp horizon = Period::parse(arguments.horizon, "--horizon").after(now, TimeZone());
    nlohmann::json value = nlohmann::json::array();
    std::vector<std::vector<Fate>> fates;
    for (const SourceSnapshots& source : view.sources) {
        nlohmann::json of_source = {
            {"source", source.source}, {"domain", source.domain}, {"policy", nullptr}};
        fates.emplace_back();
        if (source.policy != nullptr) {
            of_source["policy"] = source.policy->name;
            fates.back() = forecast_retention(
                source.policy->retention, source.subjects,
                forecast_for(*source.policy, source.source, source.subjects, now, horizon), context.stop());
            for (std::size_t i = 0; i < fates.back().size(); ++i)
                of_source["snapshots"].push_back(
                    fate_json(source.snapshots[i].snapshot, source.subjects[i], fates.back()[i]));
        }
        value.push_back(std::move(of_source));
    }
    context.print(value, [&] {
        for (std::size_t i = 0; i < view.sources.size(); ++i) {
            const SourceSnapshots& source = view.sources[i];
            if (source.policy != nullptr) {
                print_fates(source, fates[i], now);
            } else {
                fmt::print("{}: no policy; all {} stay\n", source.source,
                           counted(source.snapshots.size(), "snapshot"));
            }
        }
        if (view.sources.empty()) fmt::print("(no snapshots)\n");
    });
    warn_of(context, view.problems);
    return view.problems.empty() ? exit_done : exit_incomplete;
}

nlohmann::json result_json(const RetentionResult& result, bool dry_run) {
    nlohmann::json sources = nlohmann::json::array();
    for (const RetentionResult::Source& source : result.sources) {
        nlohmann::json snapshots = nlohmann::json::array();
        for (const RetentionResult::Verdict& verdict : source.verdicts) {
            snapshots.push_back({{"id", verdict.snapshot.id.hex()},
                                 {"time", to_rfc3339(verdict.snapshot.time)},
                                 {"forgotten", verdict.forgotten},
                                 {"reasons", verdict.decision.reasons}});
        }
        sources.push_back({{"source", source.source},
                           {"domain", source.domain},
                           {"policy", source.policy},
                           {"blocked", source.blocked},
                           {"snapshots", std::move(snapshots)}});
    }
    return {{"dry_run", dry_run},
            {"forgotten", result.forgotten()},
            {"sources", std::move(sources)},
            {"uncovered", result.uncovered},
            {"problems", result.problems}};
}

void print_result(const nlohmann::json& result) {
    const bool dry_run = flag_in(result, "dry_run");
    for (const nlohmann::json& source : list_in(result, "sources")) {
        const std::string name = text_in(source, "source");
        const nlohmann::json& snapshots = list_in(source, "snapshots");
        std::size_t going = 0;
        for (const nlohmann::json& snapshot : snapshots) {
            if (!flag_in(snapshot, "forgotten")) continue;
            ++going;
            fmt::print("{} {} of '{}' from {}: {}\n", dry_run ? "Would forget" : "Forgot",
                       short_id_in(snapshot, "id"), name, local_time_in(snapshot, "time"),
                       fmt::join(texts_in(snapshot, "reasons"), "; "));
        }
        fmt::print("{}: {} of {} {}\n", name, going, counted(snapshots.size(), "snapshot"),
                   dry_run ? "would go" : "went");
    }
    for (const std::string& source : texts_in(result, "uncovered"))
        fmt::print("{}: no policy; all stay\n", source);
    if (!dry_run && number_in(result, "forgotten") > 0)
        fmt::print("Their space is freed by 'holdfast prune'.\n");
}

int run_enforce(CommandContext& context, const Arguments& arguments) {
    const OpenRepository open = context.open(arguments.repository);
    const RetentionResult result = enforce_retention(
        *open.repository, context.configuration().policies,
        {.source = chosen(arguments), .dry_run = arguments.dry_run, .trust_clock = arguments.trust_clock},
        context.stop());
    require_policies(context, result.policies);
    return tell_retention(context, result_json(result, arguments.dry_run));
}

int enforce_at_server(CommandContext& context, const CLI::App& command, const Arguments& arguments) {
    refuse_options_but(command, {"--dry-run", "--trust-clock"});
    nlohmann::json request = nlohmann::json::object();
    set_unless_empty(request, "source", arguments.source);
    if (arguments.dry_run) request["dry_run"] = true;
    if (arguments.trust_clock) request["trust_clock"] = true;
    return work_at_server(context, "/v1/retention/runs", request, tell_retention);
}

} // namespace

int tell_retention(CommandContext& context, const nlohmann::json& result) {
    context.report(result, [&] { print_result(result); }, flag_in(result, "dry_run"));
    const std::vector<std::string> problems = texts_in(result, "problems");
    warn_of(context, problems);
    return problems.empty() ? exit_done : exit_incomplete;
}

void add_retention(CLI::App& app, RunCommand& run) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand("retention", "What policies keep, and until when");
    command->require_subcommand(1);
    const auto add = [&](const char* name, const char* text, int (*body)(CommandContext&, const Arguments&)) {
        CLI::App* sub = command->add_subcommand(name, text);
        add_repository_option(*sub, arguments->repository);
        sub->add_option("SOURCE", arguments->source, "Only this source");
        sub->callback([arguments, body, &run] {
            run = [arguments, body](CommandContext& context) { return body(context, *arguments); };
        });
        return sub;
    };
    CLI::App* simulate = add("simulate", "Show until when each snapshot lives, and why", run_simulate);
    simulate->add_option("--at", arguments->at, "As if it were that time, RFC 3339");
    simulate->add_option("--horizon", arguments->horizon, "How far to look ahead")->capture_default_str();
    CLI::App* enforce = add("enforce", "Forget what no policy keeps", run_enforce);
    enforce->add_flag("--dry-run", arguments->dry_run, "Say what would be forgotten, and do nothing");
    enforce->add_flag("--trust-clock", arguments->trust_clock, "Although nothing was backed up for a month");
    enforce->callback([arguments, enforce, &run] {
        run = [arguments](CommandContext& context) { return run_enforce(context, *arguments); };
        run.at_server = [arguments, enforce](CommandContext& context) {
            return enforce_at_server(context, *enforce, *arguments);
        };
    });
}

} // namespace holdfast
