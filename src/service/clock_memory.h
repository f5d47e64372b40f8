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
#include <vector>

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

// What tells how late it must be where nothing is remembered.
struct ClockWitness {
    Timestamp newest{};                 // a time that has certainly been
    Duration tolerated = tolerated_gap; // how far behind it the clock is believed
};

struct ClockDoubt {
    std::string why{};                    // the clock is not to be believed; empty: nothing speaks against it
    bool leapt = false;                   // seen exactly, by how long the machine has run
    bool is_first = false;                // only that nothing was remembered here speaks against it
    std::string stated{};                 // see ClockMemory::remember_stated()
    std::vector<std::string> of_others{}; // see ClockMemory::believe()
};

// In a file of this machine, which any number of processes may use at once. The clock must outlive it.
class ClockMemory {
  public:
    ClockMemory(std::string file, const Clock& clock) : file_(std::move(file)), clock_(clock) {}

    // Looks at the clock, remembers what it shows, and returns what speaks against it. What cannot be read in
    // the file counts as nothing. Throws the system's errors.
    ClockDoubt look(const std::optional<ClockWitness>& witness);
    // From now on the clock is right as it is: somebody says so. What is stated under the names `of_others`
    // is about other clocks than this one; looks return it from now on. Throws the system's errors.
    void believe(std::vector<std::string> of_others);
    // That it leapt was stated under this name, which looks return from now on; empty: no more. Throws the
    // system's errors.
    void remember_stated(const std::string& name);

  private:
    const std::string file_;
    const Clock& clock_;
};

// Of this machine about the clock of `repository`, kept beside its cache.
ClockMemory clock_memory(Repository& repository);

} // namespace holdfast
