// Which slices together cover a range of a log.
#pragma once

#include "repository/ids.h"

#include <span>
#include <vector>

namespace holdfast {

// A slice, and the stretch of it that is used.
struct PathStep {
    LogSliceId slice;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
};

// How far slices lead from `range.begin`, as few of them as possible, ascending; the end of the last step is
// range.end, or less where there is a gap. `slices` are those of one archive, sorted, in any number that
// overlap. Empty when none covers the first byte.
std::vector<PathStep> find_path(std::span<const LogSliceId> slices, const LogRange& range);

} // namespace holdfast
