#include "base/error.h"
#include "cli/at_server.h"
#include "cli/commands/prune_output.h"
#include "cli/commands/repository_option.h"
#include "cli/configuration.h"
#include "postgres/wal/lsn.h"
#include "repository/protocol/collector.h"
#include "service/log_release.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string repository;
    bool dry_run = false;
    double wait_seconds = 0;
    double patience_hours = 24;
    double tolerated_dead_part = 0.03;
    std::string rewrite_budget;
    std::vector<std::string> drop_logs;
    LogReleaseSettings log;
};

Duration from_seconds(double seconds) {
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

std::set<ArchiveId> archives_of(const std::vector<std::string>& names) {
    std::set<ArchiveId> archives;
    for (const std::string& name : names) {
        const auto archive = id_from_hex<16>(name);
        if (!archive) {
            throw Error(
                ErrorCode::usage, fmt::format("--drop-log {}: that is no log", name),
                "'holdfast prune --dry-run' lists the logs that no snapshot needs, by 32 digits each");
        }
        archives.insert(*archive);
    }
    return archives;
}

nlohmann::json logs_json(const CollectorReport& report) {
    nlohmann::json logs = nlohmann::json::array();
    for (const auto& [archive, bytes] : report.logs_without_snapshot)
        logs.push_back({{"archive", archive.hex()}, {"bytes", bytes}});
    return logs;
}

nlohmann::json released_json(const std::vector<ReleasedLog>& logs) {
    nlohmann::json released = nlohmann::json::array();
    for (const ReleasedLog& log : logs) {
        nlohmann::json one = {{"source", log.source},       {"policy", log.policy},
                              {"window", log.window},       {"archive", log.log.archive.hex()},
                              {"timeline", log.log.branch}, {"position", postgres::Lsn{log.position}.str()}};
        if (log.from) one["from"] = to_rfc3339(*log.from);
        released.push_back(std::move(one));
    }
    return released;
}

nlohmann::json result_json(const CollectorReport& report, const LogRelease& release, bool dry_run) {
    return {{"dry_run", dry_run},
            {"postponed", report.postponed},
            {"packs_before", report.packs_before},
            {"bytes_before", report.bytes_before},
            {"deleted_packs", report.deleted_packs},
            {"deleted_bytes", report.deleted_bytes},
            {"rewritten_packs", report.rewritten_packs},
            {"copied_bytes", report.copied_bytes},
            {"live_bytes", report.live_bytes},
            {"dead_bytes_kept", report.dead_bytes_kept},
            {"locked_packs", report.locked_packs},
            {"deleted_index_segments", report.deleted_index_segments},
            {"deleted_snapshots", report.deleted_snapshots},
            {"deleted_log_slices", report.deleted_log_slices},
            {"deleted_log_bytes", report.deleted_log_bytes},
            {"logs_without_snapshot", logs_json(report)},
            {"released_logs", released_json(release.logs)},
            {"waited_for", report.waited_for},
            {"fenced", report.fenced},
            {"problems", report.problems}};
}

int run_prune(CommandContext& context, const Arguments& arguments) {
    CollectorSettings settings;
    settings.dry_run = arguments.dry_run;
    settings.wait = from_seconds(arguments.wait_seconds);
    settings.patience = from_seconds(arguments.patience_hours * 3600);
    settings.tolerated_dead_part = arguments.tolerated_dead_part;
    settings.drop_logs = archives_of(arguments.drop_logs);
    const OpenRepository open = context.open(arguments.repository);
    if (!arguments.rewrite_budget.empty()) {
        settings.rewrite_budget_bytes = parse_size(arguments.rewrite_budget, "--rewrite-budget");
    } else if (open.repository->config().capabilities.object_lock) {
        settings.rewrite_budget_bytes = 0; // copies would lie there without the locks of what they replace
    }
    settings.pack_bytes = open.repository->config().pack_bytes;
    LogReleaseSettings log = arguments.log;
    log.dry_run = arguments.dry_run;
    LogRelease release = log_release(*open.repository, context.configuration().policies, log);
    settings.released_logs = release.floors();
    settings.log_units = release.units;
    Progress progress;
    CollectorReport report;
    {
        const ProgressDisplay display(progress, stderr, context.progress_style());
        report = collect_garbage(open.repository->context(), settings, progress, context.stop());
    }
    std::ranges::move(release.problems, std::back_inserter(report.problems));
    return tell_prune(context, result_json(report, release, arguments.dry_run));
}

int prune_at_server(CommandContext& context, const CLI::App& command) {
    refuse_options_but(command, {});
    return work_at_server(context, "/v1/prunes", nlohmann::json::object(), tell_prune);
}

} // namespace

void add_prune(CLI::App& app, RunCommand& run) {
    auto a = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand("prune", "Delete what no snapshot needs");
    add_repository_option(*command, a->repository);
    command->add_flag("--dry-run", a->dry_run, "Say what would be deleted, and do nothing");
    command->add_option("--wait", a->wait_seconds, "Seconds to wait for backups that are running")
        ->check(CLI::Range(0.0, 604800.0))
        ->capture_default_str();
    command
        ->add_option("--patience-hours", a->patience_hours,
                     "A backup without a sign of life for so long is given up")
        ->check(CLI::Range(0.0, 87600.0))
        ->capture_default_str();
    command
        ->add_option("--tolerate-dead-part", a->tolerated_dead_part,
                     "Packs are rewritten, the deadest first, until no more than this part is dead")
        ->check(CLI::Range(0.0, 1.0))
        ->capture_default_str();
    command->add_option(
        "--rewrite-budget", a->rewrite_budget,
        "How much may be copied for that; 4G unless the store can lock objects, then nothing");
    command
        ->add_option("--drop-log", a->drop_logs,
                     "Delete this log, of which there is no snapshot (as --dry-run names it)")
        ->type_name("LOG");
    command->add_flag("--keep-log", a->log.keep_log,
                      "Let go of no log between snapshots, whatever the windows of policies say");
    command->add_flag("--trust-clock", a->log.trust_clock,
                      "Let log go although nothing was backed up for a month, or the clock has leapt");
    command->callback([a, command, &run] {
        run = [a](CommandContext& context) { return run_prune(context, *a); };
        run.at_server = [command](CommandContext& context) { return prune_at_server(context, *command); };
    });
}

} // namespace holdfast
