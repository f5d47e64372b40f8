#include "base/error.h"
#include "cli/commands/program_words.h"
#include "cli/commands/restore_source_parts.h"
#include "cli/option_rules.h"
#include "cli/pair_option.h"

#include <array>
#include <filesystem>

#include <fmt/format.h>

namespace holdfast {

namespace {

using postgres::RecoveryTarget;

RecoveryTarget target_of(const SourceRestoreOptions& options) {
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

postgres::StartSettings start_of(const SourceRestoreOptions& options) {
    postgres::StartSettings start;
    start.bin_directory = options.bin_directory;
    start.port = options.port;
    start.socket_directory = options.socket_directory;
    start.listen_addresses = options.listen;
    if (!options.memory.empty()) start.memory_bytes = parse_size(options.memory, "--memory");
    start.processors = options.processors;
    start.niceness = options.niceness;
    for (const std::string& setting : options.settings)
        start.settings.push_back(parse_pair(setting, "--setting"));
    return start;
}

// Of a server that is started here.
constexpr std::array options_of_server = {
    "--port",   "--socket-directory", "--listen", "--pg-bindir",  "--setting",
    "--memory", "--processors",       "--nice",   "--protect-as", "--ladder"};

} // namespace

void check_source_restore_options(const CLI::App& command) {
    std::vector<OptionNeed> needs;
    for (const char* option : options_of_server) needs.push_back({option, {"--start"}});
    needs.push_back({"--restart-command", {"--ladder"}});
    needs.push_back({"--administrator", {"--protect-as"}});
    // A restore point is a place between two records, and nothing happens at it.
    needs.push_back({"--exclusive", {"--at", "--lsn", "--xid"}});
    // At the end of the log every server goes on as with "promote".
    if (command.get_option("--action")->as<std::string>() != "promote")
        needs.push_back({"--action", {"--at", "--lsn", "--xid", "--restore-point", "--snapshot"}});
    require_needed_options(command, needs);
    std::vector<ExclusiveOptions> exclusive = {{"--at", "--lsn", "--xid", "--restore-point"},
                                               // The others would be lost there.
                                               {"--database", "--in-place"},
                                               // It goes on in place, where a step before it has written.
                                               {"--database", "--ladder"}};
    // A standby follows its primary, without an end, along whichever timeline that takes, and takes no
    // writes.
    for (const char* option :
         {"--at", "--lsn", "--xid", "--restore-point", "--snapshot", "--action", "--ladder", "--protect-as"})
        exclusive.push_back({"--standby-of", option});
    refuse_options_together(command, exclusive);
}

PostgresRestore make_restore_request(const CommandContext& context, Repository& repository,
                                     const SourceRestoreTarget& target, const SourceRestoreOptions& options) {
    PostgresRestore what;
    what.source = target.source;
    what.target = std::filesystem::absolute(target.directory).lexically_normal().string();
    while (what.target.size() > 1 && what.target.ends_with('/')) what.target.pop_back();
    what.request.target = target_of(options);
    what.request.inclusive = !options.exclusive;
    if (options.timeline != 0) what.request.timeline = options.timeline;
    if (!options.snapshot.empty())
        what.request.snapshot = repository.find_snapshot(options.snapshot, target.source).id;
    what.request.branches = options.branches;
    what.in_place = target.in_place;
    what.dry_run = target.dry_run;
    for (const std::string& place : options.tablespaces) {
        const auto [tablespace, path] = parse_pair(place, "--tablespace");
        what.tablespaces.push_back({tablespace, path});
    }
    what.databases = options.databases;
    what.fetch_command = program_words(context);
    what.fetch_command.insert(what.fetch_command.end(), {"wal", "fetch"});
    const std::vector<std::string> url = repository_words(target.repository);
    what.fetch_command.insert(what.fetch_command.end(), url.begin(), url.end());
    what.fetch_command.push_back(target.source);
    what.action = options.action == "pause"      ? postgres::TargetAction::pause
                  : options.action == "shutdown" ? postgres::TargetAction::shutdown
                                                 : postgres::TargetAction::promote;
    what.standby = !options.standby_of.empty();
    what.primary_connection = options.standby_of;
    if (options.start) what.start = start_of(options);
    return what;
}

void add_source_restore_options(CLI::App& command, SourceRestoreOptions& options) {
    const auto add_many = [&](const char* name, std::vector<std::string>& values, const char* what) {
        command.add_option(name, values, what)->allow_extra_args(false);
    };
    const OptionHeading heading(command, options_for_postgresql);
    command.add_option("--at", options.at, "To this time, RFC 3339 with its zone");
    command.add_option("--lsn", options.lsn, "To this position of the log");
    command.add_option("--xid", options.xid, "To this transaction")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{INT64_MAX}));
    command.add_option("--restore-point", options.restore_point, "To this named restore point");
    command.add_option("--snapshot", options.snapshot,
                       "From this snapshot; without a target, to where it is consistent");
    command.add_flag("--exclusive", options.exclusive, "Without what happened at the target itself");
    command.add_option("--timeline", options.timeline, "Along this timeline (default: the newest)");
    add_many("--branch", options.branches,
             "Of several servers' logs on one timeline this one, as window names it; may be repeated");
    add_many(
        "--tablespace", options.tablespaces,
        "NAME=DIRECTORY: a tablespace's new place, by its number when the log makes it; may be repeated");
    add_many("--database", options.databases,
             "Only this database, the others as holes to be dropped; may be repeated");
    command.add_flag("--ladder", options.ladder,
                     "When that fails: the newest snapshot before the target that can be restored, without "
                     "its log");
    command.add_option("--restart-command", options.restart_command,
                       "With --ladder, first: restarts the original, or fails over");
    command.add_option("--standby-of", options.standby_of,
                       "Without a target: follow this server behind the log, as libpq takes it");
    command.add_option("--action", options.action, "What the server does at the target")
        ->check(CLI::IsMember({"promote", "pause", "shutdown"}))
        ->capture_default_str();
    command.add_flag("--start", options.start, "Start a server over it, and wait until it answers");
    command.add_option("--port", options.port, "Of that server")->capture_default_str();
    command.add_option("--socket-directory", options.socket_directory,
                       "Where its socket is (default: the data directory)");
    command.add_option("--listen", options.listen, "Addresses that it listens on (default: none)");
    command.add_option("--pg-bindir", options.bin_directory, "Where the programs of its version are");
    add_many("--setting", options.settings, "NAME=VALUE for that server; may be repeated");
    command.add_option("--memory", options.memory,
                       "Settings of that server that fit into so much, such as 2G");
    command.add_option("--processors", options.processors, "How many processors it may use");
    command.add_option("--nice", options.niceness, "How far it stands back behind other processes")
        ->check(CLI::Range(0, 19));
    command.add_option("--protect-as", options.protect_as,
                       "Then protect the new cluster as a source of this name");
    command.add_option("--administrator", options.administrator,
                       "How to connect for that, as libpq takes it (default: as the server's user)");
    add_many("--tag", options.tags, "NAME=VALUE, kept with the recovered cluster; may be repeated");
    command.add_option("--expires", options.expires,
                       "For so long, such as 24h: 'instances --remove-expired' then removes it");
    command.add_option("--then", options.then,
                       "A command to run when it is there, such as one that repoints");
}

} // namespace holdfast
