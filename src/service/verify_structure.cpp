// The trees of the snapshots: every node is there, is what its reference says, and has the shape that its
// place asks for.

#include "base/error.h"
#include "crypto/hash.h"
#include "repository/node/directory_node.h"
#include "repository/node/file_map_node.h"
#include "repository/node/segment_content.h"
#include "service/verification.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

// What a node must be where it is referred to. The decoders check all that a node says by itself.
struct Expected {
    enum class Role : std::uint8_t {
        directory,
        part,
        leaf,
        index,
        group,
        map,
        map_overlay,
        signatures,
        signature_overlay
    };
    Role role = Role::directory;
    std::string first_name; // of a child of an index: its smallest name
    std::string end_name;   // and where the next child begins; empty: nowhere
    std::uint32_t segments = 0;
    bool incomplete = false; // fewer segments are right, too
};

struct Step {
    NodeRef reference;
    Expected expected;
    std::uint32_t domain = 0;
};

[[noreturn]] void wrong(std::string_view what) {
    throw Error(ErrorCode::corrupt, std::string(what),
                "its writer is broken; do not trust snapshots that need it");
}

bool fits(Expected::Role role, NodeKind kind) {
    using enum Expected::Role;
    switch (role) {
    case directory:
    case part:
        return kind == NodeKind::directory_leaf || kind == NodeKind::directory_index;
    case leaf:
        return kind == NodeKind::directory_leaf;
    case index:
        return kind == NodeKind::directory_index;
    case group:
        return kind == NodeKind::segment_group;
    case map:
        return kind == NodeKind::map;
    case map_overlay:
        return kind == NodeKind::map_overlay;
    case signatures:
        return kind == NodeKind::signatures;
    case signature_overlay:
        return kind == NodeKind::signature_overlay;
    }
    return false;
}

std::uint32_t segments_of_group(std::uint64_t file_size, std::size_t group) {
    const std::uint64_t begin = group * segment_group_bytes;
    if (begin >= file_size) return 0;
    const std::uint64_t segments = (file_size - begin + segment_bytes - 1) / segment_bytes;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(segments, segments_per_group));
}

// A node at its place, under one expectation: the same node may be referred to under several.
NodePlace visit_of(const Step& step) {
    ByteWriter out;
    out.fixed_bytes(place_of(step.reference));
    out.u8(static_cast<std::uint8_t>(step.expected.role));
    out.sized(step.expected.first_name);
    out.sized(step.expected.end_name);
    out.u32(step.expected.segments);
    out.u8(step.expected.incomplete ? 1 : 0);
    out.u32(step.domain);
    return derive_hash<16>("holdfast visit of a node", out.bytes());
}

} // namespace

// Threads share one stack of nodes to visit, deepest first.
class TreeWalk {
  public:
    explicit TreeWalk(Verification& verification) : v_(verification) {}

    void run() {
        for (const Snapshot& snapshot : v_.chosen_)
            push({{snapshot.root, Expected{}, domain_number(snapshot.domain)}});
        TaskGroup group(v_.stop_);
        for (unsigned i = 0; i < std::max(v_.settings_.requests, 1U); ++i) {
            group.start([this](std::stop_token stop) { work(stop); });
        }
        group.wait();
    }

  private:
    std::uint32_t domain_number(const std::string& domain) {
        const auto found = std::ranges::find(v_.domains_, domain);
        const auto number = static_cast<std::uint32_t>(found - v_.domains_.begin());
        if (found == v_.domains_.end()) v_.domains_.push_back(domain);
        return number;
    }

    void push(std::vector<Step> steps) {
        const std::scoped_lock lock(mutex_);
        for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
            const FrameAddress& frame = step->reference.location.frame;
            const FrameNeed need{frame, step->reference.location.offset + step->reference.location.length};
            if (!v_.needs_.need(std::span(&need, 1))) {
                v_.findings_.damage(frame.pack.name(),
                                    fmt::format("no pack can have a frame {}", frame.frame), "");
                const std::scoped_lock bad_lock(v_.mutex_);
                v_.bad_nodes_.insert(place_of(step->reference));
                continue;
            }
            if (visited_.insert(visit_of(*step)).second) pending_.push_back(std::move(*step));
        }
        changed_.notify_all();
    }

    void work(const std::stop_token& stop) {
        for (;;) {
            Step step;
            {
                std::unique_lock lock(mutex_);
                if (!changed_.wait(lock, stop, [&] { return !pending_.empty() || busy_ == 0; })) return;
                if (pending_.empty() || stop.stop_requested()) return;
                step = std::move(pending_.back());
                pending_.pop_back();
                ++busy_;
            }
            visit(step);
            const std::scoped_lock lock(mutex_);
            --busy_;
            changed_.notify_all();
        }
    }

    void visit(const Step& step) {
        const std::string pack = step.reference.location.frame.pack.name();
        try {
            const Bytes node = v_.node_reader_.read(step.reference);
            try {
                std::vector<Step> below = children_of(node, step.expected);
                for (Step& child : below) child.domain = step.domain;
                push(std::move(below));
            } catch (const Error& error) {
                throw error.with_context(fmt::format("{}: node {}", pack, step.reference.id.hex()));
            }
            ++v_.nodes_;
            v_.progress_.add_done(node.size(), 1);
            if (v_.settings_.compare_files && v_.repository_.keys().reads_content() &&
                node_kind(node) == NodeKind::directory_leaf) {
                const std::scoped_lock lock(v_.mutex_);
                v_.leaves_.push_back({step.reference, step.domain});
            }
        } catch (const Error& error) {
            const FrameAddress& frame = step.reference.location.frame;
            const bool gone = error.code() == ErrorCode::corrupt && !v_.listed_packs_.contains(frame.pack) &&
                              error.message().starts_with(pack + ":");
            if (!gone && !v_.findings_.take(error, pack)) return;
            const std::scoped_lock lock(v_.mutex_);
            v_.bad_nodes_.insert(place_of(step.reference));
            if (gone) v_.gone_nodes_.emplace(frame, error);
        }
    }

    std::vector<Step> children_of(ByteView node, const Expected& expected) {
        const NodeKind kind = node_kind(node);
        if (!fits(expected.role, kind)) wrong("it is of another kind than its reference says");
        switch (kind) {
        case NodeKind::directory_leaf:
            return children_of_leaf(node, expected);
        case NodeKind::directory_index:
            return children_of_index(node, expected);
        case NodeKind::segment_group:
            return children_of_group(node, expected);
        case NodeKind::map:
            decode_map(node);
            return {};
        case NodeKind::map_overlay:
            decode_map_overlay(node);
            return {};
        case NodeKind::signatures:
            decode_signatures(node);
            return {};
        case NodeKind::signature_overlay:
            decode_signature_overlay(node);
            return {};
        }
        return {};
    }

    static void check_names(const Expected& expected, std::string_view first, std::string_view last) {
        if (expected.role == Expected::Role::directory)
            return; // the root of a directory: nothing stands above it
        if (first != expected.first_name) wrong("its first name is not the one that the index above it says");
        if (!expected.end_name.empty() && last >= expected.end_name)
            wrong("it has names that belong to its neighbour");
    }

    std::vector<Step> children_of_leaf(ByteView node, const Expected& expected) {
        std::vector<Step> below;
        DirectoryLeafReader leaf(node);
        TreeEntry entry;
        std::string first, last;
        bool any = false;
        while (leaf.next(entry)) {
            if (!any) first = entry.name;
            any = true;
            last = entry.name;
            if (entry.type == EntryType::directory) below.push_back({entry.children, {}});
            if (const auto* extents = std::get_if<Extents>(&entry.content)) need(*extents);
            const auto* groups = std::get_if<SegmentGroups>(&entry.content);
            for (std::size_t i = 0; groups != nullptr && i < groups->size(); ++i) {
                Expected group;
                group.role = Expected::Role::group;
                group.segments = segments_of_group(entry.size, i);
                group.incomplete = (entry.flags & entry_flag::incomplete) != 0;
                below.push_back({(*groups)[i], group});
            }
        }
        if (!any && expected.role != Expected::Role::directory)
            wrong("it is a part of a directory without entries");
        if (any) check_names(expected, first, last);
        return below;
    }

    // The first child of an index says what all of them must be. When it cannot be read, that is told when it
    // is visited.
    Expected::Role role_of(const NodeRef& first_child) {
        try {
            const NodeKind kind = node_kind(v_.node_reader_.read(first_child));
            return kind == NodeKind::directory_index ? Expected::Role::index : Expected::Role::leaf;
        } catch (const Error&) {
            return Expected::Role::part;
        }
    }

    std::vector<Step> children_of_index(ByteView node, const Expected& expected) {
        std::vector<DirectoryChild> children = decode_directory_index(node);
        if (expected.role == Expected::Role::directory && children.size() < 2) {
            wrong("it is the root of a directory and an index of one child");
        }
        check_names(expected, children.front().first_name, children.back().first_name);
        const Expected::Role role = role_of(children.front().node);
        std::vector<Step> below;
        for (std::size_t i = 0; i < children.size(); ++i) {
            Expected child;
            child.role = role;
            child.first_name = children[i].first_name;
            child.end_name = i + 1 < children.size() ? children[i + 1].first_name : expected.end_name;
            below.push_back({children[i].node, std::move(child)});
        }
        return below;
    }

    std::vector<Step> children_of_group(ByteView node, const Expected& expected) {
        const std::vector<Segment> segments = decode_segment_group(node);
        if (segments.size() > expected.segments ||
            (segments.size() < expected.segments && !expected.incomplete)) {
            wrong(fmt::format("it has {} segments, and its file {}", segments.size(), expected.segments));
        }
        std::vector<Step> below;
        const auto refer = [&](const NodeRef& reference, Expected::Role role) {
            Expected part;
            part.role = role;
            below.push_back({reference, std::move(part)});
        };
        for (const Segment& segment : segments) {
            need_content(segment);
            refer(segment.map, Expected::Role::map);
            if (segment.map_overlay) refer(*segment.map_overlay, Expected::Role::map_overlay);
            refer(segment.signatures, Expected::Role::signatures);
            if (segment.signature_overlay)
                refer(*segment.signature_overlay, Expected::Role::signature_overlay);
        }
        return below;
    }

    // What the map says and the overlay replaces is not needed. A node that cannot be read is told when it is
    // visited.
    void need_content(const Segment& segment) {
        std::vector<Extent> content;
        try {
            content = extents_of(reading(v_.node_reader_), segment);
        } catch (const Error& error) {
            if (error.retryable() || error.code() == ErrorCode::cancelled) throw;
            return;
        }
        need(content);
    }

    void need(const std::vector<Extent>& extents) {
        std::vector<FrameNeed> needs;
        needs.reserve(extents.size());
        for (const Extent& extent : extents) {
            if (extent.is_hole()) continue;
            needs.push_back({extent.frame, static_cast<std::uint32_t>(extent.frame_offset + extent.length)});
        }
        if (!v_.needs_.need(needs)) wrong("it refers to a frame of a number that no pack can have");
    }

    Verification& v_;
    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::vector<Step> pending_;
    std::size_t busy_ = 0;
    NodePlaces visited_;
};

void Verification::walk_trees() {
    next_phase("walking snapshots");
    TreeWalk(*this).run();
}

} // namespace holdfast
