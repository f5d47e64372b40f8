#include "policy/schedule.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/error.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

// Where intervals are counted from.
constexpr Timestamp epoch{};
constexpr Duration most_jitter = std::chrono::hours(24);

Timestamp floor_to(Timestamp time, Duration interval) {
    const auto since = time - epoch;
    const auto count = since / interval - (since % interval < Duration::zero() ? 1 : 0);
    return epoch + count * interval;
}

} // namespace

Schedule::Schedule(Rhythm rhythm, TimeZone zone, std::string name, std::optional<Duration> jitter)
    : rhythm_(std::move(rhythm)), zone_(std::move(zone)), name_(std::move(name)), jitter_(jitter) {
    if (jitter_ && (*jitter_ < Duration::zero() || *jitter_ > most_jitter))
        throw Error(ErrorCode::usage, fmt::format("{}: its jitter must be from 0 to 24 hours", name_));
    const auto* every = std::get_if<Every>(&rhythm_);
    if (every != nullptr && every->interval < std::chrono::seconds(1))
        throw Error(ErrorCode::usage, fmt::format("{}: it would run more often than once a second", name_));
    if (every != nullptr && jitter_ && *jitter_ > every->interval)
        throw Error(ErrorCode::usage, fmt::format("{}: its jitter is longer than its interval", name_));
}

Schedule::Run Schedule::run_at(Timestamp nominal, Duration spread) const {
    if (spread <= Duration::zero()) return {nominal, nominal};
    // Not for secrecy: only so that names and days spread evenly.
    const std::string seed = fmt::format("{}\n{}", name_, nominal.time_since_epoch().count());
    const std::uint64_t part = crc32c(0, as_bytes(seed));
    const auto seconds = std::chrono::floor<std::chrono::seconds>(spread).count();
    return {nominal, nominal + std::chrono::seconds(static_cast<std::int64_t>(
                                   part * static_cast<std::uint64_t>(seconds) >> 32))};
}

std::optional<Schedule::Run> Schedule::next(Timestamp after) const {
    const Duration jitter = jitter_.value_or(Duration::zero());
    if (const auto* cron = std::get_if<CronExpression>(&rhythm_)) {
        const auto time = cron->next(after, zone_);
        if (!time) return std::nullopt;
        return run_at(*time, jitter);
    }
    if (const auto* window = std::get_if<WeeklyWindow>(&rhythm_)) {
        const TimeSpan span = window->next(after, zone_);
        return run_at(span.begin, jitter_.value_or(span.end - span.begin));
    }
    const Duration interval = std::get<Every>(rhythm_).interval;
    return run_at(floor_to(after, interval) + interval, jitter);
}

std::optional<Schedule::Run> Schedule::latest_nominal(Timestamp at_or_before) const {
    const Duration jitter = jitter_.value_or(Duration::zero());
    if (const auto* cron = std::get_if<CronExpression>(&rhythm_)) {
        const auto time = cron->previous(at_or_before, zone_);
        if (!time) return std::nullopt;
        return run_at(*time, jitter);
    }
    if (const auto* window = std::get_if<WeeklyWindow>(&rhythm_)) {
        const TimeSpan span = window->previous(at_or_before, zone_);
        return run_at(span.begin, jitter_.value_or(span.end - span.begin));
    }
    return run_at(floor_to(at_or_before, std::get<Every>(rhythm_).interval), jitter);
}

std::optional<Schedule::Run> Schedule::due(Timestamp last, Timestamp now) const {
    // The latest may still be waiting for its delay, and then the one before it may be due.
    for (auto run = latest_nominal(now); run && run->nominal > last;
         run = latest_nominal(run->nominal - std::chrono::nanoseconds(1)))
        if (run->begin <= now) return run;
    return std::nullopt;
}

} // namespace holdfast
