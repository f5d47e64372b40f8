// Progress of a long operation: counted by the workers, shown by whoever has a terminal or a log.
#pragma once

#include "base/clock.h"

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace holdfast {

// Counters that workers add to without locks. Lives longer than the workers and the display.
class Progress {
  public:
    void set_phase(std::string_view phase);
    std::string phase() const;
    void add_done(std::uint64_t bytes, std::uint64_t items = 0) {
        done_bytes_ += bytes;
        done_items_ += items;
    }
    void set_done(std::uint64_t bytes, std::uint64_t items) {
        done_bytes_ = bytes;
        done_items_ = items;
    }
    // What is known of the whole; 0 while it is not known.
    void set_total(std::uint64_t bytes, std::uint64_t items = 0) {
        total_bytes_ = bytes;
        total_items_ = items;
    }
    std::uint64_t done_bytes() const { return done_bytes_; }
    std::uint64_t done_items() const { return done_items_; }
    std::uint64_t total_bytes() const { return total_bytes_; }
    std::uint64_t total_items() const { return total_items_; }

  private:
    mutable std::mutex mutex_;
    std::string phase_;
    std::atomic<std::uint64_t> done_bytes_{0}, done_items_{0}, total_bytes_{0}, total_items_{0};
};

enum class ProgressStyle {
    none,
    people, // a bar or lines
    json,   // for a program that started this one: see render_progress_json()
};

// Shows `progress` while it lives. To people: nothing in the first two seconds; then on a terminal a bar with
// rate and time left, redrawn five times a second; elsewhere a line every ten seconds. As JSON: a line at
// once, every half second, and at the end. Writes to `out` (standard error), never to standard output. The
// destructor clears the bar.
class ProgressDisplay {
  public:
    ProgressDisplay(const Progress& progress, std::FILE* out, ProgressStyle style);
    ~ProgressDisplay();

  private:
    void run(std::stop_token stop);
    void run_json(std::stop_token stop);
    void draw(double elapsed_seconds, double rate_bytes);
    void write(const std::string& text);

    const Progress& progress_;
    std::FILE* out_;
    bool terminal_;
    bool drawn_ = false;
    std::jthread thread_;
};

// The bar's text without its colours and carriage return, for a terminal of `columns`: pure, so that it can
// be tested. It is never full: what counts as done may still be on its way to the store.
std::string render_progress(std::string_view phase, std::uint64_t done_bytes, std::uint64_t total_bytes,
                            std::uint64_t done_items, std::uint64_t total_items, double rate_bytes_per_second,
                            std::size_t columns);

// {"progress":{"phase":…,"done_bytes":…,"total_bytes":…,"done_items":…,"total_items":…}}: totals that are not
// known are 0.
std::string render_progress_json(const Progress& progress);

// "1.2 GiB", "512 B": three significant digits, binary units.
std::string format_bytes(std::uint64_t bytes);
// "2m 05s", "0.4 s", "3h 20m".
std::string format_duration(double seconds);

} // namespace holdfast
