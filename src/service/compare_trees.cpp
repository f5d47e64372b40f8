#include "service/compare_trees.h"

#include "base/error.h"
#include "repository/node/node.h"

#include <memory>
#include <optional>
#include <tuple>
#include <vector>

namespace holdfast {

std::string_view to_string(ChangeKind kind) {
    switch (kind) {
    case ChangeKind::added:
        return "added";
    case ChangeKind::removed:
        return "removed";
    case ChangeKind::modified:
        return "modified";
    case ChangeKind::metadata:
        return "metadata";
    case ChangeKind::type:
        return "type";
    case ChangeKind::unknown:
        return "unknown";
    }
    return "modified";
}

namespace {

// One directory on one side. It stands before a node that was not opened yet, at an entry, or at the end.
class Side {
  public:
    Side(NodeReader& nodes, const std::optional<NodeRef>& root) : nodes_(&nodes) {
        if (root) unopened_ = DirectoryChild{"", *root};
    }

    const DirectoryChild* unopened() const { return unopened_ ? &*unopened_ : nullptr; }
    const TreeEntry* entry() const { return have_entry_ ? &entry_ : nullptr; }

    // Reads what it stands before.
    void open() {
        Bytes bytes = nodes_->read(unopened_->node);
        unopened_.reset();
        if (node_kind(bytes) == NodeKind::directory_index) {
            levels_.push_back({decode_directory_index(bytes), 0});
            return step_up();
        }
        leaf_.reset();
        bytes_ = std::make_unique<Bytes>(std::move(bytes));
        leaf_.emplace(*bytes_);
        advance();
    }

    // Passes over the node that it stands before.
    void skip() {
        unopened_.reset();
        step_up();
    }

    // To the next entry, or before the next node.
    void advance() {
        have_entry_ = leaf_ && leaf_->next(entry_);
        if (have_entry_) return;
        leaf_.reset();
        step_up();
    }

  private:
    struct Level {
        std::vector<DirectoryChild> children;
        std::size_t next = 0;
    };

    void step_up() {
        while (!levels_.empty() && levels_.back().next == levels_.back().children.size()) levels_.pop_back();
        if (!levels_.empty()) unopened_ = std::move(levels_.back().children[levels_.back().next++]);
    }

    NodeReader* nodes_;
    std::vector<Level> levels_;
    std::optional<DirectoryChild> unopened_;
    std::unique_ptr<Bytes> bytes_;
    std::optional<DirectoryLeafReader> leaf_;
    TreeEntry entry_;
    bool have_entry_ = false;
};

bool same_content(const TreeEntry& a, const TreeEntry& b) {
    switch (a.type) {
    case EntryType::file:
        return a.size == b.size && a.digest == b.digest;
    case EntryType::symlink:
        return a.target == b.target;
    case EntryType::character_device:
    case EntryType::block_device:
        return a.major == b.major && a.minor == b.minor;
    default:
        return true;
    }
}

// Whether all that is in it is known; of what is not there, or no directory, that is so.
bool is_whole(const TreeEntry* entry) {
    return entry == nullptr || entry->type != EntryType::directory ||
           (entry->flags & entry_flag::unreadable) == 0;
}

bool same_metadata(const TreeEntry& a, const TreeEntry& b) {
    // That the times were too fresh to trust is for the next backup only, and that a directory is not whole
    // is told apart.
    const auto flags = [](const TreeEntry& entry) {
        const unsigned passed_over =
            entry_flag::fresh_times | (is_whole(&entry) ? 0U : unsigned{entry_flag::unreadable});
        return entry.flags & ~passed_over;
    };
    const auto all = [&](const TreeEntry& entry) {
        return std::tie(entry.mode, entry.uid, entry.gid, entry.user, entry.group, entry.mtime, entry.xattrs);
    };
    return flags(a) == flags(b) && all(a) == all(b);
}

std::optional<NodeRef> children_of(const TreeEntry* entry) {
    if (entry == nullptr || entry->type != EntryType::directory) return std::nullopt;
    return entry->children;
}

class Comparison {
  public:
    Comparison(NodeReader& nodes, const std::function<bool(const Change&)>& take, std::stop_token stop)
        : nodes_(nodes), take_(take), stop_(std::move(stop)) {}

    void run(const NodeRef& before, const NodeRef& after) {
        if (before.id == after.id) return;
        levels_.push_back({Side(nodes_, before), Side(nodes_, after), true, true, 0});
        while (!levels_.empty()) {
            if (stop_.stop_requested()) throw Error(ErrorCode::cancelled, "comparing was stopped");
            path_.resize(levels_.back().path_bytes);
            if (!step(levels_.back())) return;
        }
    }

  private:
    struct Level {
        Side before, after;
        bool before_whole, after_whole;
        std::size_t path_bytes;
    };

    // Does one thing at this level: passes over, opens, or tells; it may add a level. False when no more is
    // wanted.
    bool step(Level& level) {
        const DirectoryChild* before = level.before.unopened();
        const DirectoryChild* after = level.after.unopened();
        if (before != nullptr && after != nullptr) {
            if (before->node.id == after->node.id) {
                level.before.skip();
                level.after.skip();
            } else {
                // The one that begins earlier: the other may be found equal behind it.
                (before->first_name <= after->first_name ? level.before : level.after).open();
            }
            return true;
        }
        const TreeEntry* old_entry = level.before.entry();
        const TreeEntry* new_entry = level.after.entry();
        if (before != nullptr && (new_entry == nullptr || before->first_name <= new_entry->name)) {
            level.before.open();
            return true;
        }
        if (after != nullptr && (old_entry == nullptr || after->first_name <= old_entry->name)) {
            level.after.open();
            return true;
        }
        if (old_entry == nullptr && new_entry == nullptr) {
            levels_.pop_back();
            return true;
        }
        const bool has_old =
            old_entry != nullptr && (new_entry == nullptr || old_entry->name <= new_entry->name);
        const bool has_new =
            new_entry != nullptr && (old_entry == nullptr || new_entry->name <= old_entry->name);
        return tell(level, has_old ? old_entry : nullptr, has_new ? new_entry : nullptr);
    }

    bool tell(Level& level, const TreeEntry* before, const TreeEntry* after) {
        const auto advance = [&] {
            if (before != nullptr) level.before.advance();
            if (after != nullptr) level.after.advance();
        };
        if ((before == nullptr && !level.before_whole) || (after == nullptr && !level.after_whole)) {
            advance();
            return true;
        }
        path_ += (before != nullptr ? before : after)->name;
        if (const auto kind = kind_of(before, after); kind && !take_({path_, *kind, before, after}))
            return false;
        const std::optional<NodeRef> old_children = children_of(before);
        const std::optional<NodeRef> new_children = children_of(after);
        const bool same = old_children && new_children && old_children->id == new_children->id;
        const bool before_whole = is_whole(before), after_whole = is_whole(after);
        const bool unknown = same ? before_whole != after_whole : !before_whole || !after_whole;
        if (unknown && !take_({path_, ChangeKind::unknown, before, after})) return false;
        advance();
        if ((!old_children && !new_children) || same) return true;
        path_ += '/';
        levels_.push_back({Side(nodes_, old_children), Side(nodes_, new_children), before_whole, after_whole,
                           path_.size()});
        return true;
    }

    static std::optional<ChangeKind> kind_of(const TreeEntry* before, const TreeEntry* after) {
        if (before == nullptr) return ChangeKind::added;
        if (after == nullptr) return ChangeKind::removed;
        if (before->type != after->type) return ChangeKind::type;
        if (!same_content(*before, *after)) return ChangeKind::modified;
        if (!same_metadata(*before, *after)) return ChangeKind::metadata;
        return std::nullopt;
    }

    NodeReader& nodes_;
    const std::function<bool(const Change&)>& take_;
    std::stop_token stop_;
    std::string path_;
    std::vector<Level> levels_;
};

} // namespace

void compare_trees(NodeReader& nodes, const NodeRef& before, const NodeRef& after,
                   const std::function<bool(const Change&)>& take, std::stop_token stop) {
    Comparison(nodes, take, std::move(stop)).run(before, after);
}

} // namespace holdfast
