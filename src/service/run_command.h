// A command of the user's, run by the shell.
#pragma once

#include <stop_token>
#include <string>
#include <utility>
#include <vector>

namespace holdfast {

// Runs `command` with /bin/sh and more variables in its environment, with our standard error for what it says
// on either stream, and waits for it. Returns its exit code, 128 and the signal's number when one ended it. A
// stop ends it (SIGTERM to its process group) and throws Error(cancelled).
int run_shell_command(const std::string& command,
                      const std::vector<std::pair<std::string, std::string>>& variables,
                      const std::stop_token& stop);

} // namespace holdfast
