#include "service/clock_memory.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "base/json_text.h"
#include "postgres/receive/receive_state.h"
#include "repository/repository.h"

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <filesystem>

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>

namespace holdfast {

namespace {

using nlohmann::json;

constexpr std::size_t most_bytes = 64 << 10;

struct Memory {
    Timestamp seen{}; // what the clock showed last
    Uptime uptime{};  // then
    Duration ahead{}; // what a clock that is believed shows, less the uptime: the same for as long as it runs
    std::string doubt{};                      // what was found; empty: nothing
    std::optional<Timestamp> doubted_until{}; // nothing: until somebody says otherwise, or it is over
};

// Far from where differences overflow.
constexpr std::int64_t most_nanoseconds = (std::int64_t{1} << 62) - 1;

Duration read_duration(const json& value) {
    const auto nanoseconds = value.get<std::int64_t>();
    if (nanoseconds > most_nanoseconds || nanoseconds < -most_nanoseconds)
        throw json::other_error::create(501, "out of bounds", &value);
    return Duration(nanoseconds);
}

std::optional<Memory> read_memory(const std::string& file) {
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored)) return std::nullopt;
    const json value = json::parse(as_text(read_file(file, most_bytes)), nullptr, false);
    try {
        Memory memory{.seen = Timestamp(read_duration(value.at("seen"))),
                      .uptime = {.boot = value.at("boot").get<std::string>(),
                                 .time = read_duration(value.at("uptime"))},
                      .ahead = read_duration(value.at("ahead")),
                      .doubt = value.at("doubt").get<std::string>()};
        if (const json& until = value.at("doubted_until"); !until.is_null())
            memory.doubted_until = Timestamp(read_duration(until));
        return memory;
    } catch (const json::exception&) {
        return std::nullopt;
    }
}

void write_memory(const std::string& file, const Memory& memory) {
    json value{{"seen", memory.seen.time_since_epoch().count()},
               {"boot", memory.uptime.boot},
               {"uptime", memory.uptime.time.count()},
               {"ahead", memory.ahead.count()},
               {"doubt", memory.doubt},
               {"doubted_until", nullptr}};
    if (memory.doubted_until) value["doubted_until"] = memory.doubted_until->time_since_epoch().count();
    write_file_durably(file, as_bytes(json_text(value)));
}

// Held by whoever reads, decides and writes.
FileDescriptor lock_memory(const std::string& file) {
    create_directories_private(std::filesystem::path(file).parent_path());
    const std::string path = file + ".lock";
    FileDescriptor lock = open_file(path, O_RDWR | O_CREAT, 0600);
    while (::flock(lock.get(), LOCK_EX) != 0)
        if (errno != EINTR) throw system_error(errno, path);
    return lock;
}

Memory of_now(const Clock& clock) {
    const Timestamp now = clock.now();
    const Uptime uptime = uptime_of(clock);
    return {.seen = now, .uptime = uptime, .ahead = now.time_since_epoch() - uptime.time};
}

std::string hours_text(Duration duration) {
    const double hours = std::chrono::duration<double, std::ratio<3600>>(duration).count();
    return hours < 48 ? fmt::format("{:.1f} hours", hours) : fmt::format("{:.1f} days", hours / 24);
}

// In the same run of the machine: how far the clock has moved beyond the time that has passed.
void compare_with_uptime(const Memory& before, Memory& now) {
    const Duration leap = now.ahead - before.ahead;
    // What was doubted was set back: it was wrong then, and is right now.
    if (before.doubted_until && leap < -tolerated_leap) return;
    // One that falls back keeps more, not less, and often comes back.
    now.ahead = before.ahead;
    if (leap > tolerated_leap) {
        now.doubt = fmt::format("the clock of this machine has leapt forward by {} while the machine ran",
                                hours_text(leap));
    } else if (before.doubted_until && *before.doubted_until > now.seen) {
        now.doubt = before.doubt;
        now.doubted_until = before.doubted_until;
    }
}

void doubt_gap(Timestamp last, std::string_view what, Memory& now) {
    last = std::max(last, Timestamp{});
    if (now.seen - last <= tolerated_gap) return;
    now.doubted_until = now.seen + gap_grace;
    now.doubt =
        fmt::format("by the clock of this machine {} have passed since {}; whether that is so, nothing here "
                    "can tell: it is believed from {} on",
                    hours_text(now.seen - last), what,
                    to_rfc3339(std::chrono::floor<std::chrono::seconds>(*now.doubted_until)));
}

void compare_over_restart(const Memory& before, Memory& now) {
    doubt_gap(before.seen, "it was last looked at, and the machine was started again meanwhile", now);
    if (!now.doubt.empty() || before.doubt.empty()) return;
    const bool set_back = now.seen < before.seen;
    if (set_back || (before.doubted_until && *before.doubted_until <= now.seen)) return;
    // A leap is none the less one for the machine having been started again.
    now.doubt = before.doubt;
    now.doubted_until = before.doubted_until.value_or(now.seen + gap_grace);
}

} // namespace

Uptime uptime_of(const Clock& clock) {
    if (&clock != &system_clock()) return {.boot = "passed in", .time = clock.steady()};
    Uptime uptime{.boot = postgres::boot_id()};
    timespec time{};
    if (::clock_gettime(CLOCK_BOOTTIME, &time) != 0) throw system_error(errno, "CLOCK_BOOTTIME");
    uptime.time = std::chrono::seconds(time.tv_sec) + Duration(time.tv_nsec);
    return uptime;
}

std::string ClockMemory::look(std::optional<Timestamp> witness) {
    const FileDescriptor lock = lock_memory(file_);
    const std::optional<Memory> before = read_memory(file_);
    Memory now = of_now(clock_);
    if (!before) {
        if (witness) doubt_gap(*witness, "the newest snapshot", now);
    } else if (!now.uptime.boot.empty() && now.uptime.boot == before->uptime.boot &&
               now.uptime.time >= before->uptime.time) {
        compare_with_uptime(*before, now);
    } else {
        compare_over_restart(*before, now);
    }
    write_memory(file_, now);
    return now.doubt;
}

void ClockMemory::believe() {
    const FileDescriptor lock = lock_memory(file_);
    write_memory(file_, of_now(clock_));
}

ClockMemory clock_memory(Repository& repository) {
    return ClockMemory(repository.directories().cache + "/clock", repository.clock());
}

} // namespace holdfast
