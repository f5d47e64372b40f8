// Whether the clock of this machine can be believed, before something is deleted by it.
#pragma once

#include "repository/repository.h"

#include <optional>
#include <string>

namespace holdfast {

// How far two clocks may lie apart.
inline constexpr Duration tolerated_clock_difference = std::chrono::hours(1);
// When nothing was backed up for longer, it may be the clock that has run away.
inline constexpr Duration tolerated_idle_time = std::chrono::days(31);

// How far the clock of `repository` is ahead of that of its store, in seconds: 0 when they agree as far as
// can be seen, less when it is behind. The store is asked by putting a small object and removing it again.
// Nothing when it tells no time, or may not be written to; else throws what the store throws.
std::optional<double> clock_offset_seconds(Repository& repository);

// Why the clock of `repository` is not to be believed as far as this machine remembers it (clock_memory.h);
// empty: nothing speaks against it, or a store with a clock of its own agrees with it. `newest` is the time
// of the newest snapshot; nothing: there is none. Throws the system's errors and, where there is a doubt,
// what the store throws.
std::string clock_doubt(Repository& repository, std::optional<Timestamp> newest);

// Throws Error(unavailable) when the clock of `repository` lies too far from that of its store, which is
// asked by putting a small object and removing it again; a store that tells no time, or has the clock of this
// machine, finds nothing. And unless `trust_clock`, which is remembered: when `newest`, the time of the
// newest snapshot, lies so far back that nothing seems to have been backed up for too long, and when this
// machine remembers that its clock leapt, and no store with a clock of its own agrees with it.
void require_believable_clock(Repository& repository, Timestamp newest, bool trust_clock);

} // namespace holdfast
