// Lengths of time as policies state them: by the calendar where months and years are meant.
#pragma once

#include "base/clock.h"
#include "policy/time_zone.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast {

// So many months on the calendar and then so many seconds. Never both in what parse() reads.
struct Period {
    std::int32_t months = 0;
    std::int64_t seconds = 0;

    // "90s", "30min", "24h", "30d", "12w", "12mo", "7y". Throws Error(usage) naming `what`, which may be empty; "m" alone is
    // refused, because people mean minutes by it as often as months.
    static Period parse(std::string_view text, std::string_view what);
    // As parse() reads it, in the largest unit that needs no fraction.
    std::string text() const;

    // `time` and this period later, by the calendar of `zone`: a month after 31 January is the last day of
    // February, at the same local time. Days are of 24 hours.
    Timestamp after(Timestamp time, const TimeZone& zone) const;
    // The longest that it can last, for comparisons: months of 31 days.
    Duration longest() const;
    bool is_zero() const { return months == 0 && seconds == 0; }
    bool operator==(const Period&) const = default;
};

} // namespace holdfast
