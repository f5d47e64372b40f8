#include "cli/application.h"

#include "base/close_names.h"
#include "base/error.h"
#include "base/version.h"
#include "cli/command.h"
#include "cli/configuration.h"
#include "cli/problems.h"
#include "cli/server_choice.h"
#include "cli/signals.h"

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::array<AddCommand, 35> commands = {
    add_init,       add_backup, add_snapshots, add_ls,         add_find,   add_cat,       add_diff,
    add_restore,    add_verify, add_tag,       add_hold,       add_policy, add_retention, add_forget,
    add_prune,      add_stats,  add_repair,    add_key,        add_wal,    add_window,    add_instances,
    add_doctor,     add_setup,  add_status,    add_serve,      add_audit,  add_version,   add_alerts,
    add_operations, add_tokens, add_approvals, add_completion, add_plan,   add_apply,     add_checklist,
};

void add_global_options(CLI::App& app, GlobalOptions& options) {
    app.add_option("--key-file", options.key_file,
                   "File with the key of a key-file slot, or with a recovery key")
        ->envname("HOLDFAST_KEY_FILE");
    app.add_option("--private-key", options.private_key, "File with the private key of a public-key slot")
        ->envname("HOLDFAST_PRIVATE_KEY");
    app.add_option(
           "--config", options.configuration_file,
           "Configuration (default: ~/.config/holdfast/holdfast.toml, then /etc/holdfast/holdfast.toml)")
        ->envname("HOLDFAST_CONFIG");
    app.add_option("--cache-directory", options.cache_directory,
                   "What this machine keeps to be faster; may be lost")
        ->envname("HOLDFAST_CACHE_DIRECTORY");
    app.add_option("--limit-upload", options.limit_upload, "Bytes a second to the repository, such as 20M");
    app.add_option("--limit-download", options.limit_download, "Bytes a second from the repository");
    app.add_flag("--json", options.json, "Print the result as JSON");
    app.add_flag("-q,--quiet", options.quiet,
                 "No progress, no warnings, and no result unless it was asked for; only what went wrong");
    app.add_flag("-v,--verbose", options.verbose, "Say more");
    app.add_option("--log-format", options.log_format, "Log lines as text or json")
        ->check(CLI::IsMember({"text", "json"}));
    app.add_option(
           "--progress", options.progress,
           "auto: a bar or lines, unless --quiet; json: a JSON object on a line, twice a second; none")
        ->check(CLI::IsMember({"auto", "json", "none"}));
    app.add_option("--server", options.server,
                   "Have it done by the server at this URL; here: by this machine, whatever is configured")
        ->envname("HOLDFAST_SERVER");
    app.add_option("--token-file", options.token_file,
                   "File with a token of the server (default: HOLDFAST_TOKEN)");
    app.add_option("--server-ca", options.server_ca,
                   "Certificate to trust, of a server that made its own: its server.crt");
    app.add_option("--code", options.code, "Code of the second factor, where the server asks for one");
    app.add_flag("--detach,--no-wait", options.detach,
                 "Do not wait for what the server does; print the operation's id");
}

// Whether the option was typed, and not merely found in the environment; CLI11 does not tell. Words that
// begin with a dash are options wherever they stand, up to a "--".
bool was_typed(int argc, char** argv, const std::string& name, char letter = '\0') {
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        if (word == "--") return false;
        if (word == name || word.starts_with(name + "=")) return true;
        // Behind flags, as in -qr.
        const std::size_t at = word.find_first_not_of("qvh", 1);
        const bool letters = word.size() > 1 && word[0] == '-' && word[1] != '-';
        if (letter != '\0' && letters && at != std::string_view::npos && word[at] == letter) return true;
    }
    return false;
}

// What a command exits with when it cannot do its work.
struct FailureCodes {
    int failed = exit_failed;
    int usage = exit_usage;
};

int report(const Error& error, bool json, const FailureCodes& codes) {
    if (json) {
        const nlohmann::json value = {{"error", error_as_json(error)}};
        fmt::print("{}\n", value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
    }
    say_error(error);
    return error.code() == ErrorCode::usage ? codes.usage : codes.failed;
}

// The command whose subcommand was expected when parsing ended.
const CLI::App& deepest(const CLI::App& app) {
    const CLI::App* at = &app;
    while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
    return *at;
}

// As it is typed: "holdfast key add".
std::string command_text(const CLI::App& app) {
    std::string text = "holdfast";
    for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
        at = at->get_subcommands().front();
        text += " " + at->get_name();
    }
    return text;
}

// PostgreSQL takes a restore_command's exit codes up to 125 for "there is no such file", and where it
// recovers to a target or to the end of the log, it ends there and opens: a repository out of reach, or a
// wrong option, would lose silently what follows. Higher codes end the server, and can be tried again. A
// standby asks again anyway, and is not to end because the repository is away. (PostgreSQL's documentation,
// "Recovering Using a Continuous Archive Backup"; commands run in the data directory.)
FailureCodes failure_codes(const CLI::App& app) {
    const CLI::App& command = deepest(app);
    const bool restores_log = command.get_name() == "fetch" && command.get_parent()->get_name() == "wal";
    std::error_code unreadable;
    if (!restores_log || std::filesystem::exists("standby.signal", unreadable)) return {};
    return {exit_recovery_must_end, exit_recovery_must_end};
}

std::string alternatives(const std::vector<std::string>& names) {
    std::string text;
    for (std::size_t i = 0; i < names.size(); ++i) {
        text += fmt::format("{}'{}'", i == 0 ? "" : i + 1 < names.size() ? ", " : " or ", names[i]);
    }
    return text;
}

// When the word where a command should be is none: an error that names those that may have been meant.
void explain_unknown_command(const CLI::App& app) {
    const CLI::App& group = deepest(app);
    const std::vector<const CLI::App*> known = group.get_subcommands([](const CLI::App*) { return true; });
    if (known.empty()) return;
    std::vector<std::string> names;
    for (const CLI::App* command : known) names.push_back(command->get_name());
    // A word behind an option that is not known here may be its value; it counts only if it looks like a
    // command.
    std::string word;
    std::vector<std::string> close;
    bool behind_option = false;
    for (const std::string& text : app.remaining(true)) {
        const bool option = text.starts_with('-');
        if (!option && close.empty()) close = close_names(text, names);
        if (!option && (!close.empty() || (word.empty() && !behind_option))) word = text;
        if (!close.empty()) break;
        behind_option = option;
    }
    if (word.empty()) return;
    const std::string prefix = &group == &app ? "" : group.get_name() + " ";
    throw Error(ErrorCode::usage, fmt::format("there is no command '{}{}'", prefix, word),
                close.empty() ? fmt::format("'holdfast {}--help' lists those that are there", prefix)
                              : fmt::format("did you mean {}?", alternatives(close)));
}

// Most often a variable of a script that was not set. Nothing, as it is without the option, would mean
// something else: the latest, everything, the default place.
void refuse_empty_values(const CLI::App& app) {
    for (const CLI::Option* option : app.get_options()) {
        if (std::ranges::count(option->results(), "") > 0)
            throw Error(ErrorCode::usage, fmt::format("{}: an empty value", option->get_name()),
                        "give one, or leave it out");
    }
    for (const CLI::App* command : app.get_subcommands()) {
        // What programs ask, as a shell does for completion, is not shown: there the word being typed is
        // empty.
        if (!command->get_group().empty()) refuse_empty_values(*command);
    }
}

int parse_and_run(int argc, char** argv, GlobalOptions& options, FailureCodes& codes) {
    CLI::App app("Back up to your own storage, encrypted and deduplicated, and get it back.", "holdfast");
    app.require_subcommand(1);
    app.fallthrough();
    app.set_help_all_flag("--help-all", "Help for all commands");
    app.footer("Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but something was left out.\n"
               "The manual page holdfast(1) says more.");
    add_global_options(app, options);
    app.set_version_flag("--version", version_text(), "Print the version");
    RunCommand run;
    for (const AddCommand add : commands) add(app, run);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        codes = failure_codes(app);
        if (error.get_exit_code() != 0) {
            // The options of a line that is wrong are not set, or not all.
            options.json = was_typed(argc, argv, "--json");
            explain_unknown_command(app);
            if (options.json)
                throw Error(ErrorCode::usage, error.what(),
                            fmt::format("'{} --help' says more", command_text(app)));
        }
        const int code = app.exit(error);
        return code == 0 ? exit_done : codes.usage;
    }
    codes = failure_codes(app);
    refuse_empty_values(app);
    options.server_typed = was_typed(argc, argv, "--server");
    options.repository_typed = was_typed(argc, argv, "--repo", 'r');
    const Configuration configuration = load_configuration(options.configuration_file);
    const RunCommand::Body& body = chosen_body(run, deepest(app), options, configuration);
    StopOnSignal signals;
    CommandContext context(options, configuration, signals);
    return body(context);
}

} // namespace

int run_application(int argc, char** argv) {
    GlobalOptions options;
    FailureCodes codes;
    try {
        const int code = parse_and_run(argc, argv, options, codes);
        // A recovery key that went nowhere, or a result that a script never got, is no success.
        if (std::fflush(stdout) != 0) throw system_error(errno, "writing to standard output");
        return code;
    } catch (const std::exception& exception) {
        return report(as_error(exception), options.json, codes);
    }
}

} // namespace holdfast
