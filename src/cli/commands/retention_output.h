// What enforcing retention came to, as people read it.
#pragma once

#include "cli/command.h"

namespace holdfast {

// Prints the result of 'retention enforce', from its JSON. The exit code of the command.
int tell_retention(CommandContext& context, const nlohmann::json& result);

} // namespace holdfast
