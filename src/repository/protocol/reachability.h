// Which frames the snapshots reach.
#pragma once

#include "repository/node/location.h"
#include "repository/node/node_reader.h"

#include <map>
#include <vector>

namespace holdfast {

// One bit a frame, by pack.
class FrameSet {
  public:
    // True when it was not in the set before.
    bool insert(const FrameAddress& frame);
    bool contains(const FrameAddress& frame) const;
    bool any_of(const PackId& pack) const;
    const std::map<PackId, std::vector<bool>>& packs() const { return packs_; }

  private:
    std::map<PackId, std::vector<bool>> packs_;
};

// Adds every frame that the tree under `root` refers to, nodes included. `visited` remembers nodes, so that what
// snapshots share is walked once; both grow with what is there. Throws Error(corrupt) naming the node that cannot be read.
class ReachabilityScanner {
  public:
    explicit ReachabilityScanner(NodeReader& nodes) : nodes_(nodes) {}
    void add_tree(const NodeRef& root);
    const FrameSet& frames() const { return frames_; }

  private:
    NodeReader& nodes_;
    FrameSet frames_;
    std::vector<NodeRef> pending_;
    std::map<NodeId, bool> visited_;
};

} // namespace holdfast
