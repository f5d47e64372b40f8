// The command line as a whole.
#pragma once

namespace holdfast {

// Parses, runs one subcommand, reports errors; returns the exit code. Catches everything.
int run_application(int argc, char** argv);

} // namespace holdfast
