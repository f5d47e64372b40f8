// What a machine remembers of its clock, by which a clock that leapt forward is found out: also where the
// store is on the same machine, and its clock leaps along.
//
// While a machine runs, the time since it was started tells how late it must be. Over a restart nothing does:
// there a gap that is longer than restarts are is doubted for a day, in which somebody can set the clock
// right.
#pragma once

#include "base/clock.h"

#include <optional>
#include <string>

namespace holdfast {

class Repository;

// How long the machine has run, asleep or awake, and since which start of it. Nobody can set it.
struct Uptime {
    std::string boot; // empty: not known, which is no start that was seen before
    Duration time{};
};
// Of the machine for system_clock(); for a clock that was passed in, its own steady time.
Uptime uptime_of(const Clock& clock);

// Further ahead than this is a leap.
inline constexpr Duration tolerated_leap = std::chrono::hours(1);
// A clock that was not looked at for longer, over a restart of the machine, is doubted …
inline constexpr Duration tolerated_gap = std::chrono::days(3);
// … for so long.
inline constexpr Duration gap_grace = std::chrono::hours(24);

// In a file of this machine, which any number of processes may use at once. The clock must outlive it.
class ClockMemory {
  public:
    ClockMemory(std::string file, const Clock& clock) : file_(std::move(file)), clock_(clock) {}

    // Looks at the clock and remembers what it shows. Returns why it is not to be believed; empty: nothing
    // speaks against it. `witness` is a time that has certainly been, and counts where nothing is remembered.
    // What cannot be read in the file counts as nothing. Throws the system's errors.
    std::string look(std::optional<Timestamp> witness);
    // From now on the clock is right as it is: somebody says so. Throws the system's errors.
    void believe();

  private:
    const std::string file_;
    const Clock& clock_;
};

// Of this machine about the clock of `repository`, kept beside its cache.
ClockMemory clock_memory(Repository& repository);

} // namespace holdfast
