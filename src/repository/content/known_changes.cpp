#include "repository/content/known_changes.h"

#include <algorithm>

namespace holdfast {

KnownChanges::KnownChanges(std::span<const PageRange> ranges, std::uint64_t old_bytes,
                           std::uint64_t new_bytes)
    : ranges_(ranges),
      all_from_(old_bytes == new_bytes ? pages_of(new_bytes) : std::min(old_bytes, new_bytes) / page_bytes) {}

bool KnownChanges::any(std::uint64_t first, std::uint64_t count) const {
    if (first + count > all_from_) return true;
    const auto range = std::ranges::partition_point(
        ranges_, [&](const PageRange& candidate) { return candidate.first + candidate.count <= first; });
    return range != ranges_.end() && range->first < first + count;
}

void KnownChanges::mark(std::uint64_t first, std::vector<bool>& pages) const {
    const std::uint64_t end = first + pages.size();
    const auto set = [&](std::uint64_t from, std::uint64_t to) {
        for (std::uint64_t page = std::max(from, first); page < std::min(to, end); ++page)
            pages[page - first] = true;
    };
    auto range = std::ranges::partition_point(
        ranges_, [&](const PageRange& candidate) { return candidate.first + candidate.count <= first; });
    for (; range != ranges_.end() && range->first < end; ++range)
        set(range->first, range->first + range->count);
    set(all_from_, end);
}

} // namespace holdfast
