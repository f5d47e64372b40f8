#include "base/version.h"

#include "cli/command.h"

#include <fmt/format.h>

namespace holdfast {

std::string version_text() { return fmt::format("holdfast {}, repository format 1", program_version); }

void add_version(CLI::App& app, RunCommand& run) {
    app.add_subcommand("version", "Print the version")->callback([&run] {
        run = [](CommandContext& context) {
            context.print({{"version", program_version}, {"format", 1}},
                          [] { fmt::print("{}\n", version_text()); });
            return exit_done;
        };
    });
}

} // namespace holdfast
