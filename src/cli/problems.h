// What a command could not do, and what it passed over.
#pragma once

#include "base/error.h"
#include "cli/command.h"

#include <string>
#include <vector>

namespace holdfast {

// What a user is told of any exception.
Error as_error(const std::exception& exception);
// {"code", "message", "hint", "retryable"}.
nlohmann::json error_as_json(const Error& error);
// On standard error, for people.
void say_error(const Error& error);

// Warns of each of them. The exit code that follows: that something was left out, if there is any.
int tell_problems(CommandContext& context, const std::vector<std::string>& problems);

} // namespace holdfast
