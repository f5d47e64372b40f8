#include "repository/protocol/reachability.h"

#include "base/error.h"
#include "repository/node/directory_node.h"
#include "repository/node/file_map_node.h"
#include "repository/node/segment_content.h"

#include <fmt/format.h>

namespace holdfast {

bool FrameSet::insert(const FrameAddress& frame) {
    std::vector<bool>& frames = packs_[frame.pack];
    if (frames.size() <= frame.frame) frames.resize(frame.frame + std::size_t{1});
    if (frames[frame.frame]) return false;
    frames[frame.frame] = true;
    return true;
}

bool FrameSet::contains(const FrameAddress& frame) const {
    const auto found = packs_.find(frame.pack);
    return found != packs_.end() && frame.frame < found->second.size() && found->second[frame.frame];
}

void ReachabilityScanner::add_tree(const NodeRef& root) {
    added_.clear();
    refer_to(root);
    while (!pending_.empty()) {
        const NodeRef next = pending_.back();
        pending_.pop_back();
        try {
            walk(nodes_.read(next));
        } catch (const Error& error) {
            // What is above it was not walked to its end: another tree that shares it must walk it again.
            for (const NodeId& node : added_) visited_.erase(node);
            pending_.clear();
            throw error.with_context(
                fmt::format("node {} in {}", next.id.hex(), next.location.frame.pack.name()));
        }
    }
}

// Two references to equal nodes may lie in different frames. Both frames are reached; what is below is the
// same.
void ReachabilityScanner::refer_to(const NodeRef& reference) {
    frames_.insert(reference.location.frame);
    if (!visited_.insert(reference.id).second) return;
    added_.push_back(reference.id);
    pending_.push_back(reference);
}

void ReachabilityScanner::refer_to(const std::vector<Extent>& extents) {
    for (const Extent& extent : extents) {
        if (!extent.is_hole()) frames_.insert(extent.frame);
    }
}

void ReachabilityScanner::walk(ByteView node) {
    switch (node_kind(node)) {
    case NodeKind::directory_leaf:
        return walk_leaf(node);
    case NodeKind::directory_index:
        for (const DirectoryChild& child : decode_directory_index(node)) refer_to(child.node);
        return;
    case NodeKind::segment_group:
        return walk_group(node);
    case NodeKind::map:
    case NodeKind::map_overlay:
    case NodeKind::signatures:
    case NodeKind::signature_overlay:
        return;
    }
}

void ReachabilityScanner::walk_leaf(ByteView node) {
    DirectoryLeafReader leaf(node);
    TreeEntry entry;
    while (leaf.next(entry)) {
        if (entry.type == EntryType::directory) refer_to(entry.children);
        if (const auto* extents = std::get_if<Extents>(&entry.content)) refer_to(*extents);
        if (const auto* groups = std::get_if<SegmentGroups>(&entry.content)) {
            for (const NodeRef& group : *groups) refer_to(group);
        }
    }
}

// Signatures lead nowhere, so that their frames are noted and their nodes are not read.
void ReachabilityScanner::walk_group(ByteView node) {
    for (const Segment& segment : decode_segment_group(node)) {
        frames_.insert(segment.map.location.frame);
        if (segment.map_overlay) frames_.insert(segment.map_overlay->location.frame);
        frames_.insert(segment.signatures.location.frame);
        if (segment.signature_overlay) frames_.insert(segment.signature_overlay->location.frame);
        walk_segment(segment);
    }
}

// What a map says and its overlay replaces is not reached by this snapshot: it may go, and whoever builds on
// the map refers to nothing of it that it has not from the overlay's side.
void ReachabilityScanner::walk_segment(const Segment& segment) {
    ByteWriter both;
    both.fixed_bytes(segment.map.id);
    if (segment.map_overlay) both.fixed_bytes(segment.map_overlay->id);
    const NodeId key = node_id(both.bytes());
    if (!visited_.insert(key).second) return;
    added_.push_back(key);
    refer_to(extents_of(reading(nodes_), segment));
}

} // namespace holdfast
