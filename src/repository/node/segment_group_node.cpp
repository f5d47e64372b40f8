#include "base/error.h"
#include "repository/node/file_map_node.h"
#include "repository/node/pack_table.h"

namespace holdfast {

namespace {

constexpr std::uint8_t flag_map_overlay = 1;
constexpr std::uint8_t flag_signature_overlay = 2;

void optional_reference(ByteReader& in, PackTableReader& packs, bool present,
                        std::optional<NodeRef>& reference) {
    if (present) packs.reference(in, reference.emplace());
}

} // namespace

Bytes encode_segment_group(std::span<const Segment> segments) {
    if (segments.empty() || segments.size() > segments_per_group)
        throw Error(ErrorCode::internal, "a segment group has no segments, or too many");
    PackTableWriter packs;
    ByteWriter body;
    body.varint(segments.size());
    for (const Segment& segment : segments) {
        body.u8(static_cast<std::uint8_t>((segment.map_overlay ? flag_map_overlay : 0) |
                                          (segment.signature_overlay ? flag_signature_overlay : 0)));
        packs.reference(body, segment.map);
        if (segment.map_overlay) packs.reference(body, *segment.map_overlay);
        packs.reference(body, segment.signatures);
        if (segment.signature_overlay) packs.reference(body, *segment.signature_overlay);
    }
    ByteWriter out;
    packs.head(out, NodeKind::segment_group);
    out.raw(body.bytes());
    return std::move(out).take();
}

std::vector<Segment> decode_segment_group(ByteView node) {
    ByteReader in(node, "a segment group");
    PackTableReader packs(in, NodeKind::segment_group);
    std::vector<Segment> segments(in.varint_at_most(segments_per_group));
    if (segments.empty()) in.fail("it has no segments");
    for (Segment& segment : segments) {
        const std::uint8_t flags = in.u8();
        if ((flags & ~(flag_map_overlay | flag_signature_overlay)) != 0)
            in.fail("a segment has unknown flags");
        packs.reference(in, segment.map);
        optional_reference(in, packs, (flags & flag_map_overlay) != 0, segment.map_overlay);
        packs.reference(in, segment.signatures);
        optional_reference(in, packs, (flags & flag_signature_overlay) != 0, segment.signature_overlay);
    }
    packs.finish(in);
    return segments;
}

} // namespace holdfast
