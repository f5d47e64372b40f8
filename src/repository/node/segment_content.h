// What a segment of a large file contains, from its nodes.
#pragma once

#include "repository/node/file_map_node.h"
#include "repository/node/node_reader.h"

#include <functional>
#include <vector>

namespace holdfast {

// How nodes are had. What it throws passes through the functions below.
using ReadNode = std::function<Bytes(const NodeRef&)>;
// `nodes` must outlive what is returned.
ReadNode reading(NodeReader& nodes);

// Base and overlay together, up to `length` bytes of the segment; offsets count from its start. Throws
// Error(corrupt).
std::vector<Extent> extents_of(const ReadNode& read, const Segment& segment,
                               std::uint64_t length = segment_bytes);
// Those of its first `pages` pages. Throws Error(corrupt).
std::vector<PageSignature> signatures_of(const ReadNode& read, const Segment& segment, std::size_t pages);

} // namespace holdfast
