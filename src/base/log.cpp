#include "base/log.h"

#include "base/clock.h"

#include <fmt/format.h>

#include <cstdio>

namespace holdfast {

namespace {

class SilentLogger final : public Logger {
  public:
    void log(LogLevel, std::string_view, std::initializer_list<LogField>) override {}
};

std::string_view name_of(LogLevel level) {
    switch (level) {
    case LogLevel::debug: return "debug";
    case LogLevel::info: return "info";
    case LogLevel::warning: return "warning";
    case LogLevel::error: return "error";
    }
    return "error";
}

// A JSON string; control bytes and bytes that are not ASCII text are escaped, so that a hostile file name cannot
// forge a line or move a cursor.
std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20 || byte == 0x7f) {
            out += fmt::format("\\u{:04x}", byte);
        } else {
            out += c;
        }
    }
    return out + "\"";
}

std::string render_value(const LogValue& value) {
    return std::visit(
        [](const auto& held) -> std::string {
            if constexpr (std::is_same_v<std::decay_t<decltype(held)>, std::string>) {
                return quoted(held);
            } else {
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

StandardErrorLogger::StandardErrorLogger(LogLevel minimum, LogFormat format) : minimum_(minimum), format_(format) {}
StandardErrorLogger::~StandardErrorLogger() = default;

void StandardErrorLogger::log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
    if (level < minimum_) return;
    const auto now = std::chrono::floor<std::chrono::milliseconds>(system_clock().now());
    const std::string line = render_log_line(format_, to_rfc3339(now), level, event, fields) + "\n";
    // One call, so that lines of several threads do not mix.
    std::fwrite(line.data(), 1, line.size(), stderr);
}

std::string render_log_line(LogFormat format, std::string_view time, LogLevel level, std::string_view event,
                            std::initializer_list<LogField> fields) {
    if (format == LogFormat::json) {
        std::string line = fmt::format(R"({{"time":{},"level":"{}","event":{})", quoted(time), name_of(level), quoted(event));
        for (const auto& [name, value] : fields) line += fmt::format(",{}:{}", quoted(name), render_value(value));
        return line + "}";
    }
    std::string line = fmt::format("{} {:<7} {}", time, name_of(level), event);
    for (const auto& [name, value] : fields) line += fmt::format(" {}={}", name, render_value(value));
    return line;
}

} // namespace holdfast
