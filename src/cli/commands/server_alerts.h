// alerts list, show, acknowledge, resolve, silence, silences, unsilence: what a server alone has.
#pragma once

#include "cli/command.h"

namespace holdfast {

void add_alerts_of_server(CLI::App& group, RunCommand& run);

} // namespace holdfast
