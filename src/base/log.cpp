#include "base/log.h"

#include "base/clock.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <type_traits>

#include <fmt/format.h>

namespace holdfast {

namespace {

class SilentLogger final : public Logger {
  public:
    void log(LogLevel, std::string_view, std::initializer_list<LogField>) override {}
};

std::string_view name_of(LogLevel level) {
    switch (level) {
    case LogLevel::debug:
        return "debug";
    case LogLevel::info:
        return "info";
    case LogLevel::warning:
        return "warning";
    case LogLevel::error:
        return "error";
    }
    return "error";
}

// A character of UTF-8: how many bytes it takes, and its number. No bytes when `text` does not begin with
// one.
struct Character {
    std::size_t size = 0;
    std::uint32_t number = 0;
};

// RFC 3629: shortest form only, no surrogates, nothing above U+10FFFF.
Character first_character(std::string_view text) {
    const auto byte_at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte_at(0);
    if (first < 0x80) return {1, first};
    const std::size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < size) return {};
    std::uint32_t number = first & (0x7fU >> size);
    for (std::size_t i = 1; i < size; ++i) {
        if ((byte_at(i) & 0xc0) != 0x80) return {};
        number = number << 6 | (byte_at(i) & 0x3fU);
    }
    constexpr std::array<std::uint32_t, 5> smallest{0, 0, 0x80, 0x800, 0x10000};
    if (number < smallest[size] || number > 0x10ffff || (number >= 0xd800 && number <= 0xdfff)) return {};
    return {size, number};
}

// Characters that break a line, move a cursor or turn the direction of writing.
bool is_control(std::uint32_t number) {
    return number < 0x20 || (number >= 0x7f && number < 0xa0) || (number >= 0x200e && number <= 0x200f) ||
           (number >= 0x2028 && number <= 0x202e) || (number >= 0x2066 && number <= 0x2069);
}

// A JSON string. Controls are escaped, so that a hostile file name cannot forge a line or steer a terminal; a
// byte that is not UTF-8, which JSON cannot say, becomes the four characters \xNN.
std::string quoted(std::string_view text) {
    std::string out = "\"";
    while (!text.empty()) {
        const auto [size, number] = first_character(text);
        if (size == 0) {
            out += fmt::format("\\\\x{:02x}", static_cast<unsigned char>(text[0]));
        } else if (number == '"' || number == '\\') {
            out += '\\';
            out += text[0];
        } else if (is_control(number)) {
            out += fmt::format("\\u{:04x}", number);
        } else {
            out += text.substr(0, size);
        }
        text.remove_prefix(std::max<std::size_t>(size, 1));
    }
    return out + "\"";
}

std::string render_value(LogFormat format, const LogValue& value) {
    return std::visit(
        [&](const auto& held) -> std::string {
            using Held = std::decay_t<decltype(held)>;
            if constexpr (std::is_same_v<Held, std::string>) {
                return quoted(held);
            } else {
                if constexpr (std::is_same_v<Held, double>) {
                    if (format == LogFormat::json && !std::isfinite(held)) return "null";
                }
                return fmt::format("{}", held);
            }
        },
        value);
}

} // namespace

Logger& silent_logger() {
    static SilentLogger logger;
    return logger;
}

StandardErrorLogger::StandardErrorLogger(LogLevel minimum, LogFormat format)
    : minimum_(minimum), format_(format) {}
StandardErrorLogger::~StandardErrorLogger() = default;

void StandardErrorLogger::log(LogLevel level, std::string_view event,
                              std::initializer_list<LogField> fields) {
    if (level < minimum_) return;
    const auto now = std::chrono::floor<std::chrono::milliseconds>(system_clock().now());
    const std::string line = render_log_line(format_, to_rfc3339(now), level, event, fields) + "\n";
    // One call, so that lines of several threads do not mix.
    std::fwrite(line.data(), 1, line.size(), stderr);
}

std::string render_log_line(LogFormat format, std::string_view time, LogLevel level, std::string_view event,
                            std::initializer_list<LogField> fields) {
    if (format == LogFormat::json) {
        std::string line = fmt::format(R"({{"time":{},"level":"{}","event":{})", quoted(time), name_of(level),
                                       quoted(event));
        for (const auto& [name, value] : fields)
            line += fmt::format(",{}:{}", quoted(name), render_value(format, value));
        return line + "}";
    }
    std::string line = fmt::format("{} {:<7} {}", time, name_of(level), event);
    for (const auto& [name, value] : fields) line += fmt::format(" {}={}", name, render_value(format, value));
    return line;
}

} // namespace holdfast
