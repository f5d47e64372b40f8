// Up to where logs are let go (docs/format.md, section 11).
#pragma once

#include "repository/ids.h"

#include <cstdint>
#include <map>

namespace holdfast {

// A branch of the log of a source.
struct LogBranchName {
    ArchiveId archive;
    std::uint32_t branch = 0;
    auto operator<=>(const LogBranchName&) const = default;
};
// Up to where a log is let go: what ends there or before is needed only where a snapshot needs it for itself.
// A backup begins at no position before that.
using LogFloors = std::map<LogBranchName, std::uint64_t>;
// Raises those of `floors` that are lower than in `other`.
void raise_floors(LogFloors& floors, const LogFloors& other);

} // namespace holdfast
