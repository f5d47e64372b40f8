// Local time in a named zone, with its changes to and from daylight saving time.
#pragma once

#include "base/clock.h"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace date {
class time_zone;
}

namespace holdfast {

// What a clock on the wall shows, to the second.
using LocalTime = std::chrono::local_time<std::chrono::seconds>;

// A zone of the system's time zone database. Cheap to copy; thread-safe.
class TimeZone {
  public:
    TimeZone() : TimeZone(named("UTC")) {}
    // "UTC", "Europe/Berlin". Throws Error(usage) for a name that the database does not have, or when this
    // machine has no database.
    static TimeZone named(std::string_view name);

    const std::string& name() const { return name_; }
    LocalTime local(Timestamp time) const;
    // When the clock shows `local`: never in the hour that spring leaves out, twice in the one that autumn
    // repeats, else once. In order.
    std::vector<Timestamp> instants(LocalTime local) const;
    // The first moment at which the clock shows `local` or, if it never does, something later.
    Timestamp first_at_or_after(LocalTime local) const;

    bool operator==(const TimeZone& other) const { return name_ == other.name_; }

  private:
    TimeZone(std::string name, const date::time_zone* zone) : name_(std::move(name)), zone_(zone) {}
    std::string name_;
    const date::time_zone* zone_;
};

} // namespace holdfast
