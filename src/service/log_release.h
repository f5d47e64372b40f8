// Which log policies let go between the snapshots that they keep.
#pragma once

#include "policy/policy.h"
#include "repository/protocol/log_floors.h"
#include "repository/repository.h"
#include "service/retention.h"

#include <map>
#include <string>
#include <vector>

namespace holdfast {

// Of one source under `policy`, which has a window: on each timeline up to where nothing is needed to reach a
// moment within it, from the snapshot that each stretch of the window begins with. The stretch with the
// newest commit counts as within it, however old it is. Nothing of an archive with a timeline whose history
// is missing. Asks slices what they say of themselves.
LogFloors released_logs(const SourceSnapshots& source, const RetentionPolicy& policy, Timestamp now);

struct LogRelease {
    LogFloors floors;                         // for CollectorSettings::released_logs
    std::map<ArchiveId, std::uint64_t> units; // for its log_units: the segments of each
    // Why the log of some sources stays as a whole, though their policies have a window.
    std::vector<std::string> problems;
};

// Of all sources whose policy, `declared` or stated, has a window. Nothing of one of which nothing may be
// forgotten, and nothing at all while a statement cannot be read or the clock cannot be believed. Throws what
// the store throws.
LogRelease log_release(Repository& repository, const std::vector<Policy>& declared);

} // namespace holdfast
