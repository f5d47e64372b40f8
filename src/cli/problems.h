// What a command passed over.
#pragma once

#include "cli/command.h"

#include <string>
#include <vector>

namespace holdfast {

// Warns of each of them. The exit code that follows: that something was left out, if there is any.
int tell_problems(CommandContext& context, const std::vector<std::string>& problems);

} // namespace holdfast
