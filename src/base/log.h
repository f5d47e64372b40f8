// Structured logging: an event name and fields, as text or JSON lines on standard error. Never a secret in a
// field.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace holdfast {

enum class LogLevel { debug, info, warning, error };
enum class LogFormat { text, json };

using LogValue = std::variant<std::string, std::int64_t, std::uint64_t, double, bool>;
using LogField = std::pair<std::string_view, LogValue>;

// Where log lines go. Thread-safe. Passed down to what must report beside its result; there is no global
// logger.
class Logger {
  public:
    virtual ~Logger() = default;
    virtual void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) = 0;

    void debug(std::string_view event, std::initializer_list<LogField> fields = {}) {
        log(LogLevel::debug, event, fields);
    }
    void info(std::string_view event, std::initializer_list<LogField> fields = {}) {
        log(LogLevel::info, event, fields);
    }
    void warning(std::string_view event, std::initializer_list<LogField> fields = {}) {
        log(LogLevel::warning, event, fields);
    }
    void error(std::string_view event, std::initializer_list<LogField> fields = {}) {
        log(LogLevel::error, event, fields);
    }
};

// Drops everything.
Logger& silent_logger();
// Writes lines of at least `minimum` to standard error, stamped with the machine's clock.
class StandardErrorLogger final : public Logger {
  public:
    StandardErrorLogger(LogLevel minimum, LogFormat format);
    ~StandardErrorLogger() override;
    void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) override;

  private:
    LogLevel minimum_;
    LogFormat format_;
};

// The line that a logger of `format` writes, without its line break: for tests and for other sinks. `time` is
// text as it shall appear. A string's control characters and bytes that are not UTF-8 come out escaped; in
// JSON a number that is not finite is null.
std::string render_log_line(LogFormat format, std::string_view time, LogLevel level, std::string_view event,
                            std::initializer_list<LogField> fields);

} // namespace holdfast
