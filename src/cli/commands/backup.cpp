#include "base/error.h"
#include "base/file_descriptor.h"
#include "cli/at_server.h"
#include "cli/commands/backup_output.h"
#include "cli/commands/backup_repositories.h"
#include "cli/commands/backup_source.h"
#include "cli/commands/repository_option.h"
#include "cli/configuration.h"
#include "cli/option_rules.h"
#include "cli/pair_option.h"
#include "cli/signals.h"
#include "service/backup_documents.h"
#include "service/retention.h"
#include "service/snapshot_json.h"
#include "service/stated_policies.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>
#include <unistd.h>

namespace holdfast {

namespace {

struct Arguments {
    std::vector<std::string> repositories;
    std::string source;
    std::string kind = kind_of_documents;
    std::string name;
    std::string class_name, keep_for;
    std::string host;
    std::vector<std::string> paths, tags, exclude, include, exclude_files, split_pages, split_content;
    bool one_file_system = false;
    bool exclude_caches = false;
    bool read_everything = false;
    bool ignore_inode = false;
    bool ignore_ctime = false;
    int compression_level = 0;
    double checkpoint_seconds = 60;
    std::optional<std::uint32_t> lock_days;
    std::string lock_mode;
    SourceBackupOptions of_source;
};

std::string host_name() {
    std::array<char, 256> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : "unknown";
}

constexpr std::size_t most_pattern_bytes = 16u << 20;

std::optional<LockSettings> lock_settings(const Arguments& arguments,
                                          const Configuration::Backup& configured) {
    const std::uint32_t days = arguments.lock_days.value_or(configured.lock_days);
    if (days == 0) {
        const bool unasked =
            arguments.lock_mode.empty() && (configured.lock_mode.empty() || arguments.lock_days);
        if (unasked) return std::nullopt;
        throw Error(ErrorCode::usage, "a lock mode says how to lock, and nothing is to be locked",
                    "add --lock-days, or lock_days below [backup] in holdfast.toml");
    }
    const std::string& mode = arguments.lock_mode.empty() ? configured.lock_mode : arguments.lock_mode;
    return LockSettings{.keep = std::chrono::days(days),
                        .mode = mode == "compliance" ? RetentionMode::compliance : RetentionMode::governance};
}

// What is said for a backup of any kind.
BackupRunSettings run_settings(CommandContext& context, const Arguments& arguments,
                               const Configuration::Backup& configured) {
    BackupRunSettings run;
    run.hurry = context.signals().hurry_token();
    run.host = arguments.host.empty() ? host_name() : arguments.host;
    run.tags = configured.tags;
    for (const auto& [name, value] : parse_pairs(arguments.tags, "--tag")) run.tags[name] = value;
    if (!arguments.name.empty()) run.tags["name"] = arguments.name;
    if (!arguments.class_name.empty()) run.tags[class_tag] = arguments.class_name;
    if (!arguments.keep_for.empty()) {
        const Timestamp end =
            Period::parse(arguments.keep_for, "--keep-for").after(system_clock().now(), TimeZone());
        run.tags[expires_tag] = to_rfc3339(std::chrono::floor<std::chrono::seconds>(end));
    }
    require_sensible_tags(run.tags);
    if (arguments.compression_level != 0)
        run.pipeline.level = LevelSettings::fixed(arguments.compression_level);
    run.lock = lock_settings(arguments, configured);
    run.checkpoint_interval =
        std::chrono::duration_cast<Duration>(std::chrono::duration<double>(arguments.checkpoint_seconds));
    return run;
}

// Of what the arguments name, or of a `source` of the configuration.
DocumentsBackup make_request(CommandContext& context, const Arguments& arguments,
                             const Configuration::Backup& settings, const SourceConfiguration* source) {
    const DocumentsSelection& configured = source == nullptr ? settings.documents : source->documents;
    DocumentsBackup what;
    what.run = run_settings(context, arguments, settings);
    what.run.source = source != nullptr          ? source->name
                      : arguments.source.empty() ? settings.source
                                                 : arguments.source;
    if (what.run.source.empty()) {
        throw Error(ErrorCode::usage, "no source is named",
                    "add --source NAME: it tells the snapshots of one tree from another's");
    }
    what.run.kind = arguments.kind;
    what.paths = source != nullptr || arguments.paths.empty() ? configured.paths : arguments.paths;
    if (what.paths.empty()) throw Error(ErrorCode::usage, "no path is named", "say what to back up");

    for (const std::string& file : arguments.exclude_files) {
        what.tree.filter.exclude_lines(as_text(read_file(file, most_pattern_bytes)), file);
    }
    for (const std::string& pattern : configured.exclude) what.tree.filter.exclude(pattern);
    for (const std::string& pattern : arguments.exclude) what.tree.filter.exclude(pattern);
    for (const std::string& pattern : configured.include) what.tree.filter.include(pattern);
    for (const std::string& pattern : arguments.include) what.tree.filter.include(pattern);
    what.tree.walk.one_file_system = arguments.one_file_system || configured.one_file_system;
    what.tree.walk.exclude_caches = arguments.exclude_caches || configured.exclude_caches;
    for (const std::string& pattern : arguments.split_pages)
        what.tree.split_rules.push_back({pattern, SplitMode::pages});
    for (const std::string& pattern : arguments.split_content) {
        what.tree.split_rules.push_back({pattern, SplitMode::content_defined});
    }
    what.tree.read_everything = arguments.read_everything;
    what.tree.ignore_inode = arguments.ignore_inode;
    what.tree.ignore_ctime = arguments.ignore_ctime;
    return what;
}

nlohmann::json result_json(const DocumentsBackupResult& result) {
    nlohmann::json value = to_json(result.report.snapshot);
    value["snapshot"] = value["id"];
    value["resumed"] = result.report.resumed;
    value["checkpoints"] = result.report.checkpoints;
    if (const auto& lock = result.report.lock) {
        value["locked_until"] = to_rfc3339(lock->until);
        value["locked_packs"] = lock->packs;
    }
    value["changed_while_read"] = result.tree.changed_while_read;
    value["rewritten_bytes"] = result.tree.rewritten_bytes;
    nlohmann::json levels = nlohmann::json::array();
    for (const LevelUse& use : result.report.compression.levels) {
        levels.push_back({{"level", use.level},
                          {"raw_bytes", use.raw_bytes},
                          {"stored_bytes", use.stored_bytes},
                          {"seconds", std::chrono::duration<double>(use.time).count()}});
    }
    value["compression_levels"] = levels;
    nlohmann::json problems = nlohmann::json::array();
    for (const TreeProblem& problem : result.tree.problems) {
        problems.push_back({{"path", problem.path}, {"reason", problem.what}});
    }
    value["problems"] = problems;
    return value;
}

// The source that is named in place of paths; null when paths are.
const SourceConfiguration* source_of(const CommandContext& context, const Arguments& arguments) {
    const auto& sources = context.configuration().sources;
    const auto named = std::ranges::find_if(arguments.paths,
                                            [&](const std::string& path) { return sources.contains(path); });
    if (named == arguments.paths.end()) return nullptr;
    if (arguments.paths.size() > 1) {
        if (std::filesystem::exists(*named)) return nullptr;
        throw Error(ErrorCode::usage,
                    fmt::format("'{}' is a source of {}, and a source is backed up alone", *named,
                                context.configuration().file),
                    fmt::format("name it alone; a path of that name is ./{}", *named));
    }
    return &sources.at(*named);
}

// What is said for all backups, and for this source.
Configuration::Backup settings_for(const CommandContext& context, const SourceConfiguration* source) {
    Configuration::Backup settings = context.configuration().backup;
    if (source == nullptr) return settings;
    for (const auto& [name, value] : source->tags) settings.tags[name] = value;
    return settings;
}

void refuse_options_of_others(const CLI::App& command, const SourceConfiguration* source) {
    if (source == nullptr) {
        refuse_options_under(command, options_for_postgresql, "for a PostgreSQL source, and paths are named",
                             "or name in their place a source of holdfast.toml: holdfast backup SOURCE");
    } else if (source->kind == kind_of_documents) {
        refuse_options_under(
            command, options_for_postgresql,
            fmt::format("for a PostgreSQL source, and '{}' is one of documents", source->name));
        refuse_options_under(command, options_for_paths,
                             fmt::format("said of source '{}' in holdfast.toml", source->name));
    } else {
        refuse_options_under(command, options_for_documents,
                             fmt::format("for documents, and '{}' is a PostgreSQL source", source->name));
        refuse_options_under(command, options_for_paths,
                             fmt::format("for documents, and '{}' is a PostgreSQL source", source->name));
        check_source_backup_options(command);
    }
}

// Of each snapshot the repository must have the log, which goes on to be written to where it is sent.
void require_one_repository(const SourceConfiguration& source, const std::vector<std::string>& repositories) {
    if (repositories.size() == 1) return;
    throw Error(ErrorCode::usage,
                fmt::format("'{}' is a PostgreSQL source, which is backed up into one repository at a time",
                            source.name),
                "its log must be in that repository, too: run a backup and a 'wal receive' for each");
}

int run_backup(CommandContext& context, const CLI::App& command, const Arguments& arguments) {
    const SourceConfiguration* source = source_of(context, arguments);
    refuse_options_of_others(command, source);
    const Configuration::Backup settings = settings_for(context, source);
    // Nothing is named: what the configuration says.
    const std::vector<std::string> repositories =
        arguments.repositories.empty() ? std::vector<std::string>{""} : arguments.repositories;
    if (source != nullptr && source->kind != kind_of_documents) {
        require_one_repository(*source, repositories);
        return run_source_backup(context, source->name, repositories.front(), arguments.of_source,
                                 run_settings(context, arguments, settings));
    }
    const DocumentsBackup what = make_request(context, arguments, settings, source);
    const BackUpInto back_up = [&](const std::string& repository) {
        const OpenRepository open = context.open(repository);
        require_class_in_force(*open.repository, context.configuration().policies, what.run.tags);
        Progress progress;
        const ProgressDisplay display(progress, stderr, context.progress_style());
        return result_json(back_up_documents(*open.repository, what, progress, context.stop()));
    };
    if (repositories.size() == 1) return tell_backup(context, back_up(repositories.front()));
    return back_up_into_each(context, repositories, back_up);
}

// The source is one of the server's own configuration.
int backup_at_server(CommandContext& context, const CLI::App& command, const Arguments& arguments) {
    refuse_options_but(command, {"--name", "--tag", "--class", "--keep-for", "--type", "--compare"});
    if (arguments.paths.size() != 1)
        throw Error(ErrorCode::usage, "a server backs up one source at a time, by its name",
                    "'holdfast status' at the server lists its sources");
    nlohmann::json request = {{"source", arguments.paths.front()}};
    if (command.count("--type") > 0) request["type"] = arguments.of_source.type;
    if (arguments.of_source.compare) request["compare"] = true;
    set_unless_empty(request, "name", arguments.name);
    set_unless_empty(request, "class", arguments.class_name);
    set_unless_empty(request, "keep_for", arguments.keep_for);
    if (!arguments.tags.empty()) request["tags"] = parse_pairs(arguments.tags, "--tag");
    return work_at_server(context, "/v1/backups", request, tell_backup);
}

void add_path_options(CLI::App& command, Arguments& a) {
    const OptionHeading heading(command, options_for_paths);
    command.add_option("--source", a.source,
                       "Name of what is protected; snapshots of one source follow each other");
    command.add_option("--kind", a.kind, "Kind of source")
        ->check(CLI::IsMember({kind_of_documents}))
        ->capture_default_str();
}

void add_document_options(CLI::App& command, Arguments& a) {
    const OptionHeading heading(command, options_for_documents);
    command.add_option("--exclude", a.exclude, "Leave out what matches the pattern; may be repeated")
        ->allow_extra_args(false);
    command.add_option("--include", a.include, "Take in again what a pattern left out; may be repeated")
        ->allow_extra_args(false);
    command.add_option("--exclude-file", a.exclude_files, "File with one pattern a line")
        ->allow_extra_args(false);
    command.add_flag("--one-file-system", a.one_file_system, "Do not cross into other file systems");
    command.add_flag("--exclude-caches", a.exclude_caches, "Leave out directories with a CACHEDIR.TAG");
    command.add_flag("--read-everything", a.read_everything,
                     "Read all files, also those that look unchanged");
    command.add_flag("--ignore-inode", a.ignore_inode,
                     "An inode number that differs is no change (network file systems)");
    command.add_flag("--ignore-ctime", a.ignore_ctime, "A status time that differs is no change");
    command
        .add_option("--split-pages", a.split_pages,
                    "Large files that match are cut in pages, whatever they look like")
        ->allow_extra_args(false);
    command.add_option("--split-content", a.split_content, "Large files that match are cut by content")
        ->allow_extra_args(false);
}

} // namespace

void add_backup(CLI::App& app, RunCommand& run) {
    auto a = std::make_shared<Arguments>();
    CLI::App* command =
        app.add_subcommand("backup", "Make a snapshot of files and directories, or of a source");
    add_repositories_option(*command, a->repositories);
    add_path_options(*command, *a);
    add_document_options(*command, *a);
    add_source_backup_options(*command, a->of_source);
    command->add_option("--name", a->name, "A name for the snapshot, kept as its tag 'name'");
    command->add_option("--tag", a->tags, "NAME=VALUE, kept with the snapshot; may be repeated")
        ->allow_extra_args(false);
    command->add_option(
        "--class", a->class_name,
        "What it is made for: manual, pre-maintenance, forensic or another word that policies "
        "know, kept as its tag 'class'");
    command->add_option("--keep-for", a->keep_for,
                        "Its time to live, as 24h or 12mo, whatever policies say; kept as its tag 'expires'");
    command->add_option("--host", a->host, "Host to name in the snapshot (default: this one)");
    command
        ->add_option("--compression-level", a->compression_level,
                     "Fixed zstd level (default: measured, 3 or higher)")
        ->check(CLI::Range(1, 19));
    command
        ->add_option("--checkpoint-seconds", a->checkpoint_seconds, "How much work an interruption may cost")
        ->check(CLI::Range(0.0, 86400.0))
        ->capture_default_str();
    command
        ->add_option("--lock-days", a->lock_days,
                     "Lock the snapshot against deletion, in a store with object lock; 0: no lock")
        ->check(CLI::Range(0U, most_lock_days));
    command
        ->add_option("--lock-mode", a->lock_mode,
                     "governance: who may bypass it in the store can lift the lock; compliance: nobody can "
                     "before its date (default: lock_mode below [backup] in holdfast.toml, or governance)")
        ->check(CLI::IsMember(std::vector<std::string>(lock_modes.begin(), lock_modes.end())));
    command->add_option("PATH", a->paths, "What to back up: paths, or a source that holdfast.toml names");
    command->callback([a, command, &run] {
        run = [a, command](CommandContext& context) { return run_backup(context, *command, *a); };
        run.at_server = [a, command](CommandContext& context) {
            return backup_at_server(context, *command, *a);
        };
    });
}

} // namespace holdfast
