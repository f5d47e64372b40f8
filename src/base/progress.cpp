#include "base/progress.h"

#include "base/json_text.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/ioctl.h>
#include <unistd.h>

namespace holdfast {

namespace {

constexpr auto quiet_time = std::chrono::seconds(2);
constexpr auto redraw_interval = std::chrono::milliseconds(200);
constexpr auto line_interval = std::chrono::seconds(10);
constexpr auto json_interval = std::chrono::milliseconds(500);
constexpr double most_shown = 0.995; // 99%

std::size_t terminal_columns(int fd) {
    winsize size{};
    if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return 80;
}

} // namespace

void Progress::set_phase(std::string_view phase) {
    const std::scoped_lock lock(mutex_);
    phase_ = phase;
}

std::string Progress::phase() const {
    const std::scoped_lock lock(mutex_);
    return phase_;
}

ProgressDisplay::ProgressDisplay(const Progress& progress, std::FILE* out, ProgressStyle style)
    : progress_(progress), out_(out), terminal_(::isatty(::fileno(out)) == 1) {
    if (style == ProgressStyle::people) thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
    if (style == ProgressStyle::json)
        thread_ = std::jthread([this](std::stop_token stop) { run_json(stop); });
}

ProgressDisplay::~ProgressDisplay() {
    if (thread_.joinable()) {
        thread_.request_stop();
        thread_.join();
    }
    if (drawn_ && terminal_) write("\r\x1b[K");
}

void ProgressDisplay::run(std::stop_token stop) {
    Clock& clock = system_clock();
    const Duration start = clock.steady();
    if (!clock.sleep_for(quiet_time, stop)) return;
    std::uint64_t last_bytes = 0;
    Duration last_time = start;
    double rate = 0;
    do {
        const Duration now = clock.steady();
        const std::uint64_t bytes = progress_.done_bytes();
        const double seconds = std::chrono::duration<double>(now - last_time).count();
        const double current = bytes >= last_bytes ? static_cast<double>(bytes - last_bytes) / seconds : 0;
        rate = last_time == start ? current : 0.9 * rate + 0.1 * current;
        last_bytes = bytes;
        last_time = now;
        draw(std::chrono::duration<double>(now - start).count(), rate);
    } while (clock.sleep_for(terminal_ ? Duration(redraw_interval) : Duration(line_interval), stop));
}

void ProgressDisplay::run_json(std::stop_token stop) {
    do write(render_progress_json(progress_) + "\n");
    while (system_clock().sleep_for(json_interval, stop));
    write(render_progress_json(progress_) + "\n");
}

// Not fmt::print, which throws: a full or closed standard error must not end the operation it reports on.
void ProgressDisplay::write(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), out_);
    std::fflush(out_);
}

void ProgressDisplay::draw(double elapsed_seconds, double rate_bytes) {
    const std::string text = render_progress(
        progress_.phase(), progress_.done_bytes(), progress_.total_bytes(), progress_.done_items(),
        progress_.total_items(), rate_bytes, terminal_ ? terminal_columns(::fileno(out_)) : 200);
    write(terminal_ ? fmt::format("\r{}\x1b[K", text)
                    : fmt::format("{} ({})\n", text, format_duration(elapsed_seconds)));
    drawn_ = true;
}

std::string render_progress(std::string_view phase, std::uint64_t done_bytes, std::uint64_t total_bytes,
                            std::uint64_t done_items, std::uint64_t total_items, double rate_bytes_per_second,
                            std::size_t columns) {
    std::string text(phase);
    if (total_bytes > 0) {
        // What is read is not stored yet, and what is shown is not over.
        const double part =
            std::min(most_shown, static_cast<double>(done_bytes) / static_cast<double>(total_bytes));
        constexpr std::size_t width = 20;
        const auto filled = static_cast<std::size_t>(part * width);
        text += fmt::format("  [{}{}] {:3.0f}%", std::string(filled, '='), std::string(width - filled, ' '),
                            std::floor(part * 100));
    }
    text += fmt::format("  {}", format_bytes(done_bytes));
    if (total_bytes > 0) text += fmt::format(" of {}", format_bytes(total_bytes));
    if (done_items > 0)
        text += fmt::format("  {}{} items", done_items,
                            total_items > 0 ? fmt::format(" of {}", total_items) : "");
    if (rate_bytes_per_second >= 1) {
        text += fmt::format("  {}/s", format_bytes(static_cast<std::uint64_t>(rate_bytes_per_second)));
        if (total_bytes > done_bytes) {
            text += fmt::format("  {} left", format_duration(static_cast<double>(total_bytes - done_bytes) /
                                                             rate_bytes_per_second));
        }
    }
    if (columns > 0 && text.size() >= columns) text.resize(columns - 1);
    return text;
}

std::string render_progress_json(const Progress& progress) {
    const nlohmann::json value = {{"phase", progress.phase()},
                                  {"done_bytes", progress.done_bytes()},
                                  {"total_bytes", progress.total_bytes()},
                                  {"done_items", progress.done_items()},
                                  {"total_items", progress.total_items()}};
    return json_text(nlohmann::json{{"progress", value}});
}

std::string format_bytes(std::uint64_t bytes) {
    static constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    // The limits are where rounding would give a fourth digit.
    while (value >= 999.5 && unit < 6) {
        value /= 1024;
        ++unit;
    }
    if (unit == 0) return fmt::format("{} B", bytes);
    const int decimals = value < 0.9995 ? 3 : value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    return fmt::format("{:.{}f} {}", value, decimals, units[unit]);
}

std::string format_duration(double seconds) {
    if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
    const auto whole = static_cast<std::uint64_t>(std::llround(seconds));
    if (whole < 60) return fmt::format("{} s", whole);
    if (whole < 3600) return fmt::format("{}m {:02}s", whole / 60, whole % 60);
    return fmt::format("{}h {:02}m", whole / 3600, whole / 60 % 60);
}

} // namespace holdfast
