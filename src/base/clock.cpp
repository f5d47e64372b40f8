#include "base/clock.h"

#include "base/error.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

namespace holdfast {

namespace {

using namespace std::chrono;

class SystemClock final : public Clock {
  public:
    Timestamp now() const override { return time_point_cast<nanoseconds>(std::chrono::system_clock::now()); }
    Duration steady() const override { return steady_clock::now().time_since_epoch(); }
    bool sleep_for(Duration duration, std::stop_token stop) override {
        std::mutex mutex;
        std::condition_variable_any wake;
        std::unique_lock lock(mutex);
        wake.wait_for(lock, stop, duration, [] { return false; });
        return !stop.stop_requested();
    }
};

} // namespace

Clock& system_clock() {
    static SystemClock clock;
    return clock;
}

Timestamp FakeClock::now() const {
    const std::scoped_lock lock(mutex_);
    return now_;
}

Duration FakeClock::steady() const {
    const std::scoped_lock lock(mutex_);
    return steady_;
}

bool FakeClock::sleep_for(Duration duration, std::stop_token stop) {
    if (stop.stop_requested()) return false;
    advance(std::max(duration, Duration(0)));
    return true;
}

void FakeClock::advance(Duration duration) {
    const std::scoped_lock lock(mutex_);
    now_ += duration;
    steady_ += duration;
}

void FakeClock::set_time_of_day(Timestamp now) {
    const std::scoped_lock lock(mutex_);
    now_ = now;
}

std::string to_rfc3339(Timestamp time) {
    // Days and seconds are found apart from the fraction: the first day that nanoseconds reach begins before
    // them.
    const auto whole = floor<seconds>(time);
    const auto day = floor<days>(whole);
    const year_month_day date(day);
    const hh_mm_ss clock(whole - day);
    const nanoseconds fraction = (time.time_since_epoch() % seconds(1) + seconds(1)) % seconds(1);
    std::string text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", int(date.year()),
                                   unsigned(date.month()), unsigned(date.day()), clock.hours().count(),
                                   clock.minutes().count(), clock.seconds().count());
    if (fraction.count() != 0) {
        text += fmt::format(".{:09}", fraction.count());
        text.erase(text.find_last_not_of('0') + 1);
    }
    return text + "Z";
}

namespace {

// A cursor over an RFC 3339 text.
class TimeParser {
  public:
    explicit TimeParser(std::string_view text) : text_(text) {}

    Timestamp parse() {
        const int year_number = number(4);
        expect('-');
        const int month_number = number(2);
        expect('-');
        const int day_number = number(2);
        if (peek() != 'T' && peek() != 't' && peek() != ' ') fail();
        ++position_;
        const int hour = number(2);
        expect(':');
        const int minute = number(2);
        expect(':');
        const int second = number(2);
        const nanoseconds fraction = parse_fraction();
        const minutes offset = parse_offset();
        const year_month_day date{year(year_number), month(static_cast<unsigned>(month_number)),
                                  day(static_cast<unsigned>(day_number))};
        if (!date.ok() || hour > 23 || minute > 59 || second > 60 || position_ != text_.size()) fail();
        const sys_seconds whole = sys_days(date) + hours(hour) + minutes(minute) + seconds(second) - offset;
        // A leap second is the last of a day in UTC; it is taken as the first second of the next day.
        if (second == 60 && whole.time_since_epoch() % days(1) != seconds(0)) fail();
        if (whole < ceil<seconds>(Timestamp::min()) || whole >= floor<seconds>(Timestamp::max())) {
            throw Error(ErrorCode::usage, fmt::format("the time '{}' is too far from today", text_),
                        "times lie between the years 1678 and 2261");
        }
        return whole + fraction;
    }

  private:
    char peek() const { return position_ < text_.size() ? text_[position_] : '\0'; }
    [[noreturn]] void fail() const {
        throw Error(ErrorCode::usage, fmt::format("'{}' is not a time", text_),
                    "write it as 2026-11-20T23:54:21Z or 2026-11-20T23:54:21+02:00");
    }
    void expect(char wanted) {
        if (peek() != wanted) fail();
        ++position_;
    }
    int number(int digits) {
        int value = 0;
        for (int i = 0; i < digits; ++i, ++position_) {
            if (std::isdigit(static_cast<unsigned char>(peek())) == 0) fail();
            value = value * 10 + (peek() - '0');
        }
        return value;
    }
    nanoseconds parse_fraction() {
        if (peek() != '.') return nanoseconds(0);
        ++position_;
        std::int64_t value = 0;
        int digits = 0;
        for (; std::isdigit(static_cast<unsigned char>(peek())) != 0; ++position_, ++digits) {
            if (digits < 9) value = value * 10 + (peek() - '0');
        }
        if (digits == 0) fail();
        for (; digits < 9; ++digits) value *= 10;
        return nanoseconds(value);
    }
    minutes parse_offset() {
        if (peek() == 'Z' || peek() == 'z') {
            ++position_;
            return minutes(0);
        }
        if (position_ == text_.size()) {
            throw Error(ErrorCode::usage, fmt::format("the time '{}' has no time zone", text_),
                        "end it with Z for UTC, or with an offset such as +02:00");
        }
        const char sign = peek();
        if (sign != '+' && sign != '-') fail();
        ++position_;
        const int hour = number(2);
        expect(':');
        const int minute = number(2);
        if (hour > 23 || minute > 59) fail();
        const minutes offset = hours(hour) + minutes(minute);
        return sign == '-' ? -offset : offset;
    }

    std::string_view text_;
    std::size_t position_ = 0;
};

} // namespace

Timestamp from_rfc3339(std::string_view text) { return TimeParser(text).parse(); }

} // namespace holdfast
