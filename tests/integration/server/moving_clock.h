// A clock of the machine that leaps while programs run.
#pragma once

#include "support/run_program.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <utility>

namespace holdfast::test {

// Tells programs another time of the day than the kernel does: not how much of it passes, nor, unless they
// are to leap along, what files say.
class MovingClock {
  public:
    // What it shows is written into `file`; `options` are those of the programs, and outlive it.
    MovingClock(std::string file, RunOptions& options) : file_(std::move(file)), options_(options) {}

    // What `start` starts goes by this clock, and so does all that it starts.
    template <typename Start>
    auto start(Start&& start, bool files_leap_along = false) {
        write("+0");
        return join(std::forward<Start>(start), files_leap_along);
    }
    // The same, as late as it is by it.
    template <typename Start>
    auto join(Start&& start, bool files_leap_along = false) {
        const Restored restored{options_, options_.environment};
        options_.environment["LD_PRELOAD"] = HOLDFAST_FAKE_CLOCK;
        options_.environment["FAKETIME_TIMESTAMP_FILE"] = file_;
        options_.environment["FAKETIME_CACHE_DURATION"] = "1";
        options_.environment["DONT_FAKE_MONOTONIC"] = "1";
        if (!files_leap_along) options_.environment["NO_FAKE_STAT"] = "1";
        // Where the program has this sanitizer, that it is not loaded first.
        options_.environment["ASAN_OPTIONS"] = "verify_asan_link_order=0";
        return start();
    }
    // By how much it is ahead from now on: "+20d", "-1h", "+0".
    void move(const std::string& by) const {
        write(by);
        // So long programs go by what they have read last.
        std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    }

  private:
    struct Restored {
        ~Restored() { options.environment = before; }
        RunOptions& options;
        std::map<std::string, std::string> before;
    };
    void write(const std::string& by) const {
        std::ofstream(file_ + ".new") << by << "\n";
        std::filesystem::rename(file_ + ".new", file_);
    }

    const std::string file_;
    RunOptions& options_;
};

} // namespace holdfast::test
