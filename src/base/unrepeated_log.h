// A log that says a lasting problem now and then, and not each time that somebody meets it.
#pragma once

#include "base/clock.h"
#include "base/log.h"

#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace holdfast {

// Passes on what it is told, but for warnings and errors that go on and on: with the same fields as one that
// was told less than five minutes ago. Those are passed on once an hour, followed by a line that tells how
// often they were held back. Remembers a thousand of them. Thread-safe. The arguments must outlive it.
class UnrepeatedLog final : public Logger {
  public:
    UnrepeatedLog(Logger& to, Clock& clock) : to_(to), clock_(clock) {}
    void log(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) override;

  private:
    struct Told {
        Duration passed_on{}, last{};
        std::int64_t held_back = 0;
    };
    // How often the line was held back since it was passed on; nothing: it is held back now, too.
    std::optional<std::int64_t> pass(const std::string& line);
    void make_room(Duration now);

    Logger& to_;
    Clock& clock_;
    std::mutex mutex_;
    std::map<std::string, Told> told_;
};

} // namespace holdfast
