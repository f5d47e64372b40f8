// What the log of a source says of its snapshots: which moments they lead to, and when they were made.
#pragma once

#include "postgres/recovery/recovery_source.h"
#include "service/retention.h"

#include <memory>

namespace holdfast {

// Adds the stretches of one archive to `source`, to the subjects which of them they lie on and whether their
// own log is there, and why that log cannot be let go of, if so. `with_times`: no subject ended before the
// last commit that the log has before its end, and no stretch before the last of its snapshots did; it asks
// each slice. Throws what the functions of `log` throw.
void add_stretches(SourceSnapshots& source, const std::shared_ptr<const postgres::RecoverySource>& log,
                   bool with_times);

} // namespace holdfast
