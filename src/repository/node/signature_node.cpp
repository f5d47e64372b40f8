#include "base/error.h"
#include "repository/node/file_map_node.h"
#include "repository/node/pack_table.h"

#include <algorithm>

namespace holdfast {

namespace {

constexpr std::size_t signature_bytes = 16;

// Signatures name no packs; their node has the common head all the same.
ByteWriter with_head(NodeKind kind) {
    ByteWriter out;
    PackTableWriter().head(out, kind);
    return out;
}

} // namespace

Bytes encode_signatures(std::span<const PageSignature> pages) {
    if (pages.size() > pages_per_segment)
        throw Error(ErrorCode::internal, "a segment has too many page signatures");
    ByteWriter out = with_head(NodeKind::signatures);
    out.varint(pages.size());
    for (const PageSignature& page : pages) out.fixed_bytes(page);
    return std::move(out).take();
}

std::vector<PageSignature> decode_signatures(ByteView node) {
    ByteReader in(node, "a list of page signatures");
    const PackTableReader packs(in, NodeKind::signatures);
    std::vector<PageSignature> pages(
        in.varint_at_most(std::min<std::size_t>(pages_per_segment, in.remaining() / signature_bytes)));
    for (PageSignature& page : pages) page = in.fixed_bytes<signature_bytes>();
    packs.finish(in);
    return pages;
}

Bytes encode_signature_overlay(std::span<const PageChange> changes) {
    ByteWriter out = with_head(NodeKind::signature_overlay);
    out.varint(changes.size());
    std::uint32_t next = 0;
    for (const PageChange& change : changes) {
        if (change.page < next || change.page >= pages_per_segment)
            throw Error(ErrorCode::internal, "changed pages are out of order or outside their segment");
        out.varint(change.page - next);
        out.fixed_bytes(change.signature);
        next = change.page + 1;
    }
    return std::move(out).take();
}

std::vector<PageChange> decode_signature_overlay(ByteView node) {
    ByteReader in(node, "an overlay of page signatures");
    const PackTableReader packs(in, NodeKind::signature_overlay);
    std::vector<PageChange> changes(in.varint_at_most(in.remaining() / (signature_bytes + 1)));
    std::uint32_t next = 0;
    for (PageChange& change : changes) {
        if (next == pages_per_segment) in.fail("a page is outside its segment");
        change.page = next + static_cast<std::uint32_t>(in.varint_at_most(pages_per_segment - 1 - next));
        change.signature = in.fixed_bytes<signature_bytes>();
        next = change.page + 1;
    }
    packs.finish(in);
    return changes;
}

std::vector<PageSignature> resolve_signatures(std::vector<PageSignature> base,
                                              std::span<const PageChange> overlay, std::size_t pages) {
    base.resize(pages);
    for (const PageChange& change : overlay)
        if (change.page < pages) base[change.page] = change.signature;
    return base;
}

std::vector<PageChange> merge_signature_overlays(std::span<const PageChange> older,
                                                 std::span<const PageChange> newer) {
    std::vector<PageChange> merged;
    merged.reserve(older.size() + newer.size());
    // Of equal pages set_union takes the one of the first range.
    std::set_union(newer.begin(), newer.end(), older.begin(), older.end(), std::back_inserter(merged),
                   [](const PageChange& a, const PageChange& b) { return a.page < b.page; });
    return merged;
}

} // namespace holdfast
