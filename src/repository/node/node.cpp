#include "repository/node/node.h"

#include "base/error.h"
#include "crypto/hash.h"

namespace holdfast {

NodeId node_id(ByteView node) {
    NodeId id;
    Hasher::derive("holdfast node 1").update(node).finish(id.bytes);
    return id;
}

NodeKind node_kind(ByteView node) {
    if (node.empty()) throw Error(ErrorCode::corrupt, "a node is empty");
    if (node.size() > max_node_bytes) throw Error(ErrorCode::corrupt, "a node is longer than a frame");
    switch (const auto kind = static_cast<NodeKind>(node[0])) {
    case NodeKind::directory_leaf:
    case NodeKind::directory_index:
    case NodeKind::segment_group:
    case NodeKind::map:
    case NodeKind::map_overlay:
    case NodeKind::signatures:
    case NodeKind::signature_overlay:
        return kind;
    }
    throw Error(ErrorCode::corrupt, "a node is of the unknown kind " + std::to_string(node[0]));
}

} // namespace holdfast
