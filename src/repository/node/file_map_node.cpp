#include "repository/node/file_map_node.h"

#include "repository/node/pack_table.h"

#include <algorithm>

namespace holdfast {

namespace {

Bytes encode_extents(const std::vector<Extent>& extents, NodeKind kind) {
    PackTableWriter packs;
    ByteWriter body;
    packs.extents(body, extents, segment_bytes, kind == NodeKind::map_overlay);
    ByteWriter out;
    packs.head(out, kind);
    out.raw(body.bytes());
    return std::move(out).take();
}

std::vector<Extent> decode_extents(ByteView node, NodeKind kind, std::string_view what) {
    ByteReader in(node, what);
    PackTableReader packs(in, kind);
    std::vector<Extent> extents;
    packs.extents(in, extents, segment_bytes, kind == NodeKind::map_overlay);
    packs.finish(in);
    return extents;
}

// The part of `extent` from `begin` to `end`, which lie within it.
Extent part(const Extent& extent, std::uint64_t begin, std::uint64_t end) {
    Extent result = extent;
    result.file_offset = begin;
    result.length = end - begin;
    if (!extent.is_hole()) result.frame_offset += static_cast<std::uint32_t>(begin - extent.file_offset);
    return result;
}

bool continues(const Extent& before, const Extent& next) {
    return before.end() == next.file_offset && before.frame == next.frame &&
           (next.is_hole() || before.frame_offset + before.length == next.frame_offset);
}

// Puts one extent list over another, in ascending order, and keeps or drops the marks of holes.
class Layers {
  public:
    Layers(std::uint64_t length, bool keep_holes) : length_(length), keep_holes_(keep_holes) {}

    std::vector<Extent> lay(const std::vector<Extent>& below, const std::vector<Extent>& above) {
        result_.reserve(below.size() + above.size());
        auto next = below.begin();
        std::uint64_t done = 0; // everything before it is settled
        for (const Extent& top : above) {
            done = copy_below(next, below.end(), done, top.file_offset);
            append(top, top.file_offset, top.end());
            done = top.end();
        }
        copy_below(next, below.end(), done, length_);
        return std::move(result_);
    }

  private:
    // Appends what lies below between `begin` and `end`; returns `end`.
    std::uint64_t copy_below(std::vector<Extent>::const_iterator& next,
                             std::vector<Extent>::const_iterator last, std::uint64_t begin,
                             std::uint64_t end) {
        while (next != last && next->file_offset < end) {
            append(*next, std::max(begin, next->file_offset), std::min(end, next->end()));
            if (next->end() > end) break; // its rest may show again behind what lies above
            ++next;
        }
        return end;
    }

    void append(const Extent& extent, std::uint64_t begin, std::uint64_t end) {
        end = std::min(end, length_);
        if (begin >= end || (extent.is_hole() && !keep_holes_)) return;
        const Extent piece = part(extent, begin, end);
        if (!result_.empty() && continues(result_.back(), piece))
            result_.back().length += piece.length;
        else
            result_.push_back(piece);
    }

    std::uint64_t length_;
    bool keep_holes_;
    std::vector<Extent> result_;
};

} // namespace

Bytes encode_map(const std::vector<Extent>& extents) { return encode_extents(extents, NodeKind::map); }
std::vector<Extent> decode_map(ByteView node) { return decode_extents(node, NodeKind::map, "a map"); }
Bytes encode_map_overlay(const std::vector<Extent>& extents) {
    return encode_extents(extents, NodeKind::map_overlay);
}
std::vector<Extent> decode_map_overlay(ByteView node) {
    return decode_extents(node, NodeKind::map_overlay, "a map overlay");
}

std::vector<Extent> resolve(const std::vector<Extent>& map, const std::vector<Extent>& overlay,
                            std::uint64_t length) {
    return Layers(length, false).lay(map, overlay);
}

std::vector<Extent> merge_overlays(const std::vector<Extent>& older, const std::vector<Extent>& newer) {
    return Layers(segment_bytes, true).lay(older, newer);
}

} // namespace holdfast
