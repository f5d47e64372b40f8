// One screen: can I recover, to when, how fast, what is wrong.
#include "base/error.h"
#include "cli/commands/repository_option.h"
#include "cli/commands/source_option.h"
#include "cli/configuration.h"
#include "cli/fields.h"
#include "cli/say.h"
#include "cli/text.h"
#include "client/api_client.h"
#include "service/status_json.h"
#include "watch/judgement.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

using nlohmann::json;

std::string ago(Timestamp time, Timestamp now) {
    return fmt::format("{} ago", length_text(std::chrono::duration<double>(now - time).count()));
}

// What is wrong, the worst first.
std::vector<Judgement> breaches(const ProtectionStatus& measurements, const RuleBook& rules, Timestamp now) {
    std::vector<Judgement> found = judge(measurements.facts(now), rules);
    std::erase_if(found, [](const Judgement& judgement) { return judgement.verdict != Verdict::breach; });
    std::ranges::stable_sort(found, {}, &Judgement::severity);
    return found;
}

bool is_about_source(const json& problem) {
    return text_in(problem, "subject_kind") == to_string(RuleSubject::source);
}

void print_recoverable(const json& source, Timestamp now) {
    const auto begin = time_in(source, "window_start"), end = time_in(source, "window_end"),
               good = time_in(source, "newest_good");
    const std::size_t gaps = list_in(source, "gaps").size();
    if (begin && end) {
        say("  recoverable   any second from {} to {} ({}){}\n", local_time(*begin), local_time(*end),
            ago(*end, now), gaps == 0 ? "" : fmt::format(", but for {}", counted(gaps, "gap")));
    } else if (good) {
        say("  recoverable   as it was {} ({})\n", ago(*good, now), local_time(*good));
    } else {
        say("  recoverable   NOTHING\n");
    }
}

void print_backups(const json& source, Timestamp now) {
    const auto newest = time_in(source, "newest");
    if (!newest) return say("  backups       none\n");
    say("  backups       {}; the newest {}, {}, took {}{}\n",
        counted(number_in(source, "snapshots"), "snapshot"), ago(*newest, now),
        format_bytes(number_in(source, "newest_size_bytes")),
        format_duration(real_in(source, "newest_took_seconds")),
        flag_in(source, "newest_whole") ? "" : ", NOT WHOLE");
}

void print_source(const json& source, const json& problems, Timestamp now) {
    const std::string name = text_in(source, "source"), kind = text_in(source, "kind"),
                      policy = text_in(source, "policy");
    say("{} ({}){}\n", name, kind.empty() ? "unknown kind" : kind,
        policy.empty() ? ", no policy" : ", policy " + policy);
    print_recoverable(source, now);
    print_backups(source, now);
    if (has(source, "exposure_seconds")) {
        const double seconds = real_in(source, "exposure_seconds");
        const std::string bound = text_in(source, "exposure_bound");
        // A commit may be as new as that.
        const bool none = seconds == 0 && !has(source, "exposure_since");
        say("  not stored    {}\n",
            none ? std::string("nothing: every commit is stored")
                 : fmt::format("{}the last {}{}", bound.empty() ? "" : "at most ", length_text(seconds),
                               bound.empty() ? "" : ": " + bound));
    }
    if (const std::string unknown = text_in(source, "exposure_unknown"); !unknown.empty())
        say("  not stored    not known: {}\n", unknown);
    if (has(source, "estimated_recovery_seconds"))
        say("  recovery      about {}, as the repository answers now\n",
            format_duration(real_in(source, "estimated_recovery_seconds")));
    const json& verified = list_in(source, "verified");
    const auto verified_at = time_in(verified, "time");
    say("  verified      {}\n", verified_at ? fmt::format("{}, {}", ago(*verified_at, now),
                                                          flag_in(verified, "good") ? "intact" : "DAMAGED")
                                            : std::string("never"));
    for (const std::string& note : texts_in(source, "notes")) say("  note          {}\n", note);
    for (const json& problem : problems)
        if (is_about_source(problem) && text_in(problem, "subject") == name)
            say("  {}            {}: {}\n", text_in(problem, "severity"), text_in(problem, "title"),
                text_in(problem, "summary"));
}

void print_status(const json& value) {
    const json& sources = list_in(value, "sources");
    const json& problems = list_in(value, "problems");
    const Timestamp now = time_in(value, "time").value_or(system_clock().now());
    if (sources.empty()) say("There is nothing to recover, and no source is named\n");
    for (const json& source : sources) print_source(source, problems, now);
    const json& disk = list_in(value, "repository");
    if (has(disk, "free_bytes") && has(disk, "capacity_bytes"))
        say("Repository: {} of {} free on its disk\n", format_bytes(number_in(disk, "free_bytes")),
            format_bytes(number_in(disk, "capacity_bytes")));
    for (const json& problem : problems)
        if (!is_about_source(problem))
            say("{}: {}: {}\n", text_in(problem, "severity"), text_in(problem, "title"),
                text_in(problem, "summary"));
    if (const std::uint64_t due = number_in(value, "checklist_items_due"); due > 0)
        say("Checklists: {} due today or missed (holdfast checklist list)\n", counted(due, "item"));
    say("{}\n", problems.empty() ? "All is well."
                                 : counted(problems.size(), "thing needs you", "things need you") + ".");
}

int tell_status(CommandContext& context, const json& value) {
    context.print(value, [&] { print_status(value); });
    return list_in(value, "problems").empty() ? exit_done : exit_incomplete;
}

json problem_json(const Judgement& judgement) {
    const Rule& rule = *judgement.rule;
    return {{"rule", rule.name},
            {"title", rule.title},
            {"subject", judgement.subject},
            {"subject_kind", to_string(rule.subject)},
            {"severity", to_string(judgement.severity)},
            {"summary", judgement.summary},
            {"runbook", rule.runbook(judgement.subject)}};
}

int run_status(CommandContext& context, const std::string& repository) {
    const RepositoryAccess access = context.access(repository);
    const OpenRepository open = open_repository(access, context.logger());
    const MeasureSettings settings{.sources =
                                       measured_sources(context, context.configuration().sources, repository),
                                   .estimate_recovery = true};
    const ProtectionStatus measurements =
        measure(*open.repository, context.configuration().policies, settings, context.stop());
    const Timestamp now = system_clock().now();
    json value = {{"time", to_rfc3339(now)}, {"sources", json::array()}, {"problems", json::array()}};
    for (const SourceMeasurement& source : measurements.sources) value["sources"].push_back(to_json(source));
    for (const Judgement& judgement : breaches(measurements, RuleBook(context.configuration().alerts), now))
        value["problems"].push_back(problem_json(judgement));
    const RepositoryFacts& disk = measurements.repository;
    if (disk.free_bytes && disk.capacity_bytes)
        value["repository"] = {{"free_bytes", *disk.free_bytes}, {"capacity_bytes", *disk.capacity_bytes}};
    return tell_status(context, value);
}

// How many items of checklists are to be seen to within a day, or were missed. None where a server of another
// version knows of no lists.
std::uint64_t items_due(ApiClient& api, Timestamp now) {
    json lists;
    try {
        lists = api.get("/v1/checklists");
    } catch (const Error& error) {
        if (error.code() != ErrorCode::not_found) throw;
    }
    std::uint64_t due = 0;
    for (const json& list : list_in(lists, "items")) {
        const bool is_soon = time_in(list, "ends").value_or(now) <= now + std::chrono::days(1);
        for (const json& item : list_in(list, "items"))
            if (text_in(item, "state") == "due" &&
                (is_soon || text_in(list_in(item, "last"), "state") == "missed"))
                ++due;
    }
    return due;
}

// There the rules have been judged already: what is wrong are the alerts that are open.
int status_at_server(CommandContext& context) {
    ApiClient& api = context.api();
    const json sources = api.get("/v1/sources");
    std::vector<json> problems;
    for (const json& alert : api.list("/v1/alerts", {{"state", "firing,acknowledged"}})) {
        json& problem = problems.emplace_back(json::object());
        for (const char* member : {"rule", "title", "subject", "subject_kind", "severity", "summary"})
            problem[member] = text_in(alert, member);
        const Rule* rule = find_rule(text_in(alert, "rule"));
        problem["runbook"] = rule == nullptr ? std::string() : rule->runbook(text_in(alert, "subject"));
    }
    std::ranges::stable_sort(problems, {}, [](const json& one) { return text_in(one, "severity"); });
    const Timestamp now = system_clock().now();
    return tell_status(context, {{"time", to_rfc3339(now)},
                                 {"sources", list_in(sources, "items")},
                                 {"problems", problems},
                                 {"checklist_items_due", items_due(api, now)}});
}

} // namespace

void add_status(CLI::App& app, RunCommand& run) {
    auto repository = std::make_shared<std::string>();
    CLI::App* command =
        app.add_subcommand("status", "Can I recover, to when, how fast, and what is wrong: on one screen");
    add_repository_option(*command, *repository);
    command->callback([repository, &run] {
        run = [repository](CommandContext& context) { return run_status(context, *repository); };
        run.at_server = status_at_server;
    });
}

} // namespace holdfast
