// wal verify: a subcommand of its own size.
#pragma once

#include "cli/command.h"

namespace holdfast {

void add_wal_verify(CLI::App& group, RunCommand& run);

} // namespace holdfast
