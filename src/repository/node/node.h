// What all nodes have in common: kinds, limits, identity (docs/format.md, section 7).
#pragma once

#include "base/bytes.h"
#include "repository/ids.h"

#include <cstddef>
#include <cstdint>

namespace holdfast {

enum class NodeKind : std::uint8_t {
    directory_leaf = 'D',
    directory_index = 'I',
    segment_group = 'G',
    map = 'M',
    map_overlay = 'O',
    signatures = 'P',
    signature_overlay = 'Q',
};

// A node lies in one frame, so it is never longer than one.
inline constexpr std::size_t max_node_bytes = std::size_t{1} << 20;

// The id of the node with these bytes. Whoever follows a reference compares it before decoding.
NodeId node_id(ByteView node);

// The kind that `node` says it is; throws Error(corrupt) when it is empty, too long, or of no known kind.
NodeKind node_kind(ByteView node);

} // namespace holdfast
