#include "policy/cron_expression.h"

#include "base/error.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::array<std::string_view, 12> month_names{"jan", "feb", "mar", "apr", "may", "jun",
                                                       "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> day_names{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
constexpr std::size_t most_characters = 256;
// Any combination of day, month and day of the week that exists comes again within so many years, also
// across 2100, which is no leap year.
constexpr int years_to_search = 41;

struct Field {
    const char* name;
    unsigned first, last;
    std::span<const std::string_view> names; // of `names_from` and what follows
    unsigned names_from = 0;
};
constexpr Field minute{"minute", 0, 59, {}};
constexpr Field hour{"hour", 0, 23, {}};
constexpr Field day_of_month{"day of the month", 1, 31, {}};
constexpr Field month{"month", 1, 12, month_names, 1};
constexpr Field day_of_week{"day of the week", 0, 7, day_names};

[[noreturn]] void refuse(const Field& field, std::string_view item, const char* why) {
    throw Error(
        ErrorCode::usage, fmt::format("cron expression, {} '{}': {}", field.name, item, why),
        fmt::format("it takes {} to {}, lists (1,2), ranges (1-5) and steps (*/5)", field.first, field.last));
}

std::string lower(std::string_view text) {
    std::string result(text);
    std::ranges::transform(result, result.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return result;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    while (true) {
        const std::size_t at = text.find(separator);
        parts.push_back(text.substr(0, at));
        if (at == std::string_view::npos) return parts;
        text.remove_prefix(at + 1);
    }
}

unsigned parse_value(const Field& field, std::string_view text, std::string_view item) {
    const auto named = std::ranges::find(field.names, text);
    if (named != field.names.end())
        return field.names_from + static_cast<unsigned>(named - field.names.begin());
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) refuse(field, item, "is no number here");
    if (value < field.first || value > field.last) refuse(field, item, "is out of range");
    return value;
}

// "5", "1-5", "*", each with "/3" behind it.
template <std::size_t Size>
void parse_item(const Field& field, std::string_view item, std::bitset<Size>& values) {
    const std::size_t slash = item.find('/');
    const std::string_view range = item.substr(0, slash);
    unsigned step = 1;
    unsigned first = field.first, last = field.last;
    if (slash != std::string_view::npos) {
        const std::string_view text = item.substr(slash + 1);
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), step);
        if (error != std::errc() || end != text.data() + text.size() || step == 0 || step > field.last)
            refuse(field, item, "has a step that is no number or too large");
    }
    if (range != "*") {
        const std::size_t dash = range.find('-');
        first = parse_value(field, range.substr(0, dash), item);
        if (dash != std::string_view::npos) {
            last = parse_value(field, range.substr(dash + 1), item);
        } else if (slash == std::string_view::npos) {
            last = first;
        }
        if (last < first) refuse(field, item, "ends before it begins");
    }
    for (unsigned value = first; value <= last; value += step) values.set(value);
}

template <std::size_t Size>
void parse_field(const Field& field, std::string_view text, std::bitset<Size>& values) {
    for (const std::string_view item : split(text, ',')) parse_item(field, item, values);
}

std::string_view of_nickname(std::string_view text) {
    if (text == "@hourly") return "0 * * * *";
    if (text == "@daily" || text == "@midnight") return "0 0 * * *";
    if (text == "@weekly") return "0 0 * * 0";
    if (text == "@monthly") return "0 0 1 * *";
    if (text == "@yearly" || text == "@annually") return "0 0 1 1 *";
    return text;
}

bool begins_with_star(std::string_view field) { return field.starts_with('*'); }

} // namespace

void CronExpression::parse_days_of_month(std::string_view field) {
    any_day_of_month_ = begins_with_star(field);
    for (const std::string_view item : split(field, ',')) {
        if (item == "l") {
            last_day_of_month_ = true;
        } else {
            parse_item(day_of_month, item, days_of_month_);
        }
    }
}

void CronExpression::parse_days_of_week(std::string_view field) {
    any_day_of_week_ = begins_with_star(field);
    std::bitset<8> days;
    for (const std::string_view item : split(field, ',')) {
        const std::size_t hash = item.find('#');
        if (hash != std::string_view::npos) {
            const std::string_view nth = item.substr(hash + 1);
            if (nth.size() != 1 || nth[0] < '1' || nth[0] > '5')
                refuse(day_of_week, item, "must have 1 to 5 behind the #");
            nth_days_of_week_.emplace_back(parse_value(day_of_week, item.substr(0, hash), item) % 7,
                                           static_cast<unsigned>(nth[0] - '0'));
        } else if (item.size() > 1 && item.ends_with('l')) {
            nth_days_of_week_.emplace_back(
                parse_value(day_of_week, item.substr(0, item.size() - 1), item) % 7, 0u);
        } else {
            parse_item(day_of_week, item, days);
        }
    }
    for (unsigned day = 0; day < 8; ++day)
        if (days[day]) days_of_week_.set(day % 7); // 7 is Sunday, too
}

CronExpression CronExpression::parse(std::string_view text) {
    CronExpression cron;
    cron.text_ = text;
    const std::string lowered = text.size() <= most_characters ? lower(text) : "";
    std::vector<std::string_view> fields;
    for (const std::string_view part : split(of_nickname(lowered), ' '))
        if (!part.empty()) fields.push_back(part);
    if (fields.size() != 5) {
        throw Error(ErrorCode::usage,
                    fmt::format("'{}' is no cron expression", text.substr(0, most_characters)),
                    "it has five fields, minute, hour, day of the month, month and day of the week, as in "
                    "\"30 2 * * *\", or is @hourly, @daily, @weekly, @monthly or @yearly");
    }
    parse_field(minute, fields[0], cron.minutes_);
    parse_field(hour, fields[1], cron.hours_);
    cron.any_hour_ = begins_with_star(fields[1]);
    cron.parse_days_of_month(fields[2]);
    parse_field(month, fields[3], cron.months_);
    cron.parse_days_of_week(fields[4]);
    // Far enough from both ends of what a Timestamp holds.
    if (!cron.next(Timestamp(std::chrono::sys_days(std::chrono::year(2000) / 1 / 1)), TimeZone())) {
        throw Error(ErrorCode::usage, fmt::format("'{}' never comes", text),
                    "no month of those has such a day");
    }
    return cron;
}

bool CronExpression::matches(std::chrono::local_days day) const {
    const std::chrono::year_month_day date{day};
    if (!months_[static_cast<unsigned>(date.month())]) return false;
    const auto last = static_cast<unsigned>(
        std::chrono::year_month_day_last{date.year(), std::chrono::month_day_last{date.month()}}.day());
    const auto of_month = static_cast<unsigned>(date.day());
    const unsigned of_week = std::chrono::weekday{day}.c_encoding();
    const bool month_fits = days_of_month_[of_month] || (last_day_of_month_ && of_month == last);
    bool week_fits = days_of_week_[of_week];
    for (const auto& [weekday, nth] : nth_days_of_week_) {
        if (weekday != of_week) continue;
        week_fits = week_fits || (nth == 0 ? of_month + 7 > last : (of_month - 1) / 7 + 1 == nth);
    }
    // Either, when both were asked for.
    if (any_day_of_month_ || any_day_of_week_) return month_fits && week_fits;
    return month_fits || week_fits;
}

std::vector<Timestamp> CronExpression::runs_on(std::chrono::local_days day, const TimeZone& zone) const {
    std::vector<Timestamp> runs;
    for (unsigned h = 0; h < hours_.size(); ++h) {
        if (!hours_[h]) continue;
        for (unsigned m = 0; m < minutes_.size(); ++m) {
            if (!minutes_[m]) continue;
            const LocalTime local = day + std::chrono::hours(h) + std::chrono::minutes(m);
            if (any_hour_) {
                for (const Timestamp run : zone.instants(local)) runs.push_back(run);
            } else {
                runs.push_back(zone.first_at_or_after(local));
            }
        }
    }
    std::ranges::sort(runs);
    return runs;
}

std::optional<Timestamp> CronExpression::next(Timestamp after, const TimeZone& zone) const {
    using std::chrono::days;
    const auto start = std::chrono::floor<days>(zone.local(after)) - days(1);
    for (auto day = start; day < start + std::chrono::years(years_to_search); day += days(1)) {
        if (!matches(day)) continue;
        for (const Timestamp run : runs_on(day, zone))
            if (run > after) return run;
    }
    return std::nullopt;
}

std::optional<Timestamp> CronExpression::previous(Timestamp time, const TimeZone& zone) const {
    using std::chrono::days;
    const auto start = std::chrono::floor<days>(zone.local(time)) + days(1);
    for (auto day = start; day > start - std::chrono::years(years_to_search); day -= days(1)) {
        if (!matches(day)) continue;
        const std::vector<Timestamp> runs = runs_on(day, zone);
        for (auto run = runs.rbegin(); run != runs.rend(); ++run)
            if (*run <= time) return *run;
    }
    return std::nullopt;
}

} // namespace holdfast
