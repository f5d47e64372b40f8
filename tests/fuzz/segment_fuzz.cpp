// A segment of a large file as a base and what has changed since, both hostile: whatever decodes can be laid
// over each other, and what comes out is a node again. The input is the kind, the length of the base (two
// bytes), the base and the overlay.
#include "base/error.h"
#include "repository/node/file_map_node.h"

#include <algorithm>
#include <cstdlib>

namespace {

using namespace holdfast;

void expect(bool condition) {
    if (!condition) std::abort();
}

void resolve_maps(ByteView base, ByteView overlay, std::uint64_t length) {
    const std::vector<Extent> map = decode_map(base);
    const std::vector<Extent> over = decode_map_overlay(overlay);
    const std::vector<Extent> resolved = resolve(map, over, length);
    expect(resolved.empty() || resolved.back().end() <= length);
    expect(decode_map(encode_map(resolved)) == resolved);
    expect(resolve(resolved, {}, length) == resolved);
    // What is laid over twice is what is laid over once.
    const std::vector<Extent> merged = merge_overlays(over, over);
    decode_map_overlay(encode_map_overlay(merged));
    expect(resolve(map, merged, length) == resolved);
}

void resolve_pages(ByteView base, ByteView overlay, std::size_t pages) {
    const std::vector<PageSignature> signatures = decode_signatures(base);
    const std::vector<PageChange> changes = decode_signature_overlay(overlay);
    const std::vector<PageSignature> resolved = resolve_signatures(signatures, changes, pages);
    expect(resolved.size() == pages);
    expect(decode_signatures(encode_signatures(resolved)) == resolved);
    expect(merge_signature_overlays(changes, changes) == changes);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 3) return 0;
    const ByteView nodes(data + 3, size - 3);
    const std::size_t base_bytes =
        std::min<std::size_t>(std::size_t{data[1]} | std::size_t{data[2]} << 8, nodes.size());
    const ByteView base = nodes.first(base_bytes);
    const ByteView overlay = nodes.subspan(base_bytes);
    try {
        if (data[0] % 2 == 0) {
            resolve_maps(base, overlay, segment_bytes - data[0] * std::uint64_t{200'001});
        } else {
            resolve_pages(base, overlay, pages_per_segment - data[0] * std::size_t{16});
        }
    } catch (const Error& error) {
        expect(error.code() == ErrorCode::corrupt);
    }
    return 0;
}
