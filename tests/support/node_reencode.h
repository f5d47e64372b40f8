// Decodes a node of any kind and encodes the result again: for tests and fuzzers, which compare the two.
#pragma once

#include "base/error.h"
#include "repository/node/directory_node.h"
#include "repository/node/file_map_node.h"
#include "repository/node/node.h"

namespace holdfast::testing {

inline Bytes reencode_leaf(ByteView node) {
    DirectoryLeafReader reader(node);
    DirectoryLeafBuilder builder;
    TreeEntry entry;
    while (reader.next(entry)) builder.add(entry);
    return builder.finish();
}

inline Bytes reencode_index(ByteView node) {
    DirectoryIndexBuilder builder;
    for (const DirectoryChild& child : decode_directory_index(node)) builder.add(child);
    return builder.finish();
}

// Throws Error(corrupt) when `node` does not decode, and another error when what it decoded to does not
// encode.
inline Bytes reencode(ByteView node) {
    switch (node_kind(node)) {
    case NodeKind::directory_leaf:
        return reencode_leaf(node);
    case NodeKind::directory_index:
        return reencode_index(node);
    case NodeKind::segment_group:
        return encode_segment_group(decode_segment_group(node));
    case NodeKind::map:
        return encode_map(decode_map(node));
    case NodeKind::map_overlay:
        return encode_map_overlay(decode_map_overlay(node));
    case NodeKind::signatures:
        return encode_signatures(decode_signatures(node));
    case NodeKind::signature_overlay:
        return encode_signature_overlay(decode_signature_overlay(node));
    }
    throw Error(ErrorCode::internal, "node_kind returned an unknown kind");
}

} // namespace holdfast::testing
