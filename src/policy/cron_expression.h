// Cron expressions: minute, hour, day of the month, month, day of the week.
#pragma once

#include "base/clock.h"
#include "policy/time_zone.h"

#include <bitset>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

// Five fields as crontab(5) has them: numbers, names of months and days, lists, ranges, steps; @hourly,
// @daily,
// @weekly, @monthly and @yearly. Beyond that `L` is the last day of the month, `sun#1` the first Sunday of it
// and `sunL` the last. When both kinds of day are restricted either makes a match, unless one of them begins
// with `*`, as crontab(5) says.
//
// Where clocks change: with a `*` or a step as the hour it runs on through it, by what the clock shows; at
// stated hours it runs once, at the first moment after an hour that does not exist, and in the first of two.
// Immutable; thread-safe.
class CronExpression {
  public:
    // Throws Error(usage) that names the field and what is wrong, also for what can never come, as 30
    // February.
    static CronExpression parse(std::string_view text);

    const std::string& text() const { return text_; }
    // The first run after `after`. Nothing when there is none within what a Timestamp holds.
    std::optional<Timestamp> next(Timestamp after, const TimeZone& zone) const;
    // The last run at or before `time`.
    std::optional<Timestamp> previous(Timestamp time, const TimeZone& zone) const;

  private:
    CronExpression() = default;
    void parse_days_of_month(std::string_view field);
    void parse_days_of_week(std::string_view field);
    bool matches(std::chrono::local_days day) const;
    // The runs of one day, in order. Some of them may lie on a neighbouring one where clocks change at
    // midnight.
    std::vector<Timestamp> runs_on(std::chrono::local_days day, const TimeZone& zone) const;

    std::string text_;
    std::bitset<60> minutes_;
    std::bitset<24> hours_;
    std::bitset<32> days_of_month_; // 1 to 31
    bool last_day_of_month_ = false;
    std::bitset<13> months_;      // 1 to 12
    std::bitset<7> days_of_week_; // from Sunday
    // The n-th of the month, 1 to 5, or with 0 the last.
    std::vector<std::pair<unsigned, unsigned>> nth_days_of_week_;
    bool any_hour_ = false;
    bool any_day_of_month_ = false;
    bool any_day_of_week_ = false;
};

} // namespace holdfast
