#include "repository/content/stored_content.h"

#include "base/error.h"
#include "repository/node/segment_content.h"

#include <algorithm>

namespace holdfast {

StoredContent::StoredContent(NodeReader& nodes, PackReader& packs, const TreeEntry& file)
    : nodes_(nodes), packs_(packs), file_(file) {}

const std::vector<Extent>& StoredContent::extents_around(std::uint64_t offset, std::uint64_t& start) {
    start = 0;
    if (const auto* extents = std::get_if<Extents>(&file_.content)) return *extents;
    const auto* groups = std::get_if<SegmentGroups>(&file_.content);
    const std::uint64_t number = offset / segment_bytes;
    start = number * segment_bytes;
    if (segment_ == number) return extents_;
    extents_.clear();
    if (groups != nullptr && number / segments_per_group < groups->size()) {
        const std::vector<Segment> group =
            decode_segment_group(nodes_.read((*groups)[number / segments_per_group]));
        if (number % segments_per_group < group.size()) {
            extents_ = extents_of(reading(nodes_), group[number % segments_per_group],
                                  std::min(segment_bytes, file_.size - start));
        }
    }
    segment_ = number;
    return extents_;
}

ByteView StoredContent::bytes_of(const Extent& extent) {
    if (frame_ != extent.frame) {
        frame_.reset();
        raw_ = packs_.read_frame(extent.frame);
        frame_ = extent.frame;
    }
    if (extent.frame_offset + extent.length > raw_.size())
        throw Error(ErrorCode::corrupt, "a frame is shorter than what is to lie in it");
    return ByteView(raw_).subspan(extent.frame_offset, extent.length);
}

std::size_t StoredContent::read(std::uint64_t offset, MutableByteView out) {
    if (offset >= file_.size) return 0;
    const std::size_t length = std::min<std::uint64_t>(out.size(), file_.size - offset);
    std::fill_n(out.begin(), length, Byte{0});
    for (std::size_t done = 0; done < length;) {
        std::uint64_t start = 0;
        const std::vector<Extent>& extents = extents_around(offset + done, start);
        const bool segmented = std::holds_alternative<SegmentGroups>(file_.content);
        const std::uint64_t from = offset + done - start;
        const std::uint64_t to =
            std::min(from + (length - done), segmented ? segment_bytes : std::uint64_t{UINT64_MAX});
        auto extent = std::ranges::partition_point(
            extents, [&](const Extent& candidate) { return candidate.end() <= from; });
        for (; extent != extents.end() && extent->file_offset < to; ++extent) {
            const std::uint64_t begin = std::max(from, extent->file_offset);
            const std::uint64_t end = std::min(to, extent->end());
            const ByteView bytes = bytes_of(*extent).subspan(begin - extent->file_offset, end - begin);
            std::ranges::copy(bytes, out.begin() + static_cast<std::ptrdiff_t>(done + (begin - from)));
        }
        done += to - from;
    }
    return length;
}

} // namespace holdfast
