#include "server/look_ahead.h"

#include "base/error.h"
#include "policy/period.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr const char* usual_horizon = "10y";
constexpr Period furthest{.months = 20 * 12};
// What is as far away as that can still be told.
constexpr const char* last_time = "2200-01-01T00:00:00Z";

} // namespace

Timestamp asked_time(const api::Call& call, Timestamp now) {
    const auto text = call.request().parameter("at");
    if (!text) return now;
    try {
        const Timestamp time = from_rfc3339(*text);
        if (time <= from_rfc3339(last_time)) return time;
        throw Error(ErrorCode::usage, fmt::format("{} is after {}", *text, last_time));
    } catch (const Error& error) {
        throw error.with_field("at");
    }
}

Timestamp asked_horizon(const api::Call& call, Timestamp from) {
    const std::string text = call.request().parameter("horizon").value_or(usual_horizon);
    try {
        const Period period = Period::parse(text, "horizon");
        if (period.longest() <= furthest.longest()) return period.after(from, TimeZone());
        throw Error(ErrorCode::usage, fmt::format("{} is more than {}", text, furthest.text()));
    } catch (const Error& error) {
        throw error.with_field("horizon");
    }
}

} // namespace holdfast
