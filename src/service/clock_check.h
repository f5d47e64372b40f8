// Whether the clock of this machine can be believed, before something is deleted by it.
#pragma once

#include "repository/repository.h"

#include <span>

namespace holdfast {

// How far two clocks may lie apart.
inline constexpr Duration tolerated_clock_difference = std::chrono::hours(1);

// Throws Error(unavailable) when the clock of `repository` lies too far from that of its store, which is
// asked by putting a small object and removing it again, or before the newest of `snapshots`.
void require_believable_clock(Repository& repository, std::span<const Snapshot> snapshots);

} // namespace holdfast
