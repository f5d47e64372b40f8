#include "cli/commands/restore_source.h"

#include "base/error.h"
#include "cli/commands/restore_source_parts.h"
#include "cli/commands/source_option.h"
#include "cli/duration_option.h"
#include "cli/pair_option.h"
#include "cli/say.h"
#include "cli/source_section.h"
#include "cli/text.h"
#include "documents/owner_names.h"
#include "postgres/server/conninfo.h"
#include "service/restored_instances.h"
#include "service/run_command.h"

#include <algorithm>

#include <fmt/format.h>
#include <sys/stat.h>

namespace holdfast {

namespace {

constexpr std::size_t shown_log_lines = 12;
constexpr const char* default_role = "holdfast";
constexpr const char* default_slot = "holdfast";

// The end of what the server said: the reason is often a line before the one that is told.
void print_log_end(const postgres::StartFailed& failed) {
    const std::string& log = failed.log();
    std::size_t begin = log.size();
    for (std::size_t lines = 0; begin > 0 && lines <= shown_log_lines; ++lines)
        begin = log.rfind('\n', begin - 1) == std::string::npos ? 0 : log.rfind('\n', begin - 1);
    if (begin > 0) ++begin;
    say(stderr, "The server said last:\n");
    for (std::size_t at = begin; at < log.size();) {
        const std::size_t end = std::min(log.find('\n', at), log.size());
        std::string line = log.substr(at, end - at);
        std::ranges::replace(line, '\t', ' ');
        say(stderr, "  {}\n", line);
        at = end + 1;
    }
}

class SourceRestore {
  public:
    SourceRestore(CommandContext& context, const SourceRestoreTarget& target,
                  const SourceRestoreOptions& options)
        : context_(context),
          target_(target),
          options_(options),
          source_(source_named(context, target.source, postgres::snapshot_kind)) {}

    int run() {
        check_options();
        report_.tags = parse_pairs(options_.tags, "--tag");
        report_.creator = current_creator();
        if (!options_.expires.empty()) lent_for_ = parse_duration(options_.expires, "--expires");
        const OpenRepository open = context_.open(target_.repository);
        if (!context_.configuration().sources.contains(target_.source)) require_snapshots(*open.repository);
        if (!options_.protect_as.empty()) require_new_name(*open.repository);
        what_ = make_restore_request(context_, *open.repository, target_, options_);
        const bool says_plan = !context_.json() && (!context_.options().quiet || target_.dry_run);
        if (says_plan)
            what_.planned = [&](const PostgresRestoreResult& plan) { print_plan(plan_json(target_, plan)); };
        what_.estimate = says_plan || target_.dry_run;
        restore(*open.repository);
        if (!target_.dry_run && report_.result) {
            // From when it can be used.
            if (lent_for_) report_.expires = system_clock().now() + *lent_for_;
            record();
            if (!options_.protect_as.empty()) after("protecting it", [&] { protect(*open.repository); });
            if (!options_.then.empty()) after("--then", [&] { run_then(); });
        }
        const nlohmann::json value = report_json(target_, report_);
        context_.report(
            value,
            [&] {
                print_report(value);
                if (report_.protect) print_protection(*report_.protect, report_.protected_as);
            },
            target_.dry_run);
        for (const std::string& problem : report_.problems) say(stderr, "holdfast: {}\n", problem);
        return report_.problems.empty() ? exit_done : exit_incomplete;
    }

  private:
    void check_options() const {
        const auto refuse = [](const char* what, const char* hint) {
            throw Error(ErrorCode::usage, what, hint);
        };
        if (!options_.protect_as.empty() && options_.action != "promote")
            refuse("only a server that takes writes can be protected", "--protect-as needs --action promote");
        if (!options_.restart_command.empty() && source_.connection.empty())
            refuse("whether the server answers again is not to be seen",
                   "set connection of the source in holdfast.toml");
    }

    // What no configuration names may be no source at all, but a snapshot that was mistyped, or a source of
    // documents.
    void require_snapshots(const Repository& repository) const {
        const std::string& name = target_.source;
        const SnapshotList list = list_snapshots(repository.context());
        const auto found = std::ranges::find(list.snapshots, name, &Snapshot::source);
        if (found == list.snapshots.end()) {
            throw Error(ErrorCode::usage,
                        fmt::format("there is no snapshot '{}', and no source of that name has any", name),
                        "list what there is with 'holdfast snapshots'; 4 digits of an id are enough");
        }
        if (found->kind == kind_of_documents) {
            throw Error(
                ErrorCode::usage, fmt::format("'{}' is a source of documents", name),
                fmt::format("name a snapshot of it: holdfast restore latest --source {} --to DIRECTORY",
                            shell_word(name)));
        }
    }

    // Found taken before gigabytes were written.
    void require_new_name(const Repository& repository) const {
        const std::string& name = options_.protect_as;
        if (context_.configuration().sources.contains(name)) {
            throw Error(ErrorCode::already_exists,
                        fmt::format("{} has a source '{}' already", context_.configuration().file, name),
                        "choose another name");
        }
        require_new_source(repository, name);
    }

    void restore(Repository& repository) {
        const ProgressDisplay display(progress_, stderr, context_.progress_style());
        try {
            if (!options_.ladder || target_.dry_run) {
                report_.result = restore_postgres(repository, what_, progress_, context_.stop());
                return;
            }
            LadderSettings settings;
            settings.restart_command = options_.restart_command;
            settings.connection = source_.connection;
            report_.ladder = restore_by_ladder(
                repository, what_, settings, progress_,
                [&](const LadderStep& step) {
                    if (!step.why_not.empty())
                        context_.logger().warning("a step of the ladder failed",
                                                  {{"step", step.what}, {"reason", step.why_not}});
                },
                context_.stop());
            report_.result = report_.ladder.restored;
        } catch (const postgres::StartFailed& failed) {
            print_log_end(failed);
            throw;
        }
    }

    // The cluster is there: what fails now is told, and the rest goes on.
    template <typename Body>
    void after(const char* what, Body body) {
        try {
            body();
        } catch (const Error& error) {
            if (error.code() == ErrorCode::cancelled) throw;
            report_.problems.push_back(fmt::format("{} failed: {}{}{}", what, error.message(),
                                                   error.hint().empty() ? "" : "; ", error.hint()));
        }
    }

    void record() {
        after("recording it", [&] {
            RestoredInstance instance;
            instance.data_directory = report_.result->restored->data_directory;
            for (const postgres::TablespaceLocation& place : report_.result->tablespaces)
                instance.tablespaces.push_back(place.path);
            instance.source = target_.source;
            instance.target = postgres::describe(report_.result->plan.requested);
            if (report_.result->started && report_.result->started->process != 0)
                instance.connection = report_.result->started->connection;
            instance.creator = report_.creator;
            instance.tags = report_.tags;
            instance.restored = system_clock().now();
            instance.expires = report_.expires;
            record_instance(state_directory_of_user(), instance);
        });
    }

    void protect(Repository& repository) {
        const postgres::StartedCluster& started = *report_.result->started;
        SourceConfiguration configuration = source_;
        configuration.name = options_.protect_as;
        configuration.spool_directory.clear();
        if (configuration.slot.empty()) configuration.slot = default_slot;
        configuration.data_directory = report_.result->restored->data_directory;
        const auto original = postgres::parse_conninfo(source_.connection);
        const std::string role = original.contains("user") ? original.at("user") : default_role;
        configuration.connection = connection_to_restored(source_.connection, started, role);
        ProtectRestored what;
        what.source = configuration.name;
        what.data_directory = configuration.data_directory;
        what.administrator = options_.administrator.empty()
                                 ? connection_to_restored(source_.connection, started, user_of_server())
                                 : options_.administrator;
        what.connection = configuration.connection;
        what.role = role;
        what.slot = configuration.slot;
        what.spool_directory = spool_directory_of(context_, configuration, target_.repository);
        ProtectedSource done;
        done.section = source_section(configuration);
        done.setup = set_up_restored(what, context_.logger(), context_.stop());
        if (const std::string& file = context_.configuration().file; !file.empty()) {
            append_source(file, configuration);
            done.configuration_file = file;
        }
        const ProgressDisplay display(progress_, stderr, context_.progress_style());
        done.snapshot = back_up_restored(repository, what, progress_, context_.stop()).report.snapshot;
        done.checks = check_restored(what, context_.logger(), context_.stop());
        for (const postgres::Check& check : done.checks) {
            if (check.state == postgres::CheckState::failed)
                report_.problems.push_back(fmt::format("'{}' is not protected as it should be: {}: {}; {}",
                                                       configuration.name, check.name, check.found,
                                                       check.mend));
        }
        done.receive = receive_command(configuration.name);
        report_.protected_as = configuration.name;
        report_.protect = std::move(done);
    }

    // With what this one was told itself.
    std::vector<std::string> receive_command(const std::string& name) const {
        std::vector<std::string> words{"holdfast"};
        if (const std::string& file = context_.options().configuration_file; !file.empty())
            words.insert(words.end(), {"--config", file});
        words.insert(words.end(), {"wal", "receive"});
        if (!target_.repository.empty()) words.insert(words.end(), {"--repo", target_.repository});
        words.push_back(name);
        return words;
    }

    // Who made the cluster, and so is its first role's name, in most.
    std::string user_of_server() const {
        struct stat status{};
        const std::string& directory = report_.result->restored->data_directory;
        if (::stat(directory.c_str(), &status) != 0) throw system_error(errno, directory);
        OwnerNames names;
        return names.user_name(status.st_uid);
    }

    void run_then() const {
        const PostgresRestoreResult& result = *report_.result;
        std::vector<std::pair<std::string, std::string>> variables{
            {"HOLDFAST_SOURCE", target_.source},
            {"HOLDFAST_TARGET", postgres::describe(result.plan.requested)},
            {"HOLDFAST_DATA_DIRECTORY", result.restored->data_directory}};
        if (result.started) {
            variables.emplace_back("HOLDFAST_CONNECTION", result.started->connection);
            variables.emplace_back("HOLDFAST_SOCKET_DIRECTORY", result.started->socket_directory);
            variables.emplace_back("HOLDFAST_PORT", fmt::format("{}", result.started->port));
        }
        const int code = run_shell_command(options_.then, variables, context_.stop());
        if (code != 0)
            throw Error(ErrorCode::unavailable, fmt::format("the command ended with {}", code),
                        "the recovered cluster is there all the same");
    }

    CommandContext& context_;
    const SourceRestoreTarget& target_;
    const SourceRestoreOptions& options_;
    const SourceConfiguration source_;
    PostgresRestore what_;
    std::optional<Duration> lent_for_;
    Progress progress_;
    SourceRestoreReport report_;
};

} // namespace

int run_source_restore(CommandContext& context, const SourceRestoreTarget& target,
                       const SourceRestoreOptions& options) {
    return SourceRestore(context, target, options).run();
}

} // namespace holdfast
