// When something is to be done, again and again.
#pragma once

#include "policy/cron_expression.h"
#include "policy/period.h"
#include "policy/weekly_window.h"

#include <optional>
#include <string>
#include <variant>

namespace holdfast {

// At the times of a cron expression, once in each window, or after equal lengths of time. Immutable;
// thread-safe.
class Schedule {
  public:
    struct Every {
        Duration interval;
    };
    using Rhythm = std::variant<CronExpression, WeeklyWindow, Every>;

    // `jitter` is how much later than its time a run may begin, so that many sources do not begin together: a
    // delay that follows from `name` and the run's time alone, the same at each evaluation and on each
    // server. Within windows the whole window serves as jitter, unless one is given. Throws Error(usage) when
    // jitter is negative, longer than a day or longer than the interval.
    Schedule(Rhythm rhythm, TimeZone zone, std::string name, std::optional<Duration> jitter = std::nullopt);

    // One run: the time that the rhythm gives it, by which it is known, and when it is to begin.
    struct Run {
        Timestamp nominal, begin;
        bool operator==(const Run&) const = default;
    };
    // The first run whose nominal time is after `after`; nothing when there is none any more.
    std::optional<Run> next(Timestamp after) const;
    // The run that is to be under way at `now` if the last one that was begun has the nominal time `last`:
    // the latest whose beginning has come. However many were missed, it is one.
    std::optional<Run> due(Timestamp last, Timestamp now) const;

    const Rhythm& rhythm() const { return rhythm_; }
    const TimeZone& zone() const { return zone_; }

  private:
    std::optional<Run> latest_nominal(Timestamp at_or_before) const;
    Run run_at(Timestamp nominal, Duration spread) const;

    Rhythm rhythm_;
    TimeZone zone_;
    std::string name_;
    std::optional<Duration> jitter_;
};

} // namespace holdfast
