#include "base/error.h"
#include "cli/commands/program_words.h"
#include "cli/commands/repository_option.h"
#include "cli/commands/server_option.h"
#include "cli/commands/source_option.h"
#include "cli/configuration.h"
#include "cli/signals.h"
#include "server/server.h"

#include <atomic>
#include <cstdio>

#include <fmt/format.h>

namespace holdfast {

namespace {

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
    const std::vector<std::string> words = program_words(context, Listener::somebody);
    const auto declaration_of = [&](const Configuration& declared) {
        return ServerDeclaration{.policies = declared.policies,
                                 .sources = measured_sources(context, declared.sources, repository)};
    };
    ServerEnvironment environment{
        .settings = server_settings(configuration),
        .declaration = declaration_of(configuration),
        .program = {.program = words.front(),
                    .before = {words.begin() + 1, words.end()},
                    .behind = repository_words(repository)},
        .wants_reload = [&] { return reload.exchange(false); },
        .declare_again = [&] { return declaration_of(load_configuration(configuration.file)); },
        .open_repository = [&] { return open_repository(access, logger); },
        .repository_url = access.url};
    // Before anything is begun: what is declared must make sense.
    planned_operations(environment.declaration.policies, environment.declaration.sources,
                       environment.settings, {}, system_clock().now());
    const std::string listen = environment.settings.listen;
    Server server(std::move(environment), system_clock(), system_random(), logger);
    if (const auto token = server.first_token()) {
        fmt::print("The administrator's token, which is shown this once:\n  {}\n", *token);
        std::fflush(stdout);
    }
    server.run(
        [&](std::uint16_t port) {
            logger.info("serving", {{"listen", listen},
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
