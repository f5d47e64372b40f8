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
    // Of a gap, what was found, and until when it is doubted; empty: nothing. A leap is found anew each time.
    std::string doubt{};
    std::optional<Timestamp> doubted_until{};
    // While it is: where the gap begins, and how far behind that a clock is believed.
    Timestamp doubted_from{};
    Duration tolerated{};
    bool is_first = false; // as in ClockDoubt
    std::string stated{};
    std::vector<std::string> of_others{};

    Duration leap() const { return seen.time_since_epoch() - uptime.time - ahead; }
    // How late it was by the uptime when the clock was seen, which may have leapt.
    Timestamp passed() const { return seen - std::max(leap(), Duration{}); }
};

// Far from where differences overflow.
constexpr std::int64_t most_nanoseconds = (std::int64_t{1} << 62) - 1;
constexpr Duration most_uptime{std::int64_t{1} << 60};

Duration read_duration(const json& value) {
    // What is none, or too large, would be made into any.
    const bool is_whole = value.is_number_integer() &&
                          !(value.is_number_unsigned() && value.get<std::uint64_t>() > most_nanoseconds);
    const auto nanoseconds = is_whole ? value.get<std::int64_t>() : most_nanoseconds + 1;
    if (nanoseconds > most_nanoseconds || nanoseconds < -most_nanoseconds)
        throw json::other_error::create(501, "out of bounds", &value);
    return Duration(nanoseconds);
}

std::optional<Memory> read_memory(const std::string& file) {
    std::error_code ignored;
    // Also where there is none.
    if (std::filesystem::file_size(file, ignored) > most_bytes) return std::nullopt;
    const json value = json::parse(as_text(read_file(file, most_bytes)), nullptr, false);
    try {
        Memory memory{.seen = Timestamp(read_duration(value.at("seen"))),
                      .uptime = {.boot = value.at("boot").get<std::string>(),
                                 .time = read_duration(value.at("uptime"))},
                      .ahead = read_duration(value.at("ahead")),
                      .doubt = value.at("doubt").get<std::string>(),
                      .doubted_from = Timestamp(read_duration(value.at("doubted_from"))),
                      .tolerated = read_duration(value.at("tolerated")),
                      .is_first = value.at("is_first").get<bool>(),
                      .stated = value.at("stated").get<std::string>(),
                      .of_others = value.at("of_others").get<std::vector<std::string>>()};
        if (const json& until = value.at("doubted_until"); !until.is_null())
            memory.doubted_until = Timestamp(read_duration(until));
        // What no machine shows; differences of the rest do not overflow.
        if (memory.seen < Timestamp{} || memory.uptime.time < Duration{} ||
            memory.uptime.time > most_uptime || memory.ahead < -most_uptime)
            return std::nullopt;
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
               {"doubted_until", nullptr},
               {"doubted_from", memory.doubted_from.time_since_epoch().count()},
               {"tolerated", memory.tolerated.count()},
               {"is_first", memory.is_first},
               {"stated", memory.stated},
               {"of_others", memory.of_others}};
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

constexpr std::string_view newest_snapshot = "the newest snapshot";
constexpr std::string_view last_look = "it was last looked at, and the machine was started again meanwhile";

void doubt_gap(Timestamp last, Duration tolerated, std::string_view what, Memory& now) {
    last = std::max(last, Timestamp{});
    if (now.seen - last <= tolerated) return;
    now.doubted_until = now.seen + gap_grace;
    now.doubted_from = last;
    now.tolerated = tolerated;
    now.doubt =
        fmt::format("by the clock of this machine {} have passed since {}; whether that is so, nothing here "
                    "can tell: it is believed from {} on",
                    hours_text(now.seen - last), what,
                    to_rfc3339(std::chrono::floor<std::chrono::seconds>(*now.doubted_until)));
}

// Until its day is over, and as long as the clock goes on from where it was doubted.
void go_on_doubting(const Memory& before, Memory& now) {
    if (!before.doubted_until || *before.doubted_until <= now.passed()) return;
    now.doubt = before.doubt;
    now.doubted_until = before.doubted_until;
    now.doubted_from = before.doubted_from;
    now.tolerated = before.tolerated;
    now.is_first = before.is_first;
}

// What was doubted was set back, so it was wrong then. Whether far enough, the same gap tells.
void doubt_again(const Memory& before, Memory& now) {
    now.is_first = before.is_first;
    doubt_gap(before.doubted_from, before.tolerated, before.is_first ? newest_snapshot : last_look, now);
}

// In the same run of the machine: how far the clock has moved beyond the time that has passed.
void compare_with_uptime(const Memory& before, Memory& now) {
    const Duration leap = now.ahead - before.ahead;
    if (before.doubted_until && leap < -tolerated_leap) return doubt_again(before, now);
    // One that falls back keeps more, not less, and often comes back.
    now.ahead = before.ahead;
    go_on_doubting(before, now);
}

void compare_over_restart(const Memory& before, Memory& now) {
    const Duration moved = now.seen - before.seen;
    // A leap is none the less one for the machine having been started again, however often.
    if (before.leap() > tolerated_leap && moved >= Duration{}) {
        now.ahead -= before.leap();
        go_on_doubting(before, now);
    } else if (!before.doubted_until) {
        doubt_gap(before.passed(), tolerated_gap, last_look, now);
    } else if (moved > tolerated_gap) {
        doubt_gap(before.doubted_from, tolerated_gap, last_look, now);
    } else if (moved < Duration{}) {
        doubt_again(before, now);
    } else {
        go_on_doubting(before, now);
    }
}

ClockDoubt doubt_of(const Memory& memory) {
    if (memory.leap() > tolerated_leap) {
        return {.why = fmt::format("the clock of this machine has leapt forward by {} while the machine ran",
                                   hours_text(memory.leap())),
                .leapt = true,
                .is_first = false,
                .stated = memory.stated,
                .of_others = memory.of_others};
    }
    return {.why = memory.doubt,
            .leapt = false,
            .is_first = memory.is_first,
            .stated = memory.stated,
            .of_others = memory.of_others};
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

ClockDoubt ClockMemory::look(const std::optional<ClockWitness>& witness) {
    const FileDescriptor lock = lock_memory(file_);
    const std::optional<Memory> before = read_memory(file_);
    Memory now = of_now(clock_);
    if (!before) {
        now.is_first = true;
        if (witness) doubt_gap(witness->newest, witness->tolerated, newest_snapshot, now);
    } else {
        now.stated = before->stated;
        now.of_others = before->of_others;
        const bool same_run = !now.uptime.boot.empty() && now.uptime.boot == before->uptime.boot &&
                              now.uptime.time >= before->uptime.time;
        if (same_run)
            compare_with_uptime(*before, now);
        else
            compare_over_restart(*before, now);
    }
    write_memory(file_, now);
    return doubt_of(now);
}

void ClockMemory::believe(std::vector<std::string> of_others) {
    const FileDescriptor lock = lock_memory(file_);
    Memory now = of_now(clock_);
    if (const auto before = read_memory(file_)) now.stated = before->stated;
    now.of_others = std::move(of_others);
    write_memory(file_, now);
}

void ClockMemory::remember_stated(const std::string& name) {
    const FileDescriptor lock = lock_memory(file_);
    Memory memory = read_memory(file_).value_or(of_now(clock_));
    memory.stated = name;
    write_memory(file_, memory);
}

ClockMemory clock_memory(Repository& repository) {
    return ClockMemory(repository.directories().cache + "/clock", repository.clock());
}

} // namespace holdfast
