// What a restore came to, as people read it.
#pragma once

#include "cli/command.h"

namespace holdfast {

// Prints the result of a restore of documents, or of a PostgreSQL source that somebody else carried out, from
// its JSON. The exit code of the command.
int tell_restore(CommandContext& context, const nlohmann::json& result);

} // namespace holdfast
