// One screen: can I recover, to when, how fast, what is wrong.
#include "base/error.h"
#include "cli/commands/repository_option.h"
#include "cli/commands/source_option.h"
#include "cli/configuration.h"
#include "cli/text.h"
#include "service/status_json.h"
#include "watch/judgement.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

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

void print_recoverable(const SourceMeasurement& measurement, Timestamp now) {
    const SourceFacts& facts = measurement.facts;
    const BackupFacts* good = facts.newest_good();
    if (facts.window_start && facts.window_end) {
        fmt::print("  recoverable   any second from {} to {} ({}){}\n", local_time(*facts.window_start),
                   local_time(*facts.window_end), ago(*facts.window_end, now),
                   facts.gaps.empty() ? "" : fmt::format(", but for {}", counted(facts.gaps.size(), "gap")));
    } else if (good != nullptr) {
        fmt::print("  recoverable   as it was {} ({})\n", ago(good->time, now), local_time(good->time));
    } else {
        fmt::print("  recoverable   NOTHING\n");
    }
}

void print_backups(const SourceMeasurement& measurement, Timestamp now) {
    const BackupFacts* newest = measurement.facts.newest();
    if (newest == nullptr) return fmt::print("  backups       none\n");
    fmt::print("  backups       {}; the newest {}, {}, took {}{}\n",
               counted(measurement.snapshots, "snapshot"), ago(newest->time, now),
               format_bytes(newest->bytes),
               format_duration(std::chrono::duration<double>(newest->took.value_or(Duration{})).count()),
               newest->good ? "" : ", NOT WHOLE");
}

void print_source(const SourceMeasurement& measurement, const std::vector<Judgement>& wrong, Timestamp now) {
    const SourceFacts& facts = measurement.facts;
    fmt::print("{} ({}){}\n", facts.source, facts.kind.empty() ? "unknown kind" : facts.kind,
               facts.policy.empty() ? ", no policy" : ", policy " + facts.policy);
    print_recoverable(measurement, now);
    print_backups(measurement, now);
    if (facts.exposure_seconds)
        fmt::print("  not stored    {}\n", *facts.exposure_seconds == 0
                                               ? std::string("nothing: all that was written is stored")
                                               : "the last " + length_text(*facts.exposure_seconds));
    if (!measurement.exposure_unknown.empty())
        fmt::print("  not stored    not known: {}\n", measurement.exposure_unknown);
    if (measurement.estimated_recovery_seconds)
        fmt::print("  recovery      about {}, as the repository answers now\n",
                   format_duration(*measurement.estimated_recovery_seconds));
    fmt::print("  verified      {}\n", facts.verification
                                           ? fmt::format("{}, {}", ago(facts.verification->time, now),
                                                         facts.verification->good ? "intact" : "DAMAGED")
                                           : std::string("never"));
    for (const std::string& note : measurement.notes) fmt::print("  note          {}\n", note);
    for (const Judgement& judgement : wrong) {
        if (judgement.subject != facts.source || judgement.rule->subject != RuleSubject::source) continue;
        fmt::print("  {}            {}: {}\n", to_string(judgement.severity), judgement.rule->title,
                   judgement.summary);
    }
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
    const std::vector<Judgement> wrong =
        breaches(measurements, RuleBook(context.configuration().alerts), now);
    nlohmann::json value = {{"time", to_rfc3339(now)},
                            {"sources", nlohmann::json::array()},
                            {"problems", nlohmann::json::array()}};
    for (const SourceMeasurement& source : measurements.sources) value["sources"].push_back(to_json(source));
    for (const Judgement& judgement : wrong)
        value["problems"].push_back({{"rule", judgement.rule->name},
                                     {"subject", judgement.subject},
                                     {"severity", to_string(judgement.severity)},
                                     {"summary", judgement.summary},
                                     {"runbook", judgement.rule->runbook(judgement.subject)}});
    context.print(value, [&] {
        if (measurements.sources.empty()) fmt::print("There is nothing to recover, and no source is named\n");
        for (const SourceMeasurement& source : measurements.sources) print_source(source, wrong, now);
        const auto& disk = measurements.repository;
        if (disk.free_bytes && disk.capacity_bytes)
            fmt::print("Repository: {} of {} free on its disk\n", format_bytes(*disk.free_bytes),
                       format_bytes(*disk.capacity_bytes));
        for (const Judgement& judgement : wrong)
            if (judgement.rule->subject != RuleSubject::source)
                fmt::print("{}: {}: {}\n", to_string(judgement.severity), judgement.rule->title,
                           judgement.summary);
        fmt::print("{}\n", wrong.empty() ? "All is well."
                                         : counted(wrong.size(), "thing needs you", "things need you") + ".");
    });
    return wrong.empty() ? exit_done : exit_incomplete;
}

} // namespace

void add_status(CLI::App& app, RunCommand& run) {
    auto repository = std::make_shared<std::string>();
    CLI::App* command =
        app.add_subcommand("status", "Can I recover, to when, how fast, and what is wrong: on one screen");
    add_repository_option(*command, *repository);
    command->callback([repository, &run] {
        run = [repository](CommandContext& context) { return run_status(context, *repository); };
    });
}

} // namespace holdfast
