// Time, injected so that tests decide what it is.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>

namespace holdfast {

// Nanoseconds since 1970-01-01T00:00:00Z.
using Timestamp = std::chrono::sys_time<std::chrono::nanoseconds>;
using Duration = std::chrono::nanoseconds;

class Clock {
  public:
    virtual ~Clock() = default;
    // The time of day. May jump; never used to decide what is safe to delete.
    virtual Timestamp now() const = 0;
    // A time that only grows, from an arbitrary start: for deadlines and rates.
    virtual Duration steady() const = 0;
    // Returns after `duration`, or earlier when `stop` is requested; true when it slept to the end.
    virtual bool sleep_for(Duration duration, std::stop_token stop = {}) = 0;
};

// The clock of the machine. Thread-safe, lives for the whole program.
Clock& system_clock();

// A clock that stands still until it is moved. Sleeping moves it at once, unless a stop was requested before.
// Thread-safe.
class FakeClock final : public Clock {
  public:
    explicit FakeClock(Timestamp start) : now_(start) {}
    Timestamp now() const override;
    Duration steady() const override;
    bool sleep_for(Duration duration, std::stop_token stop = {}) override;
    // Moves both times forward.
    void advance(Duration duration);
    // Moves the time of day only, as an administrator or a broken NTP server would; may go backwards.
    void set_time_of_day(Timestamp now);

  private:
    mutable std::mutex mutex_;
    Timestamp now_;
    Duration steady_{};
};

// "2026-11-20T23:54:21Z" or, with a fraction, "2026-11-20T23:54:21.123456789Z" (RFC 3339, UTC).
std::string to_rfc3339(Timestamp time);
// Reads what to_rfc3339 writes, and offsets such as +02:00. Digits after the nanoseconds are dropped. Throws
// Error(usage) on anything else, on a time without a zone with words of its own, and on times that 64 bits of
// nanoseconds cannot hold (before 1678, after 2261).
Timestamp from_rfc3339(std::string_view text);

} // namespace holdfast
