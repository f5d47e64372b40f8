// Stretches of time that come again each day or on some days of each week, as "02:00-03:00".
#pragma once

#include "base/clock.h"
#include "policy/time_zone.h"

#include <bitset>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast {

// A moment from which on and one before which something may happen.
struct TimeSpan {
    Timestamp begin, end;
    bool contains(Timestamp time) const { return begin <= time && time < end; }
    bool overlaps(const TimeSpan& other) const { return begin < other.end && other.begin < end; }
    bool operator==(const TimeSpan&) const = default;
};

// "02:00-03:00" is every day; "sun 04:00-05:00", "mon-fri 22:00-02:00" and "sat,sun 00:00-24:00" on days of
// the week, which is that of the beginning. What ends before it begins ends on the next day. Beginning and
// end are what clocks show: where they change, a window is shorter or longer. Immutable; thread-safe.
class WeeklyWindow {
  public:
    // Throws Error(usage) that names `what`, which may be empty.
    static WeeklyWindow parse(std::string_view text, std::string_view what);

    const std::string& text() const { return text_; }
    // The first that begins after `after`.
    TimeSpan next(Timestamp after, const TimeZone& zone) const;
    // The last that began at `time` or before.
    TimeSpan previous(Timestamp time, const TimeZone& zone) const;
    bool contains(Timestamp time, const TimeZone& zone) const { return previous(time, zone).contains(time); }

    bool operator==(const WeeklyWindow& other) const { return text_ == other.text_; }

  private:
    WeeklyWindow() = default;
    std::optional<TimeSpan> on(std::chrono::local_days day, const TimeZone& zone) const;

    std::string text_;
    std::bitset<7> days_;                  // from Sunday
    std::chrono::minutes begin_{}, end_{}; // of the day; the end is after the beginning
};

// The first time from `from` on, within a year, at which two windows overlap; each has its own zone.
std::optional<TimeSpan> first_overlap(const WeeklyWindow& a, const TimeZone& zone_a, const WeeklyWindow& b,
                                      const TimeZone& zone_b, Timestamp from);

} // namespace holdfast
