// Another program, run to its end.
#pragma once

#include "base/clock.h"

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

struct ProgramCall {
    std::string program; // a path
    std::vector<std::string> arguments{};
    std::size_t most_output_bytes = 4u << 20;
    // What asks it to stop, looked up when it is asked; empty: SIGINT.
    std::function<int()> stop_signal{};
    // Between that and the end without asking (SIGKILL).
    Duration grace = std::chrono::seconds(60);
    int nice = 0; // how much less urgent it is than this process: 0 to 19
};

struct ProgramEnd {
    int exit_code = 0; // 128 and the number of the signal that ended it
    bool signalled = false;
    std::string output;      // its standard output
    bool output_cut = false; // there was more
};

// Runs it in a process group of its own, without standard input, and calls `on_line` from this thread with
// each line it writes to standard error (without the line break, and at most 64 KiB of it). Should this
// process end meanwhile, that one is asked to stop (SIGTERM). A requested `stop` asks it too, and this
// returns when it has ended. Throws Error(io) when it cannot be started.
ProgramEnd run_program(const ProgramCall& call, const std::function<void(std::string_view line)>& on_line,
                       const std::stop_token& stop);

} // namespace holdfast
