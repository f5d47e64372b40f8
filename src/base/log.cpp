#include "base/log.h"

#include "base/clock.h"
#include "base/terminal_text.h"

#include <algorithm>
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
