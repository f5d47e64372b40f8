#include "service/retention.h"

#include "base/error.h"
#include "cli/at_server.h"
#include "cli/commands/repository_option.h"
#include "cli/commands/retention_output.h"
#include "cli/configuration.h"
#include "cli/fields.h"
#include "cli/problems.h"
#include "cli/say.h"
#include "cli/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace holdfast {

namespace {

constexpr const char* usual_horizon = "10y";

struct Arguments {
    std::string repository;
    std::string source;
    std::string at;
    std::string horizon;
    bool dry_run = false;
    bool trust_clock = false;
    bool idle = false;
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

nlohmann::json fate_json(const RetentionSubject& subject, const Fate& fate) {
    return {{"id", subject.id},
            {"time", to_rfc3339(subject.time)},
            {"class", subject.class_name},
            {"goes", fate.goes ? nlohmann::json(to_rfc3339(*fate.goes)) : nlohmann::json()},
            {"reasons", fate.reasons},
            {"last_reasons", fate.last_reasons}};
}

// Without a policy everything stays.
std::vector<Fate> fates_of(const SourceSnapshots& source, Timestamp now, Timestamp horizon,
                           const std::stop_token& stop) {
    if (source.policy != nullptr)
        return forecast_retention(source.policy->retention, source.subjects,
                                  forecast_for(*source.policy, source.source, source.subjects, now, horizon),
                                  stop);
    const Fate stays{.goes = {}, .reasons = {"no policy covers its source"}, .last_reasons = {}};
    return std::vector<Fate>(source.subjects.size(), stays);
}

std::string fate_text(const nlohmann::json& fate, Timestamp now) {
    const auto goes = time_in(fate, "goes");
    if (!goes) return "stays";
    return *goes <= now ? "goes now" : local_time(*goes);
}

void print_fates(const nlohmann::json& source, Timestamp now) {
    const nlohmann::json& snapshots = list_in(source, "snapshots");
    const std::string name = text_in(source, "source");
    if (!has(source, "policy")) {
        say("{}: no policy; all {} stay\n", name, counted(snapshots.size(), "snapshot"));
        return;
    }
    say("{}: policy {}\n", name, text_in(source, "policy"));
    say("  {:<10}{:<21}{:<17}{:<21}{}\n", "ID", "TIME", "CLASS", "LIVES UNTIL", "WHY");
    for (auto fate = snapshots.rbegin(); fate != snapshots.rend(); ++fate) {
        const std::vector<std::string> reasons = texts_in(*fate, "reasons"),
                                       last = texts_in(*fate, "last_reasons");
        std::string why = fmt::format("{}", fmt::join(reasons, "; "));
        if (!last.empty() && last != reasons) why += fmt::format("; last: {}", fmt::join(last, "; "));
        const std::string class_name = text_in(*fate, "class");
        say("  {:<10}{:<21}{:<17}{:<21}{}\n", short_id_in(*fate, "id"), local_time_in(*fate, "time"),
            class_name.empty() ? "-" : class_name, fate_text(*fate, now), why);
    }
}

void print_forecast(const nlohmann::json& sources, Timestamp now) {
    for (const nlohmann::json& source : sources) print_fates(source, now);
    if (sources.empty()) say("(no snapshots)\n");
}

int run_simulate(CommandContext& context, const Arguments& arguments) {
    const OpenRepository open = context.open(arguments.repository);
    const Timestamp now = arguments.at.empty() ? open.repository->clock().now() : from_rfc3339(arguments.at);
    const RetentionView view =
        view_retention(*open.repository, context.configuration().policies, chosen(arguments));
    require_policies(context, view.policies.size());
    const Timestamp horizon =
        Period::parse(arguments.horizon.empty() ? usual_horizon : arguments.horizon, "--horizon")
            .after(now, TimeZone());
    nlohmann::json value = nlohmann::json::array();
    for (const SourceSnapshots& source : view.sources) {
        const std::vector<Fate> fates = fates_of(source, now, horizon, context.stop());
        nlohmann::json snapshots = nlohmann::json::array();
        for (std::size_t i = 0; i < fates.size(); ++i)
            snapshots.push_back(fate_json(source.subjects[i], fates[i]));
        value.push_back(
            {{"source", source.source},
             {"domain", source.domain},
             {"policy", source.policy != nullptr ? nlohmann::json(source.policy->name) : nlohmann::json()},
             {"snapshots", std::move(snapshots)}});
    }
    context.print(value, [&] { print_forecast(value, now); });
    return tell_problems(context, view.problems);
}

// The server tells of each snapshot by itself, those of a source one after the other.
void add_to(nlohmann::json& sources, const nlohmann::json& told) {
    const auto is_its = [&](const nlohmann::json& source) {
        return text_in(source, "source") == text_in(told, "source") &&
               text_in(source, "domain") == text_in(told, "domain");
    };
    if (sources.empty() || !is_its(sources.back()))
        sources.push_back({{"source", text_in(told, "source")},
                           {"domain", text_in(told, "domain")},
                           {"policy", has(told, "policy") ? told["policy"] : nlohmann::json()},
                           {"snapshots", nlohmann::json::array()}});
    nlohmann::json fate = told;
    for (const char* member : {"source", "domain", "policy", "blocked"}) fate.erase(member);
    sources.back()["snapshots"].push_back(std::move(fate));
}

int simulate_at_server(CommandContext& context, const Arguments& arguments) {
    ApiClient& api = context.api();
    const Timestamp now = arguments.at.empty() ? api.clock().now() : from_rfc3339(arguments.at);
    ApiQuery query;
    const auto add = [&](const char* name, const std::string& text) {
        if (!text.empty()) query.emplace_back(name, text);
    };
    add("source", arguments.source);
    add("at", arguments.at);
    add("horizon", arguments.horizon);
    nlohmann::json sources = nlohmann::json::array();
    bool covered = false;
    std::vector<std::string> problems;
    api.each_part("/v1/retention/forecast", query, [&](const nlohmann::json& part) {
        for (const nlohmann::json& told : part["items"]) {
            if (!told.is_object())
                throw Error(ErrorCode::incompatible, "the forecast is of another form",
                            "is the server of another version?");
            add_to(sources, told);
            covered = covered || has(told, "policy");
        }
        problems = texts_in(part, "problems");
        return true;
    });
    if (sources.empty() && !arguments.source.empty())
        throw Error(ErrorCode::not_found,
                    fmt::format("there is no snapshot of a source '{}'", arguments.source),
                    "'holdfast snapshots' lists those that there are");
    if (!covered && api.list("/v1/policies").empty())
        throw Error(ErrorCode::usage, fmt::format("there is no policy at {}", api.url()),
                    "make one: POST /v1/policies, or [policy.NAME] in the server's holdfast.toml");
    context.print(sources, [&] { print_forecast(sources, now); });
    return tell_problems(context, problems);
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
            say("{} {} of '{}' from {}: {}\n", dry_run ? "Would forget" : "Forgot",
                short_id_in(snapshot, "id"), name, local_time_in(snapshot, "time"),
                fmt::join(texts_in(snapshot, "reasons"), "; "));
        }
        say("{}: {} of {} {}\n", name, going, counted(snapshots.size(), "snapshot"),
            dry_run ? "would go" : "went");
    }
    for (const std::string& source : texts_in(result, "uncovered")) say("{}: no policy; all stay\n", source);
    if (!dry_run && number_in(result, "forgotten") > 0) say("Their space is freed by 'holdfast prune'.\n");
}

int run_enforce(CommandContext& context, const Arguments& arguments) {
    const OpenRepository open = context.open(arguments.repository);
    const RetentionResult result =
        enforce_retention(*open.repository, context.configuration().policies,
                          {.source = chosen(arguments),
                           .dry_run = arguments.dry_run,
                           .trust = {.clock = arguments.trust_clock, .idle = arguments.idle}},
                          context.stop());
    require_policies(context, result.policies);
    return tell_retention(context, result_json(result, arguments.dry_run));
}

int enforce_at_server(CommandContext& context, const CLI::App& command, const Arguments& arguments) {
    refuse_options_but(command, {"--dry-run", "--trust-clock", "--idle"});
    nlohmann::json request = nlohmann::json::object();
    set_unless_empty(request, "source", arguments.source);
    if (arguments.dry_run) request["dry_run"] = true;
    if (arguments.trust_clock) request["trust_clock"] = true;
    if (arguments.idle) request["idle"] = true;
    return work_at_server(context, "/v1/retention/runs", request, tell_retention);
}

} // namespace

int tell_retention(CommandContext& context, const nlohmann::json& result) {
    context.report(result, [&] { print_result(result); }, flag_in(result, "dry_run"));
    return tell_problems(context, texts_in(result, "problems"));
}

void add_retention(CLI::App& app, RunCommand& run) {
    auto arguments = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand("retention", "What policies keep, and until when");
    command->require_subcommand(1);
    const auto add = [&](const char* name, const char* text) {
        CLI::App* sub = command->add_subcommand(name, text);
        add_repository_option(*sub, arguments->repository);
        sub->add_option("SOURCE", arguments->source, "Only this source");
        return sub;
    };
    CLI::App* simulate = add("simulate", "Show until when each snapshot lives, and why");
    simulate->add_option("--at", arguments->at, "As if it were that time, RFC 3339");
    simulate->add_option("--horizon", arguments->horizon, "How far to look ahead")
        ->default_str(usual_horizon);
    simulate->callback([arguments, &run] {
        run = [arguments](CommandContext& context) { return run_simulate(context, *arguments); };
        run.at_server = [arguments](CommandContext& context) {
            return simulate_at_server(context, *arguments);
        };
    });
    CLI::App* enforce = add("enforce", "Forget what no policy keeps");
    enforce->add_flag("--dry-run", arguments->dry_run, "Say what would be forgotten, and do nothing");
    enforce->add_flag("--trust-clock", arguments->trust_clock,
                      "The clock is right as it is, although it is in doubt; ends the doubt, so say it once");
    enforce->add_flag("--idle", arguments->idle, "Although nothing was backed up for a month");
    enforce->callback([arguments, enforce, &run] {
        run = [arguments](CommandContext& context) { return run_enforce(context, *arguments); };
        run.at_server = [arguments, enforce](CommandContext& context) {
            return enforce_at_server(context, *enforce, *arguments);
        };
    });
}

} // namespace holdfast
