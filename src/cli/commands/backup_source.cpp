#include "cli/commands/backup_source.h"

#include "base/error.h"
#include "cli/commands/backup_output.h"
#include "cli/commands/source_option.h"
#include "cli/duration_option.h"
#include "cli/option_rules.h"
#include "service/back_up_postgres.h"
#include "service/snapshot_json.h"
#include "service/stated_policies.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

PostgresBackupType type_of(const std::string& word) {
    return word == "full"          ? PostgresBackupType::full
           : word == "incremental" ? PostgresBackupType::incremental
                                   : PostgresBackupType::automatic;
}

nlohmann::json result_json(const PostgresBackupResult& result) {
    nlohmann::json value = to_json(result.report.snapshot);
    value["snapshot"] = value["id"];
    value["failed"] = result.capture.totals.failed;
    value["incremental"] = result.incremental;
    if (!result.incremental) value["full_because"] = result.full_because;
    value["timeline"] = result.log.timeline;
    value["start_lsn"] = result.log.begin.str();
    value["stop_lsn"] = result.log.end.str();
    value["system_identifier"] = fmt::format("{}", result.facts.system_identifier);
    value["server_version"] = result.facts.version_text;
    value["read_from_disk_bytes"] = result.capture.bytes_from_disk;
    value["seconds"] = {{"start", result.start_seconds},
                        {"capture", result.capture_seconds},
                        {"stop", result.stop_seconds},
                        {"log", result.log_seconds}};
    nlohmann::json bad = nlohmann::json::array();
    for (const postgres::BadPage& page : result.capture.pages.bad)
        bad.push_back({{"path", page.path}, {"block", page.block}, {"why", page.why}});
    value["bad_pages"] = bad;
    value["bad_page_count"] = result.capture.pages.bad_pages;
    nlohmann::json problems = nlohmann::json::array();
    for (const postgres::CaptureProblem& problem : result.capture.problems)
        problems.push_back({{"path", problem.path}, {"reason", problem.what}});
    value["problems"] = problems;
    value["unnamed_changes"] = result.capture.unnamed_changes;
    nlohmann::json unnamed = nlohmann::json::array();
    for (const postgres::UnnamedChange& change : result.capture.unnamed)
        unnamed.push_back({{"relation", change.segment.relation.number},
                           {"segment", change.segment.segment},
                           {"block", change.block}});
    value["unnamed"] = unnamed;
    value["alarms"] = result.alarms;
    if (const auto& lock = result.report.lock) {
        value["locked_until"] = to_rfc3339(lock->until);
        value["locked_packs"] = lock->packs;
        value["locked_log_slices"] = lock->log_slices;
    }
    return value;
}

// Where the processor is the limit, database pages are hardly smaller at level 3 than at 1, some larger, at
// half the speed.
constexpr LevelSettings page_levels{.lowest = 1, .highest = 12, .start = 1};

} // namespace

void add_source_backup_options(CLI::App& command, SourceBackupOptions& options) {
    const OptionHeading heading(command, options_for_postgresql);
    command.add_option("--type", options.type, "What is read")
        ->check(CLI::IsMember({"auto", "full", "incremental"}))
        ->capture_default_str();
    command
        .add_option("--wait-limit", options.wait_limit,
                    "How long the server may take to begin and to end a backup")
        ->capture_default_str();
    command.add_option("--limit-read", options.limit_read,
                       "Bytes a second read from the data directory or the server, such as 50M");
    command.add_flag("--compare", options.compare,
                     "Read everything, and tell of pages that changed although the log does not say so");
    command.add_flag("--new-cluster", options.new_cluster,
                     "Another cluster has taken the place of the one that the source was");
    command.add_flag("--spread-checkpoint", options.spread_checkpoint,
                     "Let the server take its time for the checkpoint that begins the backup");
}

void check_source_backup_options(const CLI::App& command) {
    // What is compared is everything.
    if (command.get_option("--type")->as<std::string>() == "auto") return;
    const std::vector<ExclusiveOptions> exclusive = {{"--type", "--compare"}};
    refuse_options_together(command, exclusive);
}

int run_source_backup(CommandContext& context, const std::string& name, const std::string& repository,
                      const SourceBackupOptions& options, BackupRunSettings run) {
    const SourceConfiguration source = source_named(context, name, "postgresql");
    PostgresBackup what;
    what.run = std::move(run);
    what.run.source = name;
    // What the command line fixes comes first.
    if (LevelSettings& level = what.run.pipeline.level; level.lowest != level.highest)
        level = source.compression_level != 0
                    ? LevelSettings::fixed(static_cast<int>(source.compression_level))
                    : page_levels;
    what.connection = source.connection;
    what.data_directory = source.data_directory;
    what.spool_directory = spool_directory_of(context, source, repository);
    what.type = type_of(options.type);
    what.compare = options.compare;
    what.new_cluster = options.new_cluster;
    what.fast_checkpoint = !options.spread_checkpoint;
    what.wait_limit = parse_duration(options.wait_limit, "--wait-limit");
    what.bytes_per_second = !options.limit_read.empty() ? parse_size(options.limit_read, "--limit-read")
                                                        : std::uint64_t{source.rate_limit_mib} << 20;
    const OpenRepository open = context.open(repository);
    require_class_in_force(*open.repository, context.configuration().policies, what.run.tags);
    Progress progress;
    PostgresBackupResult result;
    {
        const ProgressDisplay display(progress, stderr, context.progress_style());
        result = back_up_postgres(*open.repository, what, progress, context.stop());
    }
    return tell_backup(context, result_json(result));
}

} // namespace holdfast
