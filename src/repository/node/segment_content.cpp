#include "repository/node/segment_content.h"

namespace holdfast {

ReadNode reading(NodeReader& nodes) {
    return [&nodes](const NodeRef& reference) { return nodes.read(reference); };
}

std::vector<Extent> extents_of(const ReadNode& read, const Segment& segment, std::uint64_t length) {
    std::vector<Extent> overlay;
    if (segment.map_overlay) overlay = decode_map_overlay(read(*segment.map_overlay));
    return resolve(decode_map(read(segment.map)), overlay, length);
}

std::vector<PageSignature> signatures_of(const ReadNode& read, const Segment& segment, std::size_t pages) {
    std::vector<PageChange> changes;
    if (segment.signature_overlay) changes = decode_signature_overlay(read(*segment.signature_overlay));
    return resolve_signatures(decode_signatures(read(segment.signatures)), changes, pages);
}

} // namespace holdfast
