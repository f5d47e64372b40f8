// The segments of a large file as an earlier snapshot has them.
#pragma once

#include "repository/node/entry.h"
#include "repository/node/file_map_node.h"
#include "repository/node/node_reader.h"
#include "repository/split/page_signatures.h"

#include <functional>
#include <memory>
#include <unordered_set>

namespace holdfast {

struct FrameAddressHash {
    std::size_t operator()(const FrameAddress& frame) const {
        return PackIdHash{}(frame.pack) * 31 + frame.frame;
    }
};
using FrameAddressSet = std::unordered_set<FrameAddress, FrameAddressHash>;

// One segment, decoded. Offsets count from the segment's start.
struct PreviousSegment {
    Segment references;
    std::vector<Extent> base_map;
    std::vector<Extent> map; // base and overlay resolved
    std::vector<PageSignature> base_signatures;
    std::vector<PageSignature> signatures;
    std::uint64_t length = 0; // of the segment in that file; its base may say more
    std::size_t base_map_bytes = 0;
    std::size_t base_signature_bytes = 0;
    // Whether all its nodes may be referred to by the run.
    bool usable = false;
};

// What is needed of a segment that is taken over as it is.
struct KeptSegment {
    Segment references;
    std::vector<PageSignature> signatures;
};

// Not thread-safe. Holds the segments that were asked for last. A node that cannot be read makes its segment
// unknown, so that it is stored again; the damage itself is for verification to tell.
class PreviousSegments {
  public:
    using Usable = std::function<bool(const FrameAddress&)>;

    // `entry` is a file with segments, or null for none.
    PreviousSegments(NodeReader& nodes, const TreeEntry* entry, Usable usable);

    // Null when the earlier file has no such segment or it cannot be used.
    std::shared_ptr<const PreviousSegment> segment(std::uint64_t number);
    // What that segment contains, base and overlay resolved, without its signatures; empty when the earlier
    // file has no such segment or it cannot be read.
    std::vector<Extent> map(std::uint64_t number);
    // That segment without its map being read. Nothing when it cannot be used, or has not `length` bytes.
    std::optional<KeptSegment> kept(std::uint64_t number, std::uint64_t length);
    // The reference of a whole group of segments, or null.
    const NodeRef* group(std::uint64_t number) const;
    std::uint64_t segments() const;

  private:
    const Segment* references(std::uint64_t number);
    std::uint64_t length_of(std::uint64_t number) const;
    bool all_usable(const Segment& references) const;
    std::shared_ptr<const PreviousSegment> load(std::uint64_t number);

    NodeReader& nodes_;
    const SegmentGroups* groups_ = nullptr;
    std::uint64_t size_bytes_ = 0;
    Usable usable_;
    std::uint64_t loaded_group_ = UINT64_MAX;
    std::vector<Segment> group_segments_;
    std::vector<std::pair<std::uint64_t, std::shared_ptr<const PreviousSegment>>> recent_;
};

} // namespace holdfast
