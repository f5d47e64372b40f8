#include "repository/log/log_path.h"

#include <algorithm>

namespace holdfast {

namespace {

// Those of a branch, in a sorted list.
std::span<const LogSliceId> of_branch(std::span<const LogSliceId> slices, std::uint32_t branch) {
    const auto of = [](const LogSliceId& slice) { return slice.range.branch; };
    const auto found = std::ranges::equal_range(slices, branch, {}, of);
    return {found.begin(), found.end()};
}

} // namespace

std::vector<PathStep> find_path(std::span<const LogSliceId> slices, const LogRange& range) {
    std::vector<PathStep> path;
    std::uint64_t position = range.begin;
    const LogSliceId* best = nullptr;
    const auto take = [&] {
        if (best == nullptr || best->range.end <= position) return false;
        const std::uint64_t end = std::min(best->range.end, range.end);
        path.push_back({*best, position, end});
        position = end;
        return true;
    };
    for (const LogSliceId& slice : of_branch(slices, range.branch)) {
        // The longest of those that begin at or before the position was seen when one begins behind it.
        if (slice.range.begin > position && (!take() || slice.range.begin > position)) return path;
        if (position >= range.end) return path;
        if (best == nullptr || slice.range.end > best->range.end) best = &slice;
    }
    if (position < range.end) take();
    return path;
}

} // namespace holdfast
