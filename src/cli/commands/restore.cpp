#include "base/error.h"
#include "base/file_descriptor.h"
#include "cli/at_server.h"
#include "cli/commands/repository_option.h"
#include "cli/commands/restore_output.h"
#include "cli/commands/restore_source.h"
#include "cli/configuration.h"
#include "cli/fields.h"
#include "cli/option_rules.h"
#include "cli/say.h"
#include "documents/entry_name.h"
#include "service/backup_documents.h"
#include "service/bytes_json.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

struct Arguments {
    std::string repository;
    std::string snapshot;
    std::string target;
    std::string source;
    std::vector<std::string> paths, include, exclude;
    bool in_place = false;
    bool dry_run = false;
    bool delete_extra = false;
    bool trust_times = false;
    bool sync = false;
    bool numeric_owner = false;
    bool no_owner = false;
    bool no_attributes = false;
    SourceRestoreOptions of_source;
};

const SourceConfiguration* configured_source(const CommandContext& context, const Arguments& arguments) {
    const auto& sources = context.configuration().sources;
    const auto named = sources.find(arguments.snapshot);
    return named == sources.end() ? nullptr : &named->second;
}

// A PostgreSQL source rather than a snapshot: one that the configuration names, or a word that can be no id.
bool names_source(const CommandContext& context, const Arguments& arguments) {
    if (const SourceConfiguration* source = configured_source(context, arguments))
        return source->kind != kind_of_documents;
    return arguments.snapshot != "latest" &&
           arguments.snapshot.find_first_not_of("0123456789abcdef") != std::string::npos;
}

TreeRestoreSettings make_settings(const Arguments& arguments) {
    TreeRestoreSettings settings;
    settings.paths = arguments.paths;
    if (!arguments.include.empty()) {
        // Only what matches, wherever it is.
        settings.filter.exclude("*");
        for (const std::string& pattern : arguments.include) settings.filter.include(pattern);
    }
    for (const std::string& pattern : arguments.exclude) settings.filter.exclude(pattern);
    if ((arguments.delete_extra || arguments.trust_times) && !arguments.in_place) {
        throw Error(ErrorCode::usage, "--delete and --trust-times say what to do with files that are there",
                    "add --in-place");
    }
    settings.in_place = arguments.in_place;
    settings.dry_run = arguments.dry_run;
    settings.delete_extra = arguments.delete_extra;
    settings.trust_times = arguments.trust_times;
    settings.sync = arguments.sync;
    settings.metadata.numeric_owner = arguments.numeric_owner;
    settings.metadata.owner = !arguments.no_owner;
    settings.metadata.attributes = !arguments.no_attributes;
    return settings;
}

nlohmann::json result_json(const Arguments& arguments, const Snapshot& snapshot,
                           const TreeRestoreResult& result, double seconds) {
    nlohmann::json problems = nlohmann::json::array();
    for (const RestoreProblem& problem : result.problems) {
        problems.push_back({{"path", problem.path}, {"reason", problem.what}});
    }
    return {{"snapshot", snapshot.id.hex()},
            {"directory", arguments.target},
            {"in_place", arguments.in_place},
            {"dry_run", arguments.dry_run},
            {"delete", arguments.delete_extra},
            {"files", result.files},
            {"directories", result.directories},
            {"others", result.others},
            {"bytes", result.bytes},
            {"written_bytes", result.written_bytes},
            {"same_files", result.same_files},
            {"deleted", result.deleted},
            {"skipped", result.skipped},
            {"failed", result.failed},
            {"owner_failures", result.owner_failures},
            {"seconds", seconds},
            {"problems", problems}};
}

char letter(PlannedAction action) {
    switch (action) {
    case PlannedAction::create:
        return '+';
    case PlannedAction::write:
        return 'M';
    case PlannedAction::metadata:
        return 'm';
    case PlannedAction::link:
        return 'L';
    case PlannedAction::remove:
        return '-';
    }
    return '?';
}

// What is named; with the name of a source of documents, its latest.
Snapshot find_snapshot(const CommandContext& context, const Repository& repository,
                       const Arguments& arguments) {
    if (configured_source(context, arguments) == nullptr)
        return repository.find_snapshot(arguments.snapshot, arguments.source);
    if (!arguments.source.empty()) {
        throw Error(ErrorCode::usage,
                    fmt::format("--source says of which source 'latest' is, and '{}' is a source itself",
                                arguments.snapshot),
                    "leave one of them out");
    }
    return repository.find_snapshot("latest", arguments.snapshot);
}

// A pattern that is mistyped would else look like a restore that went well. The top is always counted.
void require_a_match(const Arguments& arguments, const TreeRestoreResult& result) {
    const std::uint64_t found =
        result.files + result.others + result.failed + result.deleted + (result.directories > 1 ? 1 : 0);
    if (arguments.include.empty() || found > 0) return;
    throw Error(ErrorCode::usage, "nothing in the snapshot matches --include, so nothing was restored",
                "look for it with 'holdfast find'");
}

int run_restore(CommandContext& context, const CLI::App& command, const Arguments& arguments) {
    if (names_source(context, arguments)) {
        refuse_options_under(
            command, options_for_documents,
            fmt::format("for documents, and '{}' names a PostgreSQL source", arguments.snapshot));
        check_source_restore_options(command);
        return run_source_restore(context,
                                  {arguments.repository, arguments.snapshot, arguments.target,
                                   arguments.in_place, arguments.dry_run},
                                  arguments.of_source);
    }
    refuse_options_under(
        command, options_for_postgresql,
        fmt::format("for a PostgreSQL source, and '{}' is a snapshot", arguments.snapshot),
        "or name the source in place of the snapshot: holdfast restore SOURCE --to DIRECTORY");
    TreeRestoreSettings settings = make_settings(arguments);
    nlohmann::json changes = nlohmann::json::array();
    settings.plan = [&](const PlannedChange& change) {
        const std::string path = fmt::format("/{}", change.path);
        if (!context.json()) {
            say("{} {}{}\n", letter(change.action), printable(path),
                change.directory && !change.path.empty() ? "/" : "");
            return;
        }
        nlohmann::json value = {{"action", to_string(change.action)}, {"bytes", change.bytes}};
        set_bytes(value, "path", path);
        changes.push_back(std::move(value));
    };
    const OpenRepository open = context.open(arguments.repository);
    const Snapshot snapshot = find_snapshot(context, *open.repository, arguments);
    const Duration started = system_clock().steady();
    Progress progress;
    TreeRestoreResult result;
    {
        // A dry run prints names.
        const ProgressDisplay display(progress, stderr,
                                      settings.dry_run ? ProgressStyle::none : context.progress_style());
        result = restore_documents(*open.repository, snapshot, arguments.target, settings, progress,
                                   context.stop());
    }
    require_a_match(arguments, result);
    const double seconds = std::chrono::duration<double>(system_clock().steady() - started).count();
    nlohmann::json value = result_json(arguments, snapshot, result, seconds);
    if (arguments.dry_run) value["changes"] = changes;
    return tell_restore(context, value);
}

// A source, or a snapshot of documents whose source the server knows.
nlohmann::json request_for(CommandContext& context, const CLI::App& command, const Arguments& arguments) {
    const std::string& name = arguments.snapshot;
    nlohmann::json request = {{"directory", arguments.target}};
    const bool id = name.size() >= 4 && name.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (id) {
        const nlohmann::json snapshot = context.api().get("/v1/snapshots/" + url_part(name));
        request["source"] = text_in(snapshot, "source");
        request["snapshot"] = text_in(snapshot, "id");
    } else {
        request["source"] = name == "latest" ? arguments.source : name;
    }
    const SourceRestoreOptions& of = arguments.of_source;
    set_unless_empty(request, "at", of.at);
    set_unless_empty(request, "lsn", of.lsn);
    set_unless_empty(request, "restore_point", of.restore_point);
    if (!of.snapshot.empty())
        request["snapshot"] = context.api().get("/v1/snapshots/" + url_part(of.snapshot)).at("id");
    if (of.xid != 0) request["xid"] = std::to_string(of.xid);
    if (of.exclusive) request["exclusive"] = true;
    if (of.timeline != 0) request["timeline"] = of.timeline;
    if (!of.databases.empty()) request["databases"] = of.databases;
    if (of.start) request["start"] = true;
    if (command.count("--port") > 0) request["port"] = of.port;
    if (!arguments.paths.empty()) request["paths"] = arguments.paths;
    return request;
}

int restore_at_server(CommandContext& context, const CLI::App& command, const Arguments& arguments) {
    refuse_options_but(command,
                       {"--to", "--source", "--path", "--at", "--lsn", "--xid", "--restore-point",
                        "--exclusive", "--timeline", "--snapshot", "--database", "--start", "--port"});
    if (arguments.target.find('/') != std::string::npos)
        throw Error(ErrorCode::usage,
                    fmt::format("--to {}: a server restores below its own directory", arguments.target),
                    "give a name without '/': a new directory below restore_directory of the server");
    if (arguments.snapshot == "latest" && arguments.source.empty())
        throw Error(ErrorCode::usage, "of which source the latest is meant is not said",
                    "name the source in place of 'latest'");
    return work_at_server(context, "/v1/restores", request_for(context, command, arguments), tell_restore);
}

void add_document_options(CLI::App& command, Arguments& a) {
    const OptionHeading heading(command, options_for_documents);
    command.add_option("--source", a.source, "With latest: of this source");
    command
        .add_option("--path", a.paths, "Only this path of the snapshot and what is below; may be repeated")
        ->allow_extra_args(false);
    command.add_option("--include", a.include, "Only what matches the pattern; may be repeated")
        ->allow_extra_args(false);
    command.add_option("--exclude", a.exclude, "Not what matches the pattern; may be repeated")
        ->allow_extra_args(false);
    command.add_flag("--delete", a.delete_extra, "With --in-place: delete what the snapshot does not have");
    command.add_flag("--trust-times", a.trust_times, "With --in-place: right size and time is right, unread");
    command.add_flag("--sync", a.sync, "Return when everything is on disk");
    command.add_flag("--numeric-owner", a.numeric_owner, "Owners by number, not by name");
    command.add_flag("--no-owner", a.no_owner, "Do not set owners");
    command.add_flag("--no-attributes", a.no_attributes, "Do not set extended attributes and ACLs");
}

} // namespace

void add_restore(CLI::App& app, RunCommand& run) {
    auto a = std::make_shared<Arguments>();
    CLI::App* command = app.add_subcommand("restore", "Write a snapshot, or part of it, back");
    add_repository_option(*command, a->repository);
    command->add_option("SNAPSHOT", a->snapshot, "Id, beginning of an id, or latest; or a source")
        ->required();
    command
        ->add_option("--to", a->target,
                     "Directory to restore into; made if missing, must be empty without --in-place")
        ->required();
    command->add_flag("--in-place", a->in_place,
                      "Write only what differs into what is there; of PostgreSQL also delete what the "
                      "snapshot does not have");
    command->add_flag("--dry-run", a->dry_run, "Say what would be written, and do nothing");
    add_document_options(*command, *a);
    add_source_restore_options(*command, a->of_source);
    command->footer("A dry run lists: + made, M content written, m only metadata set, L linked, - deleted");
    command->callback([a, command, &run] {
        run = [a, command](CommandContext& context) { return run_restore(context, *command, *a); };
        run.at_server = [a, command](CommandContext& context) {
            return restore_at_server(context, *command, *a);
        };
    });
}

} // namespace holdfast
