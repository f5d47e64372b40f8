// Turns the extents and signatures of a large file into nodes, segment by segment, sharing what an earlier
// snapshot has.
#pragma once

#include "repository/content/content_writer.h"
#include "repository/content/previous_segments.h"

namespace holdfast {

// What differs between two maps of one segment, as an overlay on `base`: extents of `now` where they lie
// elsewhere, holes where `now` has none. Both ascending; up to `length`.
std::vector<Extent> map_difference(const std::vector<Extent>& base, const std::vector<Extent>& now,
                                   std::uint64_t length);

// Not thread-safe. Memory: two segments and one group.
class SegmentWriter {
  public:
    SegmentWriter(ContentWriter& writer, PreviousSegments& previous) : writer_(writer), previous_(previous) {}

    // Content at ascending offsets of the file; what is skipped is a hole.
    void add_extent(std::uint64_t file_offset, std::uint64_t length, const FrameAddress& frame,
                    std::uint32_t frame_offset);
    // The signatures of the pages behind those added before.
    void add_signatures(std::span<const PageSignature> signatures);
    // `count` pages that are holes.
    void add_hole_pages(std::uint64_t count);
    // All extents below `offset` were added: segments that end there or before are written.
    void complete_to(std::uint64_t offset);
    // Takes a whole segment as it is. Everything before it must be complete.
    void keep_segment(const Segment& segment);
    // The groups of the segments that are complete, for a checkpoint, and how many bytes of the file they
    // are.
    SegmentGroups so_far();
    std::uint64_t completed_bytes() const { return number_ * segment_bytes; }
    // Writes the rest of a file that ends at `size_bytes`.
    SegmentGroups finish(std::uint64_t size_bytes);

  private:
    void write_segment(std::uint64_t length);
    Segment encode(std::uint64_t length, const std::vector<Extent>& extents,
                   const std::vector<PageSignature>& pages);
    void end_group();
    std::vector<Extent> take_extents(std::uint64_t end);

    ContentWriter& writer_;
    PreviousSegments& previous_;
    Extents extents_;                  // of the file, from the current segment on
    std::vector<PageSignature> pages_; // likewise
    std::uint64_t number_ = 0;         // of the current segment
    std::vector<Segment> group_;
    SegmentGroups groups_;
    std::optional<Segment> hole_segment_; // a whole segment without data, once there was one
};

} // namespace holdfast
