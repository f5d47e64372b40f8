#include "base/error.h"
#include "base/file_descriptor.h"
#include "cli/commands/program_words.h"
#include "cli/commands/repository_option.h"
#include "cli/commands/server_option.h"
#include "cli/commands/source_option.h"
#include "cli/configuration.h"
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

// Reads the configuration, and keeps it where operations read it. Throws what load_configuration() throws.
Configuration accept(const std::string& file, const std::string& kept) {
    const Bytes text = read_file(file, most_configuration_bytes);
    Configuration configuration = parse_configuration(std::string(as_text(text)), file);
    write_file_durably(kept, text);
    return configuration;
}

// To who sits there; else into a file of the server's own: what is printed may be kept by a log.
void show_token(const std::string& token, const std::string& state_directory) {
    if (::isatty(STDOUT_FILENO) == 1) {
        fmt::print("The administrator's token, which is shown this once:\n  {}\n", token);
    } else {
        const std::string file = state_directory + "/first-token";
        write_file_durably(file, as_bytes(token + "\n"));
        fmt::print("The administrator's token is in {}: keep it elsewhere, and remove the file\n", file);
    }
    std::fflush(stdout);
}

int run_serve(CommandContext& context, const std::string& repository) {
    const Configuration& configuration = context.configuration();
    if (configuration.file.empty())
        throw Error(ErrorCode::usage, "there is no configuration file, and so nothing to serve",
                    "write holdfast.toml with a repository, sources and policies; see holdfast(1)");
    std::atomic<bool> reload = false;
    const HangupAction on_hangup(context.signals(), [&] { reload = true; });
    StandardErrorLogger logger(context.options().quiet ? LogLevel::warning : LogLevel::info,
                               context.options().log_format == "json" ? LogFormat::json : LogFormat::text);
    const RepositoryAccess access = context.access(repository);
    const ServerSettings settings = server_settings(configuration);
    create_directories_private(settings.state_directory);
    const std::string accepted = settings.state_directory + "/holdfast.toml";
    std::vector<std::string> words = program_words(context, Listener::somebody);
    // Operations go by what was read and made sense, not by what is being written.
    std::ranges::replace(words, std::filesystem::absolute(configuration.file).string(), accepted);
    const auto declaration_of = [&](const Configuration& declared) {
        return ServerDeclaration{.policies = declared.policies,
                                 .sources = measured_sources(context, declared.sources, repository)};
    };
    ServerEnvironment environment{
        .settings = settings,
        .declaration = declaration_of(configuration),
        .program = {.program = words.front(),
                    .before = {words.begin() + 1, words.end()},
                    .behind = repository_words(repository)},
        .wants_reload = [&] { return reload.exchange(false); },
        .declare_again = [&] { return declaration_of(accept(configuration.file, accepted)); },
        .open_repository = [&] { return open_repository(access, logger); },
        .rules = RuleBook(configuration.alerts),
        .channels = configuration.channels};
    // Before anything is begun: what is declared must make sense.
    planned_operations(environment.declaration.policies, environment.declaration.sources,
                       environment.settings, {});
    accept(configuration.file, accepted);
    Server server(std::move(environment), system_clock(), system_random(), logger);
    if (const auto token = server.first_token()) show_token(*token, settings.state_directory);
    server.run(
        [&](std::uint16_t port) {
            logger.info("serving", {{"listen", settings.listen},
                                    {"port", std::uint64_t{port}},
                                    {"certificate_sha256", server.fingerprint()},
                                    {"configuration", configuration.file}});
        },
        context.stop());
    logger.info("stopped");
    return exit_done;
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
