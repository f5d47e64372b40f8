// What every subcommand is made with.
#pragma once

#include "base/log.h"
#include "base/progress.h"
#include "service/open_repository.h"

#include <cstdio>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

namespace holdfast {

// Exit codes.
constexpr int exit_done = 0;
constexpr int exit_failed = 1;
constexpr int exit_usage = 2;
constexpr int exit_incomplete = 3; // done, but something was left out
// Of `wal fetch` that cannot tell whether the archive has the file: PostgreSQL must not go on without it.
constexpr int exit_recovery_must_end = 200;

// What the user set for all commands, from the command line, the environment and the configuration file.
struct GlobalOptions {
    std::string repository;
    std::string key_file;
    std::string private_key;
    std::string configuration_file;
    std::string cache_directory;
    std::string limit_upload; // "20M": bytes a second
    std::string limit_download;
    bool json = false;
    bool quiet = false;
    bool verbose = false;
    std::string log_format = "text";
    std::string progress = "auto";
    // Of a server that does what the command says; see server_choice.h.
    std::string server, token_file, server_ca, code;
    bool detach = false;
    // Whether these came from the command line rather than from the environment.
    bool server_typed = false, repository_typed = false;
};

// What the configuration file says beyond the global options; see configuration.h.
struct Configuration;

// Handed to every subcommand. Lives until the program ends.
class CommandContext {
  public:
    CommandContext(const GlobalOptions& options, const Configuration& configuration,
                   class StopOnSignal& signals);
    ~CommandContext();

    const GlobalOptions& options() const { return options_; }
    const Configuration& configuration() const { return configuration_; }
    Logger& logger() { return *logger_; }
    std::stop_token stop() const;
    StopOnSignal& signals() { return signals_; }
    bool json() const { return options_.json; }

    // `url` is what the command line names; empty: what the environment or the configuration names. A
    // passphrase is asked for on the terminal when no other key is named: twice with `new_passphrase`, else
    // once for all repositories.
    RepositoryAccess access(const std::string& url, bool new_passphrase = false);
    // The URL that access() takes for `url`: that of the configuration for an empty one, a path as an
    // absolute one. Throws Error(usage) when none is named.
    std::string repository_url(const std::string& url) const;
    OpenRepository open(const std::string& url) { return open_repository(access(url), logger()); }

    // Prints the one JSON value of a command, or with `text` what people read: the answer to a question.
    void print(const nlohmann::json& value, const std::function<void()>& text) const;
    // The same for what a command did, which --quiet leaves out unless JSON or a dry run was asked for.
    void report(const nlohmann::json& value, const std::function<void()>& text, bool dry_run = false) const;
    // Where people read what a command could not do: behind its result, or where errors go when there is
    // none.
    std::FILE* problem_stream() const { return options_.quiet ? stderr : stdout; }
    // How progress is wanted.
    ProgressStyle progress_style() const;

    // The server that does it, of a command that is done at one.
    class ApiClient& api();

  private:
    const GlobalOptions& options_;
    const Configuration& configuration_;
    StopOnSignal& signals_;
    std::unique_ptr<Logger> logger_;
    std::unique_ptr<ApiClient> api_;
    Secret asked_passphrase_;
};

// What is left of a command line once it is parsed: each runs the command and returns its exit code.
struct RunCommand {
    using Body = std::function<int(CommandContext&)>;
    Body here{};      // empty: there is nothing to do without a server
    Body at_server{}; // empty: a server does not do it

    // A command that is done here.
    template <typename Run>
        requires std::is_invocable_r_v<int, Run, CommandContext&>
    RunCommand& operator=(Run run) {
        here = std::move(run);
        at_server = {};
        return *this;
    }
};
// Adds a subcommand to `app`; when it is the one that was typed, it sets `run`.
using AddCommand = void (*)(CLI::App& app, RunCommand& run);

void add_init(CLI::App& app, RunCommand& run);
void add_alerts(CLI::App& app, RunCommand& run);
void add_audit(CLI::App& app, RunCommand& run);
void add_backup(CLI::App& app, RunCommand& run);
void add_retention(CLI::App& app, RunCommand& run);
void add_snapshots(CLI::App& app, RunCommand& run);
void add_ls(CLI::App& app, RunCommand& run);
void add_find(CLI::App& app, RunCommand& run);
void add_cat(CLI::App& app, RunCommand& run);
void add_diff(CLI::App& app, RunCommand& run);
void add_restore(CLI::App& app, RunCommand& run);
void add_verify(CLI::App& app, RunCommand& run);
void add_forget(CLI::App& app, RunCommand& run);
void add_plan(CLI::App& app, RunCommand& run);
void add_apply(CLI::App& app, RunCommand& run);
void add_policy(CLI::App& app, RunCommand& run);
void add_prune(CLI::App& app, RunCommand& run);
void add_stats(CLI::App& app, RunCommand& run);
void add_repair(CLI::App& app, RunCommand& run);
void add_operations(CLI::App& app, RunCommand& run);
void add_tokens(CLI::App& app, RunCommand& run);
void add_approvals(CLI::App& app, RunCommand& run);
void add_checklist(CLI::App& app, RunCommand& run);
void add_completion(CLI::App& app, RunCommand& run);
void add_hold(CLI::App& app, RunCommand& run);
void add_key(CLI::App& app, RunCommand& run);
void add_tag(CLI::App& app, RunCommand& run);
void add_wal(CLI::App& app, RunCommand& run);
void add_window(CLI::App& app, RunCommand& run);
void add_instances(CLI::App& app, RunCommand& run);
void add_doctor(CLI::App& app, RunCommand& run);
void add_serve(CLI::App& app, RunCommand& run);
void add_setup(CLI::App& app, RunCommand& run);
void add_status(CLI::App& app, RunCommand& run);
void add_version(CLI::App& app, RunCommand& run);

// What --version prints.
std::string version_text();

// "20M", "1.5GiB", "300k": powers of 1024. Throws Error(usage) naming `what`.
std::uint64_t parse_size(const std::string& text, const std::string& what);
// A time for people: local, to the second.
std::string local_time(Timestamp time);
// A file's time likewise.
std::string file_time_text(const struct FileTime& time);
// The first eight digits of an id.
std::string short_id(const std::string& hex);

} // namespace holdfast
