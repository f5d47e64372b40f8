#include "cli/duration_option.h"

#include "base/error.h"

#include <charconv>

#include <fmt/format.h>

namespace holdfast {

Duration parse_duration(const std::string& text, const char* what) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const std::string_view unit(end, text.data() + text.size());
    constexpr std::uint32_t most = 1'000'000;
    if (error == std::errc() && value <= most) {
        if (unit == "s") return std::chrono::seconds(value);
        if (unit == "m") return std::chrono::minutes(value);
        if (unit == "h") return std::chrono::hours(value);
        if (unit == "d" && value <= most / 24) return std::chrono::hours(value) * 24;
    }
    throw Error(ErrorCode::usage, fmt::format("{}: '{}' is no length of time", what, text),
                "write it as 90s, 30m, 2h or 7d");
}

} // namespace holdfast
