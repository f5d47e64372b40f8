// Whether the clock of this machine can be believed, before something is deleted by it.
#pragma once

#include "repository/repository.h"
#include "service/annotate.h"
#include "service/clock_memory.h"

#include <optional>
#include <vector>

namespace holdfast {

// How far two clocks may lie apart.
inline constexpr Duration tolerated_clock_difference = std::chrono::hours(1);
// When nothing was backed up for longer, it may be the clock that has run away.
inline constexpr Duration tolerated_idle_time = std::chrono::days(31);

// How far the clock of `repository` is ahead of that of its store, in seconds: 0 when they agree as far as
// can be seen, less when it is behind. The store is asked by putting a small object and removing it again.
// Nothing when it tells no time, or may not be written to; else throws what the store throws.
std::optional<double> clock_offset_seconds(Repository& repository);

// What tells how late it must be to a machine that remembers nothing: the newest of all snapshots, and how
// far apart they usually are; nothing when there is none.
std::optional<ClockWitness> clock_witness(const std::vector<AnnotatedSnapshot>& snapshots);

// What speaks against the clock of `repository`: what this machine remembers of it (clock_memory.h), and what
// others have stated (clock_doubts.h), `list` being all statements. That it leapt is stated for others, as is
// that it was set back, where this key may. Throws the system's errors, and what the store throws.
ClockDoubt clock_doubt(Repository& repository, const std::optional<ClockWitness>& witness,
                       const StatementList& list);

struct ClockTrust {
    bool clock =
        false;         // the clock is right as it is, although it is in doubt; that is remembered, and stated
    bool idle = false; // nothing was backed up for long, and that is no fault of the clock
};

// Throws Error(unavailable) when the clock of `repository` lies too far from that of its store, which is
// asked by putting a small object and removing it again; a store that tells no time, or has the clock of this
// machine, finds nothing. And, unless `trust` says otherwise: when the newest snapshot lies so far back that
// nothing seems to have been backed up for too long, and when clock_doubt() finds something.
void require_believable_clock(Repository& repository, const ClockWitness& witness, const StatementList& list,
                              ClockTrust trust);

} // namespace holdfast
