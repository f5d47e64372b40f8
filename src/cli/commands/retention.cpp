#include "service/retention.h"

#include "base/error.h"
#include "cli/commands/repository_option.h"
#include "cli/configuration.h"
#include "cli/text.h"

#include <algorithm>

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

const std::vector<Policy>& policies_of(CommandContext& context) {
    const std::vector<Policy>& policies = context.configuration().policies;
    if (policies.empty()) {
        throw Error(ErrorCode::usage,
                    context.configuration().file.empty()
                        ? std::string("there is no configuration file, and so no policy")
                        : fmt::format("there is no policy in {}", context.configuration().file),
                    "write one: [policy.NAME] with sources and [policy.NAME.retention]; see holdfast(1)");
    }
    return policies;
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
    const std::vector<Policy>& policies = policies_of(context);
    const OpenRepository open = context.open(arguments.repository);
    const Timestamp now = arguments.at.empty() ? open.repository->clock().now() : from_rfc3339(arguments.at);
    const Timestamp horizon = Period::parse(arguments.horizon, "--horizon").after(now, TimeZone());
    const RetentionView view = view_retention(*open.repository, policies, chosen(arguments));
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

void print_result(const RetentionResult& result, bool dry_run) {
    for (const RetentionResult::Source& source : result.sources) {
        for (const RetentionResult::Verdict& verdict : source.verdicts) {
            if (!verdict.forgotten) continue;
            fmt::print("{} {} of '{}' from {}: {}\n", dry_run ? "Would forget" : "Forgot",
                       short_id(verdict.snapshot.id.hex()), source.source, local_time(verdict.snapshot.time),
                       fmt::join(verdict.decision.reasons, "; "));
        }
        const auto going = static_cast<std::size_t>(
            std::ranges::count(source.verdicts, true, &RetentionResult::Verdict::forgotten));
        fmt::print("{}: {} of {} {}\n", source.source, going, counted(source.verdicts.size(), "snapshot"),
                   dry_run ? "would go" : "went");
    }
    for (const std::string& source : result.uncovered) fmt::print("{}: no policy; all stay\n", source);
    if (!dry_run && result.forgotten() > 0) fmt::print("Their space is freed by 'holdfast prune'.\n");
}

int run_enforce(CommandContext& context, const Arguments& arguments) {
    const std::vector<Policy>& policies = policies_of(context);
    const OpenRepository open = context.open(arguments.repository);
    const RetentionResult result = enforce_retention(
        *open.repository, policies,
        {.source = chosen(arguments), .dry_run = arguments.dry_run, .trust_clock = arguments.trust_clock},
        context.stop());
    context.report(
        result_json(result, arguments.dry_run), [&] { print_result(result, arguments.dry_run); },
        arguments.dry_run);
    warn_of(context, result.problems);
    return result.problems.empty() ? exit_done : exit_incomplete;
}

} // namespace

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
}

} // namespace holdfast
