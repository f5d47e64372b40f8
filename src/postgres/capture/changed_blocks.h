// Which blocks of a cluster's relations may have changed since an earlier snapshot, as its log tells.
#pragma once

#include "postgres/files/relation_path.h"

#include <cstdint>
#include <vector>

namespace holdfast::postgres {

// Blocks of one segment's file, counted from the start of that file.
struct BlockRange {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    bool operator==(const BlockRange&) const = default;
};

struct SegmentChanges {
    enum class What { none, some, all };
    What what = What::all;
    std::vector<BlockRange> blocks; // of `some`: ascending, apart

    bool operator==(const SegmentChanges&) const = default;
};

// Asked for main and init forks only: everything else is read whole. Blocks behind the end that the file had
// in the earlier snapshot need not be named, and blocks that the file no longer has may be. One thread.
class ChangedBlocks {
  public:
    virtual ~ChangedBlocks() = default;
    virtual SegmentChanges of(const RelationSegment& segment) const = 0;
};

} // namespace holdfast::postgres
