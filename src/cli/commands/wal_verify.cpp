#include "cli/commands/wal_verify.h"

#include "base/error.h"
#include "cli/commands/repository_option.h"
#include "cli/commands/source_option.h"
#include "cli/commands/window_output.h"
#include "cli/say.h"
#include "cli/text.h"
#include "postgres/continuity/verify_wal.h"
#include "service/window_json.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string repository, source, from;
    bool newest = false;
};

postgres::WalVerifySettings settings_of(const Arguments& arguments, const std::string& source) {
    postgres::WalVerifySettings settings;
    settings.source = source;
    settings.newest = arguments.newest;
    if (!arguments.from.empty()) {
        settings.from = postgres::parse_lsn(arguments.from);
        if (!settings.from) settings.reaching = from_rfc3339(arguments.from);
    }
    return settings;
}

nlohmann::json range_json(const postgres::WalRange& range) {
    return {{"timeline", range.timeline}, {"begin_lsn", range.begin.str()}, {"end_lsn", range.end.str()}};
}

nlohmann::json result_json(const postgres::WalVerifyReport& report) {
    nlohmann::json timelines = nlohmann::json::array(), findings = nlohmann::json::array(),
                   idle = nlohmann::json::array();
    for (const postgres::VerifiedTimeline& timeline : report.timelines) {
        nlohmann::json stretches = nlohmann::json::array();
        for (const postgres::WalRange& range : timeline.stretches) stretches.push_back(range_json(range));
        timelines.push_back({{"timeline", timeline.timeline},
                             {"stretches", stretches},
                             {"records", timeline.records},
                             {"commits", timeline.commits}});
    }
    for (const postgres::WalFinding& finding : report.findings) {
        findings.push_back({{"fault", to_string(finding.fault)},
                            {"timeline", finding.timeline},
                            {"lsn", finding.at.str()},
                            {"object", finding.object},
                            {"what", finding.what}});
    }
    for (const postgres::WalRange& gap : report.idle_gaps) idle.push_back(range_json(gap));
    nlohmann::json value = to_json(report.window);
    value["intact"] = report.intact();
    value["decoded"] = report.decoded;
    value["from_lsn"] = report.from.str();
    value["slices"] = report.slices;
    value["bytes"] = report.bytes;
    value["closed_slices"] = report.closed_slices;
    value["timelines"] = timelines;
    value["findings"] = findings;
    value["more_findings"] = report.more_findings;
    value["idle_gaps"] = idle;
    return value;
}

void print_result(const std::string& source, const postgres::WalVerifyReport& report) {
    say("{} with {} of log\n", counted(report.slices, "slice"), format_bytes(report.bytes));
    for (const postgres::VerifiedTimeline& timeline : report.timelines) {
        for (const postgres::WalRange& range : timeline.stretches) {
            say("Timeline {}: {} to {} ({}) {}\n", timeline.timeline, range.begin.str(), range.end.str(),
                format_bytes(range.bytes()), report.decoded ? "is proven" : "is there");
        }
        if (report.decoded)
            say("  {}, {}\n", counted(timeline.records, "record"), counted(timeline.commits, "commit"));
    }
    for (const postgres::WalRange& gap : report.idle_gaps) {
        say("Timeline {}: {} to {} is missing, and needed by nothing that is kept\n", gap.timeline,
            gap.begin.str(), gap.end.str());
    }
    for (const postgres::RecoverableRange& range : report.window.ranges) {
        say("'{}' can be recovered to any moment from {} to {}\n", source, to_rfc3339(range.from),
            to_rfc3339(range.until));
    }
    print_released(stdout, to_json(report.window));
    if (report.intact() && report.all_checked()) say("Intact\n");
}

void print_problems(std::FILE* stream, const postgres::WalVerifyReport& report) {
    if (!report.decoded) say(stream, "Not decoded: no key for the content of the log is held\n");
    if (report.closed_slices > 0)
        say(stream, "Not checked: {}, for lack of a key\n", counted(report.closed_slices, "slice"));
    for (const postgres::WalFinding& finding : report.findings) {
        say(stream, "Timeline {}, {}, {}: {}\n", finding.timeline, finding.at.str(), to_string(finding.fault),
            finding.what);
        if (!finding.object.empty()) say(stream, "  {}\n", finding.object);
    }
    if (report.more_findings > 0) say(stream, "  and {} more\n", report.more_findings);
    const nlohmann::json window = to_json(report.window);
    print_gaps(stream, window);
    print_forks(stream, window);
    if (!report.window.gaps.empty() || !report.window.missing_histories.empty()) {
        say(stream,
            "What is missing may still be in pg_wal or in an archive of the server: 'holdfast wal push' "
            "brings it here. Where it is lost, a new snapshot begins anew: 'holdfast backup'\n");
    }
}

int run_verify(CommandContext& context, const Arguments& arguments) {
    const SourceConfiguration source = source_named(context, arguments.source, postgres::snapshot_kind);
    const postgres::WalVerifySettings settings = settings_of(arguments, source.name);
    const OpenRepository open = context.open(arguments.repository);
    Progress progress;
    postgres::WalVerifyReport report;
    {
        const ProgressDisplay display(progress, stderr, context.progress_style());
        report = postgres::verify_wal(*open.repository, settings, progress, context.stop());
    }
    context.report(result_json(report), [&] { print_result(source.name, report); });
    if (!context.json()) print_problems(context.problem_stream(), report);
    if (!report.intact()) return exit_failed;
    return report.all_checked() ? exit_done : exit_incomplete;
}

} // namespace

void add_wal_verify(CLI::App& group, RunCommand& run) {
    auto a = std::make_shared<Arguments>();
    CLI::App* command =
        group.add_subcommand("verify", "Prove that the stored log is whole, and find its gaps");
    add_repository_option(*command, a->repository);
    command->add_option("SOURCE", a->source, "Name of the source")->required();
    CLI::Option* from = command->add_option(
        "--from", a->from, "Only from here on: a position (16/B374D848), or a time to be reached");
    command->add_flag("--newest", a->newest, "Only what the newest snapshot needs, and what follows it")
        ->excludes(from);
    command->callback([a, &run] { run = [a](CommandContext& context) { return run_verify(context, *a); }; });
}

} // namespace holdfast
