// One backup into several repositories.
#pragma once

#include "cli/command.h"

#include <functional>
#include <string>
#include <vector>

namespace holdfast {

// Makes a whole backup into the repository at that URL; returns its result. Throws what went wrong.
using BackUpInto = std::function<nlohmann::json(const std::string& url)>;

// One after the other. One that fails keeps none of the others from its backup; a stop does. Tells of each
// when it has ended, or with --json of all at the end. Returns the exit code of the command: that of a
// failure when one has failed. Throws Error(usage) when one is named twice.
int back_up_into_each(CommandContext& context, const std::vector<std::string>& urls,
                      const BackUpInto& back_up);

} // namespace holdfast
