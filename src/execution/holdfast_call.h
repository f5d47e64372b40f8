// A `holdfast` of its own, called by this one: with the words of a command line, and JSON as its answer.
#pragma once

#include "execution/program.h"

#include <atomic>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace holdfast {

// How the program is called.
struct ProgramWords {
    std::string program;             // holdfast
    std::vector<std::string> before; // the command: --config FILE …
    std::vector<std::string> behind; // it: --repo URL
};

// While it lives: requests a stop when `stop` does, or after `limit` (zero: never).
class Deadline {
  public:
    Deadline(Duration limit, const std::stop_token& stop);
    std::stop_token token() const { return both_.get_token(); }
    bool passed() const { return passed_; }

  private:
    std::stop_source both_;
    std::atomic<bool> passed_{false};
    std::stop_callback<std::function<void()>> forward_;
    std::jthread thread_;
};

struct HoldfastCall {
    std::vector<std::string> words; // the command and what belongs to it
    bool on_repository = true;      // else it does not take what stands behind it
    std::size_t most_output_bytes = 16u << 20;
    std::function<int()> stop_signal{};        // as in ProgramCall …
    Duration grace = std::chrono::seconds(60); // … this …
    int nice = 0;                              // … and this
};

// Runs it with JSON for result, log lines and progress. As run_program().
ProgramEnd call_holdfast(const ProgramWords& how, const HoldfastCall& call,
                         const std::function<void(std::string_view line)>& on_line,
                         const std::stop_token& stop);

// The JSON text that it answers with, also when it says that something is missing (exit code 3). Throws the
// error that it ended with; Error(timed_out) when it has no answer within `limit`, Error(cancelled) when
// `stop` was requested, Error(internal) when what it prints is no answer.
std::string ask_holdfast(const ProgramWords& how, std::vector<std::string> words, Duration limit,
                         const std::stop_token& stop);

} // namespace holdfast
