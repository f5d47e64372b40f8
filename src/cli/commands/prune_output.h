// What pruning came to, as people read it.
#pragma once

#include "cli/command.h"

namespace holdfast {

// Prints the result of pruning, from its JSON. The exit code of the command.
int tell_prune(CommandContext& context, const nlohmann::json& result);

} // namespace holdfast
