#include "service/segment_uses.h"

#include "crypto/hash.h"

#include <algorithm>
#include <iterator>

namespace holdfast {

namespace {

void add_place(ByteWriter& out, const NodeRef& reference) { out.fixed_bytes(place_of(reference)); }

bool shares_base(const SegmentUse& a, const SegmentUse& b) {
    return a.segment.map.id == b.segment.map.id && a.segment.signatures.id == b.segment.signatures.id &&
           a.domain == b.domain;
}

} // namespace

FixedBytes<16> key_of_file(const TreeEntry& file) {
    ByteWriter out;
    out.fixed_bytes(file.digest);
    out.u64(file.size);
    if (const auto* extents = std::get_if<Extents>(&file.content)) {
        for (const Extent& extent : *extents) {
            out.u64(extent.file_offset);
            out.u64(extent.length);
            out.fixed_bytes(extent.frame.pack.to_bytes());
            out.u32(extent.frame.frame);
            out.u32(extent.frame_offset);
        }
    }
    if (const auto* groups = std::get_if<SegmentGroups>(&file.content)) {
        for (const NodeRef& group : *groups) add_place(out, group);
    }
    return derive_hash<16>("holdfast content of a file", out.bytes());
}

FixedBytes<16> key_of_segment(const Segment& segment) {
    ByteWriter out;
    add_place(out, segment.map);
    add_place(out, segment.signatures);
    out.u8(segment.map_overlay ? 1 : 0);
    if (segment.map_overlay) add_place(out, *segment.map_overlay);
    if (segment.signature_overlay) add_place(out, *segment.signature_overlay);
    return derive_hash<16>("holdfast content of a segment", out.bytes());
}

bool SegmentUses::claim(const FixedBytes<16>& file, std::uint32_t domain) {
    FixedBytes<16> key = file;
    key.bytes[0] = static_cast<Byte>(key.bytes[0] + domain);
    const std::scoped_lock lock(mutex_);
    return seen_.insert(key).second;
}

void SegmentUses::add(std::vector<SegmentUse> uses) {
    const std::scoped_lock lock(mutex_);
    std::move(uses.begin(), uses.end(), std::back_inserter(uses_));
}

std::vector<std::span<const SegmentUse>> SegmentUses::groups() {
    std::ranges::sort(uses_, {}, &SegmentUse::order);
    const auto same = std::ranges::unique(uses_, {}, &SegmentUse::order);
    uses_.erase(same.begin(), same.end());
    std::vector<std::span<const SegmentUse>> groups;
    for (std::size_t first = 0; first < uses_.size();) {
        std::size_t end = first + 1;
        while (end < uses_.size() && shares_base(uses_[first], uses_[end])) ++end;
        groups.push_back(std::span(uses_).subspan(first, end - first));
        first = end;
    }
    return groups;
}

} // namespace holdfast
