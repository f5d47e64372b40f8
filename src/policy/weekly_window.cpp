#include "policy/weekly_window.h"

#include "base/error.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace holdfast {

namespace {

using std::chrono::days;
constexpr std::array<std::string_view, 7> day_names{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
// A window can be left out for a day or two, where a zone leaves out a day; it comes every week.
constexpr int days_to_search = 15;

std::optional<unsigned> parse_day(std::string_view text) {
    const auto found = std::ranges::find(day_names, text);
    if (found == day_names.end()) return std::nullopt;
    return static_cast<unsigned>(found - day_names.begin());
}

// "mon-fri", "sat,sun"; over the end of the week, too.
bool parse_days(std::string_view text, std::bitset<7>& result) {
    while (true) {
        const std::size_t comma = text.find(',');
        const std::string_view item = text.substr(0, comma);
        const std::size_t dash = item.find('-');
        const auto first = parse_day(item.substr(0, dash));
        const auto last = dash == std::string_view::npos ? first : parse_day(item.substr(dash + 1));
        if (!first || !last) return false;
        for (unsigned day = *first; day != *last; day = (day + 1) % 7) result.set(day);
        result.set(*last);
        if (comma == std::string_view::npos) return true;
        text.remove_prefix(comma + 1);
    }
}

// "02:00", up to "24:00".
std::optional<std::chrono::minutes> parse_time(std::string_view text) {
    const auto digit = [&](std::size_t at) {
        return text[at] >= '0' && text[at] <= '9' ? text[at] - '0' : 100;
    };
    if (text.size() != 5 || text[2] != ':') return std::nullopt;
    const int hours = 10 * digit(0) + digit(1), minutes = 10 * digit(3) + digit(4);
    if (minutes > 59 || hours > 24 || (hours == 24 && minutes > 0)) return std::nullopt;
    return std::chrono::hours(hours) + std::chrono::minutes(minutes);
}

} // namespace

WeeklyWindow WeeklyWindow::parse(std::string_view text, std::string_view what) {
    WeeklyWindow window;
    window.text_ = text;
    std::string_view times = text;
    bool good = true;
    if (const std::size_t space = text.find(' '); space != std::string_view::npos) {
        good = parse_days(text.substr(0, space), window.days_);
        times.remove_prefix(space + 1);
    } else {
        window.days_.set();
    }
    const std::size_t dash = times.find('-');
    const auto begin = parse_time(times.substr(0, dash));
    const auto end = dash == std::string_view::npos ? std::nullopt : parse_time(times.substr(dash + 1));
    if (!good || !begin || !end || *begin == *end || *begin == days(1)) {
        throw Error(ErrorCode::usage,
                    fmt::format("{}'{}' is no window", what.empty() ? "" : fmt::format("{}: ", what), text),
                    "write it as 02:00-03:00, sun 04:00-05:00 or mon-fri 22:00-02:00");
    }
    window.begin_ = *begin;
    window.end_ = *end > *begin ? *end : *end + days(1);
    return window;
}

std::optional<TimeSpan> WeeklyWindow::on(std::chrono::local_days day, const TimeZone& zone) const {
    if (!days_[std::chrono::weekday{day}.c_encoding()]) return std::nullopt;
    const TimeSpan span{zone.first_at_or_after(day + begin_), zone.first_at_or_after(day + end_)};
    // One that lies within an hour that does not exist has no length that day.
    if (span.begin >= span.end) return TimeSpan{span.begin, span.begin + std::chrono::minutes(1)};
    return span;
}

TimeSpan WeeklyWindow::next(Timestamp after, const TimeZone& zone) const {
    const auto start = std::chrono::floor<days>(zone.local(after)) - days(1);
    for (auto day = start; day < start + days(days_to_search); day += days(1))
        if (const auto span = on(day, zone); span && span->begin > after) return *span;
    throw Error(ErrorCode::internal, fmt::format("the window '{}' does not come again", text_));
}

TimeSpan WeeklyWindow::previous(Timestamp time, const TimeZone& zone) const {
    const auto start = std::chrono::floor<days>(zone.local(time)) + days(1);
    for (auto day = start; day > start - days(days_to_search); day -= days(1))
        if (const auto span = on(day, zone); span && span->begin <= time) return *span;
    throw Error(ErrorCode::internal, fmt::format("the window '{}' never came", text_));
}

std::optional<TimeSpan> first_overlap(const WeeklyWindow& a, const TimeZone& zone_a, const WeeklyWindow& b,
                                      const TimeZone& zone_b, Timestamp from) {
    const Timestamp end = from + days(366);
    TimeSpan of_a = a.previous(from, zone_a), of_b = b.previous(from, zone_b);
    while (of_a.begin < end && of_b.begin < end) {
        if (of_a.overlaps(of_b) && std::min(of_a.end, of_b.end) > from)
            return TimeSpan{std::max({of_a.begin, of_b.begin, from}), std::min(of_a.end, of_b.end)};
        if (of_a.end <= of_b.end) {
            of_a = a.next(of_a.begin, zone_a);
        } else {
            of_b = b.next(of_b.begin, zone_b);
        }
    }
    return std::nullopt;
}

} // namespace holdfast
