#include "repository/content/segment_writer.h"

#include "base/error.h"
#include "repository/content/file_content.h"

#include <algorithm>

namespace holdfast {

namespace {

// What lies at an offset of a map, and how far that goes.
struct Stretch {
    const Extent* extent = nullptr; // null: a hole
    std::uint64_t end = 0;
};

// Walks a map from offset to offset. `extents` must outlive it.
class MapCursor {
  public:
    MapCursor(const std::vector<Extent>& extents, std::uint64_t length)
        : extents_(extents), length_(length) {}
    Stretch at(std::uint64_t offset) {
        while (next_ < extents_.size() && extents_[next_].end() <= offset) ++next_;
        if (next_ == extents_.size()) return {nullptr, length_};
        const Extent& extent = extents_[next_];
        if (extent.file_offset > offset) return {nullptr, std::min(extent.file_offset, length_)};
        return {&extent, std::min(extent.end(), length_)};
    }

  private:
    const std::vector<Extent>& extents_;
    std::uint64_t length_;
    std::size_t next_ = 0;
};

std::uint32_t frame_offset_at(const Extent& extent, std::uint64_t offset) {
    return static_cast<std::uint32_t>(extent.frame_offset + (offset - extent.file_offset));
}

bool same_place(const Extent* a, const Extent* b, std::uint64_t offset) {
    if (a == nullptr || b == nullptr) return a == b;
    return a->frame == b->frame && frame_offset_at(*a, offset) == frame_offset_at(*b, offset);
}

std::vector<PageChange> signature_difference(const std::vector<PageSignature>& base,
                                             const std::vector<PageSignature>& now) {
    std::vector<PageChange> changes;
    for (std::size_t page = 0; page < now.size(); ++page) {
        const PageSignature before = page < base.size() ? base[page] : PageSignature{};
        if (before != now[page]) changes.push_back({static_cast<std::uint32_t>(page), now[page]});
    }
    return changes;
}

// Give or take a quarter, so that not all segments of a file are folded by the same backup.
std::size_t spread(std::size_t bytes, std::uint64_t segment) { return bytes * (6 + segment % 5) / 8; }

} // namespace

std::vector<Extent> map_difference(const std::vector<Extent>& base, const std::vector<Extent>& now,
                                   std::uint64_t length) {
    std::vector<Extent> overlay;
    MapCursor old_map(base, length);
    MapCursor new_map(now, length);
    for (std::uint64_t offset = 0; offset < length;) {
        const Stretch before = old_map.at(offset);
        const Stretch after = new_map.at(offset);
        const std::uint64_t end = std::min(before.end, after.end);
        if (!same_place(before.extent, after.extent, offset)) {
            if (after.extent != nullptr) {
                append_extent(overlay, offset, end - offset, after.extent->frame,
                              frame_offset_at(*after.extent, offset));
            } else if (!overlay.empty() && overlay.back().is_hole() && overlay.back().end() == offset) {
                overlay.back().length += end - offset;
            } else {
                overlay.push_back(Extent::hole(offset, end - offset));
            }
        }
        offset = end;
    }
    return overlay;
}

void SegmentWriter::add_extent(std::uint64_t file_offset, std::uint64_t length, const FrameAddress& frame,
                               std::uint32_t frame_offset) {
    append_extent(extents_, file_offset, length, frame, frame_offset);
}

void SegmentWriter::add_signatures(std::span<const PageSignature> signatures) {
    pages_.insert(pages_.end(), signatures.begin(), signatures.end());
}

void SegmentWriter::add_hole_pages(std::uint64_t count) {
    while (count > 0) {
        // Segment by segment, so that a hole of any size takes no memory.
        const std::uint64_t room =
            pages_per_segment - std::min<std::uint64_t>(pages_.size(), pages_per_segment - 1);
        const std::uint64_t now = std::min(count, room);
        pages_.resize(pages_.size() + now);
        count -= now;
        if (count > 0) complete_to((number_ + 1) * segment_bytes);
    }
}

void SegmentWriter::complete_to(std::uint64_t offset) {
    while (offset >= (number_ + 1) * segment_bytes && pages_.size() >= pages_per_segment)
        write_segment(segment_bytes);
}

void SegmentWriter::keep_segment(const Segment& segment) {
    if (!pages_.empty() || !extents_.empty())
        throw Error(ErrorCode::internal, "a segment was kept while another is open");
    group_.push_back(segment);
    ++number_;
    if (group_.size() == segments_per_group) end_group();
}

SegmentGroups SegmentWriter::so_far() {
    SegmentGroups groups = groups_;
    if (!group_.empty()) groups.push_back(writer_.put_node(encode_segment_group(group_)));
    return groups;
}

SegmentGroups SegmentWriter::finish(std::uint64_t size_bytes) {
    complete_to(size_bytes);
    if (size_bytes > number_ * segment_bytes) write_segment(size_bytes - number_ * segment_bytes);
    end_group();
    return std::move(groups_);
}

std::vector<Extent> SegmentWriter::take_extents(std::uint64_t end) {
    const std::uint64_t start = number_ * segment_bytes;
    std::vector<Extent> taken;
    std::size_t done = 0;
    while (done < extents_.size() && extents_[done].file_offset < end) {
        Extent& extent = extents_[done];
        const std::uint64_t length = std::min(extent.length, end - extent.file_offset);
        taken.push_back({extent.file_offset - start, length, extent.frame, extent.frame_offset});
        if (length < extent.length) {
            extent.file_offset += length;
            extent.length -= length;
            extent.frame_offset += static_cast<std::uint32_t>(length);
            break;
        }
        ++done;
    }
    extents_.erase(extents_.begin(), extents_.begin() + static_cast<std::ptrdiff_t>(done));
    return taken;
}

void SegmentWriter::write_segment(std::uint64_t length) {
    const std::vector<Extent> extents = take_extents(number_ * segment_bytes + length);
    const auto pages = std::min<std::size_t>(pages_.size(), pages_of(length));
    const std::vector<PageSignature> signatures(pages_.begin(),
                                                pages_.begin() + static_cast<std::ptrdiff_t>(pages));
    pages_.erase(pages_.begin(), pages_.begin() + static_cast<std::ptrdiff_t>(pages));

    const bool all_hole = extents.empty() && length == segment_bytes;
    if (all_hole && hole_segment_) {
        group_.push_back(*hole_segment_);
    } else {
        group_.push_back(encode(length, extents, signatures));
        if (all_hole) hole_segment_ = group_.back();
    }
    ++number_;
    if (group_.size() == segments_per_group) end_group();
}

Segment SegmentWriter::encode(std::uint64_t length, const std::vector<Extent>& extents,
                              const std::vector<PageSignature>& pages) {
    const std::shared_ptr<const PreviousSegment> before = previous_.segment(number_);
    Segment segment;
    bool fold_map = true;
    bool fold_signatures = true;
    if (before && before->usable) {
        segment = before->references;
        // A base may hold more than the shorter file that was resolved from it.
        const bool same_map = length <= before->length && extents == before->map;
        const bool same_signatures = pages == before->signatures;
        fold_map = fold_signatures = false;
        if (!same_map) {
            const Bytes overlay = encode_map_overlay(map_difference(before->base_map, extents, length));
            const Bytes change = encode_map_overlay(map_difference(before->map, extents, length));
            fold_map = wants_folding(before->base_map_bytes, overlay.size(), spread(change.size(), number_));
            if (!fold_map) segment.map_overlay = writer_.put_node(overlay);
        }
        if (!same_signatures) {
            const Bytes overlay =
                encode_signature_overlay(signature_difference(before->base_signatures, pages));
            const Bytes change = encode_signature_overlay(signature_difference(before->signatures, pages));
            fold_signatures =
                wants_folding(before->base_signature_bytes, overlay.size(), spread(change.size(), number_));
            if (!fold_signatures) segment.signature_overlay = writer_.put_node(overlay);
        }
    }
    if (fold_map) {
        segment.map = writer_.put_node(encode_map(extents),
                                       before && before->usable ? &before->references.map : nullptr);
        segment.map_overlay.reset();
    }
    if (fold_signatures) {
        segment.signatures = writer_.put_node(
            encode_signatures(pages), before && before->usable ? &before->references.signatures : nullptr);
        segment.signature_overlay.reset();
    }
    return segment;
}

void SegmentWriter::end_group() {
    if (group_.empty()) return;
    groups_.push_back(writer_.put_node(encode_segment_group(group_), previous_.group(groups_.size())));
    group_.clear();
}

} // namespace holdfast
