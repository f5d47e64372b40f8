// What a backup came to, as people read it.
#pragma once

#include "cli/command.h"

namespace holdfast {

// Prints the result of a backup of documents or of a PostgreSQL source, from its JSON. The exit code of the
// command.
int tell_backup(CommandContext& context, const nlohmann::json& result);
// That exit code alone.
int exit_code_of_backup(const nlohmann::json& result);

} // namespace holdfast
