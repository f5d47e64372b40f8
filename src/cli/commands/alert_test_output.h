// What came of trying rules of alerts, as people read it.
#pragma once

#include "cli/command.h"

namespace holdfast {

// Prints the result of 'alerts test', from its JSON. The exit code of the command.
int tell_alert_tests(CommandContext& context, const nlohmann::json& trials);

} // namespace holdfast
