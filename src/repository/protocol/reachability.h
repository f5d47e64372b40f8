// Which frames the snapshots reach.
#pragma once

#include "repository/node/file_map_node.h"
#include "repository/node/location.h"
#include "repository/node/node_reader.h"

#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace holdfast {

// One bit a frame, by pack.
class FrameSet {
  public:
    // True when it was not in the set before.
    bool insert(const FrameAddress& frame);
    bool contains(const FrameAddress& frame) const;
    const std::unordered_map<PackId, std::vector<bool>, PackIdHash>& packs() const { return packs_; }

  private:
    std::unordered_map<PackId, std::vector<bool>, PackIdHash> packs_;
};

// Adds every frame that the tree under `root` needs, nodes included; of a segment what its map and overlay
// together say. What snapshots share is walked once.
// Memory: one bit a frame and 24 bytes and a little a node, for everything that was added. Not thread-safe.
// Throws Error(corrupt) naming the node that cannot be read; what was found until then stays in the set, and
// other trees can be added.
class ReachabilityScanner {
  public:
    explicit ReachabilityScanner(NodeReader& nodes) : nodes_(nodes) {}
    void add_tree(const NodeRef& root);
    const FrameSet& frames() const { return frames_; }

  private:
    void refer_to(const NodeRef& reference);
    void refer_to(const std::vector<Extent>& extents);
    void walk(ByteView node);
    void walk_leaf(ByteView node);
    void walk_group(ByteView node);
    void walk_segment(const Segment& segment);

    NodeReader& nodes_;
    FrameSet frames_;
    std::vector<NodeRef> pending_;
    std::vector<NodeId> added_; // to visited_, by the tree under way
    std::unordered_set<NodeId, FixedBytesHash> visited_;
};

} // namespace holdfast
