// Which snapshots and which paths the damage concerns.

#include "base/error.h"
#include "repository/node/directory_node.h"
#include "repository/node/file_map_node.h"
#include "repository/node/segment_content.h"
#include "service/verification.h"

#include <algorithm>
#include <ranges>

#include <fmt/format.h>

namespace holdfast {

namespace {

// What a restore reads below a node. Signatures are not among it.
struct Links {
    std::vector<NodeRef> nodes;
    bool bad_content = false; // a frame that it refers to itself is bad
};

} // namespace

// Every node is judged once, from the leaves up; then the bad parts of each tree are walked for paths. One
// thread.
class AffectedFinder {
  public:
    explicit AffectedFinder(Verification& verification) : v_(verification) {}

    bool judge(const NodeRef& root) {
        std::vector<Judging> stack;
        enter(stack, root);
        while (!stack.empty()) {
            if (v_.stop_.stop_requested()) throw Error(ErrorCode::cancelled, "verifying was stopped");
            Judging& top = stack.back();
            if (top.next < top.links.nodes.size()) {
                const NodeRef child = top.links.nodes[top.next++];
                const NodePlace place = place_of(child);
                if (bad_.contains(place)) {
                    top.bad = true;
                } else if (!good_.contains(place)) {
                    enter(stack, child);
                }
                continue;
            }
            const bool bad = top.bad;
            (bad ? bad_ : good_).insert(top.place);
            stack.pop_back();
            if (bad && !stack.empty()) stack.back().bad = true;
        }
        return bad_.contains(place_of(root));
    }

    // Puts the affected paths of the tree into the report; false when it is full.
    bool list_paths(const Snapshot& snapshot) {
        struct Part {
            NodeRef node;
            std::string path; // of the directory that it is a part of, with a slash behind it
        };
        std::vector<Part> pending{{snapshot.root, ""}};
        while (!pending.empty()) {
            const Part part = std::move(pending.back());
            pending.pop_back();
            if (!bad_.contains(place_of(part.node))) continue;
            const std::optional<Bytes> node = read(part.node);
            if (!node) {
                if (!report(snapshot, part.path.empty() ? "/" : part.path)) return false;
                continue;
            }
            if (node_kind(*node) == NodeKind::directory_index) {
                for (const DirectoryChild& child : decode_directory_index(*node) | std::views::reverse) {
                    pending.push_back({child.node, part.path});
                }
                continue;
            }
            std::vector<Part> directories;
            DirectoryLeafReader leaf(*node);
            TreeEntry entry;
            while (leaf.next(entry)) {
                if (entry.type == EntryType::directory) {
                    directories.push_back({entry.children, part.path + entry.name + "/"});
                } else if (is_bad(entry) && !report(snapshot, part.path + entry.name)) {
                    return false;
                }
            }
            pending.insert(pending.end(), directories.rbegin(), directories.rend());
        }
        return true;
    }

  private:
    struct Judging {
        NodePlace place;
        Links links;
        std::size_t next = 0;
        bool bad = false;
    };

    void enter(std::vector<Judging>& stack, const NodeRef& reference) {
        Judging judging{place_of(reference), {}, 0, false};
        try {
            if (const std::optional<Bytes> node = read(reference)) {
                judging.links = links_of(*node);
                judging.bad = judging.links.bad_content;
            } else {
                judging.bad = true;
            }
        } catch (const Error& error) {
            // Without a key for it, nothing is known to be bad.
            if (error.code() != ErrorCode::wrong_key) throw;
        }
        stack.push_back(std::move(judging));
    }

    // Nothing when the node is one that a restore stops at.
    std::optional<Bytes> read(const NodeRef& reference) {
        if (v_.bad_nodes_.contains(place_of(reference)) || v_.needs_.is_bad(reference.location.frame))
            return std::nullopt;
        try {
            return v_.node_reader_.read(reference);
        } catch (const Error& error) {
            if (error.code() == ErrorCode::wrong_key) throw;
            v_.findings_.take(error, reference.location.frame.pack.name());
            return std::nullopt;
        }
    }

    bool any_bad(const std::vector<Extent>& extents) const {
        return std::ranges::any_of(extents, [&](const Extent& extent) {
            return !extent.is_hole() && v_.needs_.is_bad(extent.frame);
        });
    }

    bool is_bad(const TreeEntry& entry) {
        if (is_bad_file(entry)) return true;
        if (const auto* extents = std::get_if<Extents>(&entry.content)) return any_bad(*extents);
        const auto* groups = std::get_if<SegmentGroups>(&entry.content);
        return groups != nullptr && std::ranges::any_of(*groups, [&](const NodeRef& group) {
                   return bad_.contains(place_of(group));
               });
    }

    // Its content is not what its digest says.
    bool is_bad_file(const TreeEntry& entry) const {
        return !v_.bad_files_.empty() && v_.bad_files_.contains(key_of_file(entry));
    }

    // What the map says and its overlay replaces does not count. Nodes that cannot be read count by
    // themselves.
    bool has_bad_content(const Segment& segment) {
        if (v_.bad_segments_.contains(key_of_segment(segment))) return true;
        try {
            return any_bad(extents_of(reading(v_.node_reader_), segment));
        } catch (const Error& error) {
            if (error.retryable() || error.code() == ErrorCode::cancelled) throw;
            return false;
        }
    }

    Links links_of(ByteView node) {
        Links links;
        switch (node_kind(node)) {
        case NodeKind::directory_leaf: {
            DirectoryLeafReader leaf(node);
            TreeEntry entry;
            while (leaf.next(entry)) {
                if (entry.type == EntryType::directory) links.nodes.push_back(entry.children);
                links.bad_content = links.bad_content || is_bad_file(entry);
                if (const auto* extents = std::get_if<Extents>(&entry.content)) {
                    links.bad_content = links.bad_content || any_bad(*extents);
                }
                if (const auto* groups = std::get_if<SegmentGroups>(&entry.content)) {
                    links.nodes.insert(links.nodes.end(), groups->begin(), groups->end());
                }
            }
            break;
        }
        case NodeKind::directory_index:
            for (const DirectoryChild& child : decode_directory_index(node))
                links.nodes.push_back(child.node);
            break;
        case NodeKind::segment_group:
            for (const Segment& segment : decode_segment_group(node)) {
                links.nodes.push_back(segment.map);
                if (segment.map_overlay) links.nodes.push_back(*segment.map_overlay);
                links.bad_content = links.bad_content || has_bad_content(segment);
            }
            break;
        case NodeKind::map:
        case NodeKind::map_overlay:
        case NodeKind::signatures:
        case NodeKind::signature_overlay:
            break;
        }
        return links;
    }

    bool report(const Snapshot& snapshot, std::string_view path) {
        VerifyReport& out = v_.report_;
        if (out.affected_paths.size() >= v_.settings_.most_paths) {
            out.more_affected_paths = true;
            return false;
        }
        out.affected_paths.push_back({snapshot.id, std::string(path)});
        return true;
    }

    Verification& v_;
    NodePlaces good_, bad_;
};

void Verification::find_affected() {
    if (bad_nodes_.empty() && bad_files_.empty() && bad_segments_.empty() && !needs_.any_bad()) return;
    next_phase("finding affected paths");
    AffectedFinder finder(*this);
    std::vector<const Snapshot*> affected;
    for (const Snapshot& snapshot : chosen_) {
        if (finder.judge(snapshot.root)) affected.push_back(&snapshot);
        progress_.add_done(0, 1);
    }
    std::ranges::sort(affected, [](const Snapshot* a, const Snapshot* b) { return a->time > b->time; });
    for (const Snapshot* snapshot : affected) report_.affected_snapshots.push_back(snapshot->id);
    for (const Snapshot* snapshot : affected) {
        if (!finder.list_paths(*snapshot)) return;
    }
}

} // namespace holdfast
