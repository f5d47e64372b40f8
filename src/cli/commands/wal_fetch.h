// wal fetch: a subcommand of its own size, and what it starts to fetch ahead.
#pragma once

#include "cli/command.h"

namespace holdfast {

void add_wal_fetch(CLI::App& group, RunCommand& run);

} // namespace holdfast
