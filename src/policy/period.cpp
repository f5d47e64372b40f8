#include "policy/period.h"

#include "base/error.h"

#include <array>
#include <charconv>

#include <fmt/format.h>

namespace holdfast {

namespace {

struct Unit {
    std::string_view name;
    std::int32_t months;
    std::int64_t seconds;
};
// The largest first.
constexpr std::array<Unit, 7> units{{{"y", 12, 0},
                                     {"mo", 1, 0},
                                     {"w", 0, 7 * 86'400},
                                     {"d", 0, 86'400},
                                     {"h", 0, 3'600},
                                     {"min", 0, 60},
                                     {"s", 0, 1}}};
// A thousand years and more would leave what a Timestamp holds.
constexpr std::int64_t most_seconds = 100LL * 366 * 86'400;

} // namespace

Period Period::parse(std::string_view text, std::string_view what) {
    const std::string prefix = what.empty() ? "" : fmt::format("{}: ", what);
    std::uint32_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    const std::string_view name(end, text.data() + text.size());
    if (error == std::errc() && count > 0) {
        for (const Unit& unit : units) {
            if (unit.name != name) continue;
            const std::int64_t months = std::int64_t{unit.months} * count;
            const std::int64_t seconds = unit.seconds * count;
            if (months > 1200 || seconds > most_seconds) break;
            return {static_cast<std::int32_t>(months), seconds};
        }
    }
    if (name == "m") {
        throw Error(ErrorCode::usage, fmt::format("{}'{}' may mean minutes or months", prefix, text),
                    fmt::format("write {0}min or {0}mo", count));
    }
    throw Error(ErrorCode::usage, fmt::format("{}'{}' is no length of time", prefix, text),
                "write it as 30min, 24h, 30d, 12w, 12mo or 7y, a hundred years at most");
}

std::string Period::text() const {
    for (const Unit& unit : units) {
        if (unit.months != 0 && months != 0 && months % unit.months == 0)
            return fmt::format("{}{}", months / unit.months, unit.name);
        if (unit.months == 0 && months == 0 && seconds % unit.seconds == 0)
            return fmt::format("{}{}", seconds / unit.seconds, unit.name);
    }
    return fmt::format("{}s", seconds);
}

Timestamp Period::after(Timestamp time, const TimeZone& zone) const {
    if (months == 0) return time + std::chrono::seconds(seconds);
    const LocalTime local = zone.local(time);
    const auto day = std::chrono::floor<std::chrono::days>(local);
    const std::chrono::year_month_day date{day};
    const std::chrono::year_month month =
        std::chrono::year_month{date.year(), date.month()} + std::chrono::months(months);
    std::chrono::year_month_day moved{month.year(), month.month(), date.day()};
    if (!moved.ok()) moved = month / std::chrono::last;
    const LocalTime then = std::chrono::local_days{moved} + (local - day);
    const Duration fraction = time - std::chrono::floor<std::chrono::seconds>(time);
    return zone.first_at_or_after(then) + fraction + std::chrono::seconds(seconds);
}

Duration Period::longest() const { return std::chrono::days(31) * months + std::chrono::seconds(seconds); }

} // namespace holdfast
