// Commands that only make sense with a server.
#pragma once

#include "cli/command.h"

#include <memory>

namespace holdfast {

// Adds `name` to `group`; typed, it runs `body` at the server.
template <typename Arguments>
CLI::App* add_server_command(CLI::App& group, RunCommand& run, const char* name, const char* text,
                             std::shared_ptr<Arguments> arguments,
                             int (*body)(CommandContext&, const Arguments&)) {
    CLI::App* command = group.add_subcommand(name, text);
    command->callback([arguments, body, &run] {
        run = {};
        run.at_server = [arguments, body](CommandContext& context) { return body(context, *arguments); };
    });
    return command;
}

} // namespace holdfast
