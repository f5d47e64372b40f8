#include "base/error.h"
#include "base/file_descriptor.h"
#include "catalog/damaged_file.h"
#include "cli/commands/program_words.h"
#include "cli/commands/repository_option.h"
#include "cli/commands/server_option.h"
#include "cli/commands/source_option.h"
#include "cli/configuration.h"
#include "cli/say.h"
#include "cli/server_choice.h"
#include "cli/signals.h"
#include "server/server.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>

#include <fmt/format.h>
#include <unistd.h>

namespace holdfast {

namespace {

constexpr std::size_t most_configuration_bytes = 1u << 20;

// A configuration of which policies and sources make sense, and its text.
struct Declared {
    Bytes text;
    Configuration configuration;
};
// Throws what load_configuration() throws, and Error(usage) when policies contradict each other.
Declared read_declared(const std::string& file) {
    Declared declared{.text = read_file(file, most_configuration_bytes), .configuration = {}};
    declared.configuration = parse_configuration(std::string(as_text(declared.text)), file);
    for (const auto& [name, source] : declared.configuration.sources)
        policy_for(declared.configuration.policies, name);
    return declared;
}

// To who sits there; else into a file of the server's own: what is printed may be kept by a log. With what an
// authenticator program needs, where an action takes a code.
void show_token(const IssuedToken& token, const std::string& state_directory) {
    std::string text = token.secret + "\n";
    if (token.authenticator) text += *token.authenticator + "\n";
    if (::isatty(STDOUT_FILENO) == 1) {
        fmt::print("The administrator's token, which is shown this once:\n{}", text);
    } else {
        const std::string file = state_directory + "/first-token";
        write_file_durably(file, as_bytes(text));
        say("The administrator's token is in {}: keep it elsewhere, and remove the file\n", file);
    }
    std::fflush(stdout);
}

StandardErrorLogger logger_of(const GlobalOptions& options) {
    return {options.quiet ? LogLevel::warning : LogLevel::info,
            options.log_format == "json" ? LogFormat::json : LogFormat::text};
}

int serve(CommandContext& context, const std::string& repository) {
    const std::string& file = context.configuration().file;
    if (file.empty())
        throw Error(ErrorCode::usage, "there is no configuration file, and so nothing to serve",
                    "write holdfast.toml with a repository, sources and policies; see holdfast(1)");
    const Declared declared = read_declared(file);
    const Configuration& configuration = declared.configuration;
    std::atomic<bool> reload = false;
    const HangupAction on_hangup(context.signals(), [&] { reload = true; });
    StandardErrorLogger logger = logger_of(context.options());
    const RepositoryAccess access = context.access(repository);
    const ServerSettings settings = server_settings(configuration);
    const std::string accepted = settings.state_directory + "/holdfast.toml";
    std::vector<std::string> words = program_words(context, Listener::somebody);
    // Operations go by what was read and made sense, not by what is being written.
    std::ranges::replace(words, std::filesystem::absolute(file).string(), accepted);
    // And are done here, also where a person's commands are done at a server.
    words.insert(words.end(), {"--server", here_word});
    const auto declaration_of = [&](const Declared& of) {
        return ServerDeclaration{.policies = of.configuration.policies,
                                 .sources = measured_sources(context, of.configuration.sources, repository),
                                 .rules = RuleBook(of.configuration.alerts),
                                 .channels = of.configuration.channels,
                                 .checklists = checklists_in_force(of.configuration.checklists),
                                 .settings = server_settings(of.configuration),
                                 .text = std::string(as_text(of.text))};
    };
    const auto accept = [&](const ServerDeclaration& declaration) {
        write_file_durably(accepted, as_bytes(declaration.text));
    };
    ServerEnvironment environment{.settings = settings,
                                  .declaration = declaration_of(declared),
                                  .program = {.program = words.front(),
                                              .before = {words.begin() + 1, words.end()},
                                              .behind = repository_words(repository)},
                                  .wants_reload = [&] { return reload.exchange(false); },
                                  .declare_again = [&] { return declaration_of(read_declared(file)); },
                                  .accept = accept,
                                  .open_repository = [&] { return open_repository(access, logger); }};
    Server server(std::move(environment), system_clock(), system_random(), logger);
    // The state directory is ours from here on.
    write_file_durably(accepted, declared.text);
    server.first_token([&](const IssuedToken& token) { show_token(token, settings.state_directory); });
    server.run(
        [&](std::uint16_t port) {
            logger.info("serving", {{"listen", settings.listen},
                                    {"port", std::uint64_t{port}},
                                    {"certificate_sha256", server.fingerprint()},
                                    {"configuration", file}});
        },
        context.stop());
    logger.info("stopped");
    return exit_done;
}

// Once more with a new catalog where the one that there was is damaged; the second time it is something else
// than the file.
int run_serve(CommandContext& context, const std::string& repository) {
    try {
        return serve(context, repository);
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt) throw;
        const ServerSettings settings = server_settings(context.configuration());
        const auto aside =
            set_aside_when_damaged(settings.catalog_url(), settings.state_directory, system_clock());
        if (!aside) throw;
        StandardErrorLogger logger = logger_of(context.options());
        logger.error("the catalog is damaged: the server begins anew with an empty one, and what matters is "
                     "read from the repository",
                     {{"reason", error.message()}, {"kept_as", *aside}});
    }
    return serve(context, repository);
}

} // namespace

void add_serve(CLI::App& app, RunCommand& run) {
    auto repository = std::make_shared<std::string>();
    CLI::App* command = app.add_subcommand(
        "serve", "Do by itself what the policies of holdfast.toml say, until it is stopped");
    add_repository_option(*command, *repository);
    command->callback([repository, &run] {
        run = [repository](CommandContext& context) { return run_serve(context, *repository); };
    });
}

} // namespace holdfast
