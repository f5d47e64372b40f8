#include "cli/commands/restore_source.h"

#include "base/error.h"
#include "cli/commands/program_words.h"
#include "cli/text.h"
#include "service/restore_postgres.h"

#include <filesystem>

#include <fmt/format.h>

namespace holdfast {

namespace {

using postgres::RecoveryTarget;

RecoveryTarget target_of(const SourceRestoreOptions& options) {
    const int targets = int(!options.at.empty()) + int(!options.lsn.empty()) + int(options.xid != 0) +
                        int(!options.restore_point.empty());
    if (targets > 1)
        throw Error(ErrorCode::usage, "several targets are named",
                    "give one of --at, --lsn, --xid, --restore-point");
    if (!options.at.empty()) return postgres::RecoverToTime{from_rfc3339(options.at)};
    if (!options.lsn.empty()) {
        const auto lsn = postgres::parse_lsn(options.lsn);
        if (!lsn)
            throw Error(ErrorCode::usage, fmt::format("--lsn: '{}' is no position", options.lsn),
                        "such as 16/B374D848");
        return postgres::RecoverToLsn{*lsn};
    }
    if (options.xid != 0) return postgres::RecoverToXid{options.xid};
    if (!options.restore_point.empty()) return postgres::RecoverToName{options.restore_point};
    if (!options.snapshot.empty()) return postgres::RecoverToConsistency{};
    return postgres::RecoverToEnd{};
}

// "16385=/new/place".
std::pair<std::string, std::string> name_and_value(const std::string& text, const char* what) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
        throw Error(ErrorCode::usage, fmt::format("{}: '{}' is not of the form NAME=VALUE", what, text));
    return {text.substr(0, equals), text.substr(equals + 1)};
}

PostgresRestore make_request(const CommandContext& context, Repository& repository,
                             const SourceRestoreTarget& target, const SourceRestoreOptions& options) {
    PostgresRestore what;
    what.source = target.source;
    what.target = std::filesystem::absolute(target.directory).string();
    what.request.target = target_of(options);
    what.request.inclusive = !options.exclusive;
    if (options.timeline != 0) what.request.timeline = options.timeline;
    if (!options.snapshot.empty())
        what.request.snapshot = repository.find_snapshot(options.snapshot, target.source).id;
    what.in_place = target.in_place;
    what.dry_run = target.dry_run;
    for (const std::string& place : options.tablespaces) {
        const auto [tablespace, path] = name_and_value(place, "--tablespace");
        what.tablespaces.push_back({tablespace, path});
    }
    what.fetch_command = program_words(context);
    what.fetch_command.insert(what.fetch_command.end(), {"wal", "fetch"});
    const std::vector<std::string> url = repository_words(target.repository);
    what.fetch_command.insert(what.fetch_command.end(), url.begin(), url.end());
    what.fetch_command.push_back(target.source);
    what.action = options.action == "pause"      ? postgres::TargetAction::pause
                  : options.action == "shutdown" ? postgres::TargetAction::shutdown
                                                 : postgres::TargetAction::promote;
    if (!options.start) return what;
    postgres::StartSettings start;
    start.bin_directory = options.bin_directory;
    start.port = options.port;
    start.socket_directory = options.socket_directory;
    start.listen_addresses = options.listen;
    for (const std::string& setting : options.settings)
        start.settings.push_back(name_and_value(setting, "--setting"));
    what.start = std::move(start);
    return what;
}

nlohmann::json result_json(const PostgresRestoreResult& result) {
    const postgres::RecoveryPlan& plan = result.plan;
    nlohmann::json value = {{"snapshot", plan.snapshot.id.hex()},
                            {"snapshot_time", to_rfc3339(plan.snapshot.end)},
                            {"snapshot_bytes", plan.snapshot_bytes},
                            {"log_bytes", plan.log_bytes},
                            {"timeline", plan.timeline},
                            {"target", postgres::describe(plan.target)},
                            {"notes", result.notes},
                            {"plan_seconds", result.plan_seconds},
                            {"restore_seconds", result.restore_seconds}};
    if (plan.last_commit) value["last_commit"] = to_rfc3339(*plan.last_commit);
    if (result.restored) {
        value["data_directory"] = result.restored->data_directory;
        value["files"] = result.restored->files.files;
        value["bytes"] = result.restored->files.bytes;
        value["written_bytes"] = result.restored->files.written_bytes;
    }
    if (result.started) {
        value["running"] = result.started->process != 0;
        value["connection"] = result.started->connection;
        value["log_file"] = result.started->log_file;
        value["writable"] = result.started->writable;
        value["new_timeline"] = result.started->timeline;
        value["recovered_to"] = result.started->recovered_to.str();
        value["last_transaction"] = result.started->last_commit;
        value["start_seconds"] = result.started->start_seconds;
        value["recovery_seconds"] = result.started->recovery_seconds;
        value["ready_seconds"] = result.started->ready_seconds;
    }
    return value;
}

void print_result(const SourceRestoreTarget& target, const PostgresRestoreResult& result) {
    const postgres::RecoveryPlan& plan = result.plan;
    fmt::print("{} '{}' to {}\n", target.dry_run ? "Would restore" : "Restored", target.source,
               postgres::describe(plan.target));
    fmt::print("  snapshot {} of {}, {}; then {} of log on timeline {}\n", short_id(plan.snapshot.id.hex()),
               local_time(plan.snapshot.end), format_bytes(plan.snapshot_bytes), format_bytes(plan.log_bytes),
               plan.timeline);
    if (plan.last_commit) fmt::print("  last commit: {}\n", to_rfc3339(*plan.last_commit));
    for (const std::string& note : result.notes) fmt::print("  {}\n", note);
    if (result.restored) {
        fmt::print("  {} in {}, {} written in {:.2f} s, in {}\n",
                   counted(result.restored->files.files, "file"), format_bytes(result.restored->files.bytes),
                   format_bytes(result.restored->files.written_bytes), result.restore_seconds,
                   result.restored->data_directory);
    }
    if (!result.started) {
        if (result.restored)
            fmt::print("Start it with pg_ctl -D {} start: it recovers by itself.\n",
                       result.restored->data_directory);
        return;
    }
    const postgres::StartedCluster& started = *result.started;
    fmt::print("  started in {:.2f} s, recovered in {:.2f} s, ready in {:.2f} s{}\n", started.start_seconds,
               started.recovery_seconds, started.ready_seconds,
               started.last_commit.empty() ? "" : "; last transaction: " + started.last_commit);
    if (started.process == 0) {
        fmt::print("It has shut down at its target; {} says more.\n", started.log_file);
    } else {
        fmt::print("Connect with: psql '{}'\n", started.connection);
    }
}

} // namespace

void add_source_restore_options(CLI::App& command, SourceRestoreOptions& options) {
    command.add_option("--at", options.at, "Of a PostgreSQL source: to this time, RFC 3339 with its zone");
    command.add_option("--lsn", options.lsn, "To this position of the log");
    command.add_option("--xid", options.xid, "To this transaction");
    command.add_option("--restore-point", options.restore_point, "To this named restore point");
    command.add_option("--snapshot", options.snapshot,
                       "From this snapshot; without a target, to where it is consistent");
    command.add_flag("--exclusive", options.exclusive, "Without what happened at the target itself");
    command.add_option("--timeline", options.timeline, "Along this timeline (default: the newest)");
    command
        .add_option("--tablespace", options.tablespaces,
                    "NAME=DIRECTORY: a tablespace's new place; may be repeated")
        ->allow_extra_args(false);
    command.add_option("--action", options.action, "What the server does at the target")
        ->check(CLI::IsMember({"promote", "pause", "shutdown"}))
        ->capture_default_str();
    command.add_flag("--start", options.start, "Start a server over it, and wait until it answers");
    command.add_option("--port", options.port, "Of that server")->capture_default_str();
    command.add_option("--socket-directory", options.socket_directory,
                       "Where its socket is (default: the data directory)");
    command.add_option("--listen", options.listen, "Addresses that it listens on (default: none)");
    command.add_option("--pg-bindir", options.bin_directory, "Where the programs of its version are");
    command.add_option("--setting", options.settings, "NAME=VALUE for that server; may be repeated")
        ->allow_extra_args(false);
}

int run_source_restore(CommandContext& context, const SourceRestoreTarget& target,
                       const SourceRestoreOptions& options) {
    const OpenRepository open = context.open(target.repository);
    const PostgresRestore what = make_request(context, *open.repository, target, options);
    Progress progress;
    PostgresRestoreResult result;
    {
        const ProgressDisplay display(progress, stderr, context.show_progress());
        result = restore_postgres(*open.repository, what, progress, context.stop());
    }
    context.report(result_json(result), [&] { print_result(target, result); }, target.dry_run);
    return exit_done;
}

} // namespace holdfast
