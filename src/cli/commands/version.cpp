#include "base/version.h"

#include "cli/command.h"

#include <fmt/format.h>

namespace holdfast {

void add_version(CLI::App& app, RunCommand& run) {
    app.add_subcommand("version", "Print the version")->callback([&run] {
        run = [](CommandContext& context) {
            context.print({{"version", program_version}, {"format", 1}},
                          [] { fmt::print("holdfast {}, repository format 1\n", program_version); });
            return exit_done;
        };
    });
}

} // namespace holdfast
