// What a verification found, as people read it.
#pragma once

#include "cli/command.h"

namespace holdfast {

// Prints the result of a verification, from its JSON. The exit code of the command.
int tell_verification(CommandContext& context, const nlohmann::json& result);

} // namespace holdfast
