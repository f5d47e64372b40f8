// The nodes of a file of 16 MiB or more: groups of segments, their maps and their page signatures
// (docs/format.md, section 7, kinds 'G', 'M', 'O', 'P', 'Q').
//
// A segment is described by a base that many snapshots share and at most one overlay, which says only what
// has changed since. All decoders throw Error(corrupt) for every node that the encoder beside them would not
// have written; encoders throw Error(internal) for values that break the format's rules.
#pragma once

#include "base/bytes.h"
#include "crypto/page_hash.h"
#include "repository/node/location.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace holdfast {

inline constexpr std::uint64_t segment_bytes = std::uint64_t{64} << 20;
inline constexpr std::uint32_t pages_per_segment = segment_bytes / page_bytes; // of crypto/page_hash.h
inline constexpr std::uint32_t segments_per_group = 1024;
// Files of this size and more have segments and page signatures.
inline constexpr std::uint64_t segmented_file_bytes = std::uint64_t{16} << 20;

struct Segment {
    NodeRef map;
    std::optional<NodeRef> map_overlay;
    NodeRef signatures;
    std::optional<NodeRef> signature_overlay;
    bool operator==(const Segment&) const = default;
};

// 1 to 1,024 segments, in the order of the file.
Bytes encode_segment_group(std::span<const Segment> segments);
std::vector<Segment> decode_segment_group(ByteView node);

// Offsets count from the start of the segment. In a map, gaps are holes; in an overlay, gaps say nothing and
// holes over former data are extents made by Extent::hole.
Bytes encode_map(const std::vector<Extent>& extents);
std::vector<Extent> decode_map(ByteView node);
Bytes encode_map_overlay(const std::vector<Extent>& extents);
std::vector<Extent> decode_map_overlay(ByteView node);

// What a segment contains: `map` where `overlay` says nothing, else `overlay`; nothing from `length` on
// (bytes of the segment, less than a whole one only at the end of the file). Holes are gaps again, and
// neighbours that continue each other in one frame are one extent. This is also what folding an overlay into
// its base gives. Both ascending, as decoded.
std::vector<Extent> resolve(const std::vector<Extent>& map, const std::vector<Extent>& overlay,
                            std::uint64_t length = segment_bytes);

// The overlay that says what `newer` says, and what `older` says where `newer` says nothing. Holes stay
// marked.
std::vector<Extent> merge_overlays(const std::vector<Extent>& older, const std::vector<Extent>& newer);

// Whether an overlay is to be folded into its base; all in encoded bytes. `change_bytes` is what has changed
// since the overlay before it. While other places change each time, an overlay grows by that, and is folded
// when all overlays since the last folding took as much room as a new base does: sooner or later would store
// more. Where the same places change again and again it does not grow, and only one that has outgrown its
// base is folded.
constexpr bool wants_folding(std::size_t base_bytes, std::size_t overlay_bytes, std::size_t change_bytes) {
    return overlay_bytes > base_bytes / 2 || overlay_bytes / 2 * overlay_bytes > base_bytes * change_bytes;
}

// Of one page; all zero for a page that is a hole throughout.
using PageSignature = FixedBytes<16>;

struct PageChange {
    std::uint32_t page = 0; // number in the segment
    PageSignature signature;
    bool operator==(const PageChange&) const = default;
};

// At most 8,192 pages, from the first of the segment on.
Bytes encode_signatures(std::span<const PageSignature> pages);
std::vector<PageSignature> decode_signatures(ByteView node);
// Strictly ascending by page.
Bytes encode_signature_overlay(std::span<const PageChange> changes);
std::vector<PageChange> decode_signature_overlay(ByteView node);

// The signatures of the first `pages` pages of a segment: `base`, changed by `overlay`; pages that neither
// knows are zero.
std::vector<PageSignature> resolve_signatures(std::vector<PageSignature> base,
                                              std::span<const PageChange> overlay, std::size_t pages);
// The overlay that says what `newer` says, and what `older` says of other pages.
std::vector<PageChange> merge_signature_overlays(std::span<const PageChange> older,
                                                 std::span<const PageChange> newer);

} // namespace holdfast
