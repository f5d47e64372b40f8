// How long a recovery will take, about.
#pragma once

#include "base/clock.h"
#include "postgres/recovery/recovery_plan.h"

#include <optional>

namespace holdfast::postgres {

struct RecoveryEstimate {
    double restore_seconds = 0;              // the snapshot's files
    double replay_seconds = 0;               // the log
    std::uint64_t read_bytes_per_second = 0; // as it was measured: of content, from the repository

    double seconds() const { return restore_seconds + replay_seconds; }
};

// From what reading a piece of the plan's log takes just now, with `readers` at once, and what a server
// replays of ordinary log. `snapshot_bytes`: of the snapshot, as many as are restored. Nothing when there is
// no log to try with, or it cannot be read.
std::optional<RecoveryEstimate> estimate_recovery(const RecoverySource& source, const RecoveryPlan& plan,
                                                  std::uint64_t snapshot_bytes, unsigned readers,
                                                  Clock& clock);

} // namespace holdfast::postgres
