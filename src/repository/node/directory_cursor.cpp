#include "repository/node/directory_cursor.h"

#include "base/error.h"

#include <algorithm>

namespace holdfast {

namespace {

// Deeper than any index can be whose nodes have two children or more.
constexpr std::size_t most_levels = 64;

} // namespace

DirectoryCursor::DirectoryCursor(NodeReader& nodes, const NodeRef& root,
                                 std::function<void(const NodeRef&)> observe)
    : nodes_(&nodes), observe_(std::move(observe)) {
    open(root);
}

DirectoryCursor::~DirectoryCursor() = default;
DirectoryCursor::DirectoryCursor(DirectoryCursor&&) noexcept = default;
DirectoryCursor& DirectoryCursor::operator=(DirectoryCursor&&) noexcept = default;

void DirectoryCursor::open(const NodeRef& reference) {
    Bytes bytes = nodes_->read(reference);
    if (observe_) observe_(reference);
    if (node_kind(bytes) == NodeKind::directory_index) {
        if (levels_.size() >= most_levels) throw Error(ErrorCode::corrupt, "a directory has too many levels");
        levels_.push_back({decode_directory_index(bytes), 0});
        return;
    }
    leaf_.reset();
    leaf_bytes_ = std::make_unique<Bytes>(std::move(bytes));
    leaf_.emplace(*leaf_bytes_);
}

// Goes to the next leaf, or with a name to the next one that can hold it. False at the end.
bool DirectoryCursor::open_next_leaf(const std::string_view* name) {
    leaf_.reset();
    while (!levels_.empty()) {
        Level& level = levels_.back();
        if (name != nullptr) {
            while (level.next + 1 < level.children.size() &&
                   level.children[level.next + 1].first_name <= *name) {
                ++level.next;
            }
        }
        if (level.next == level.children.size()) {
            levels_.pop_back();
            continue;
        }
        const NodeRef child = level.children[level.next++].node;
        open(child);
        if (leaf_) return true;
    }
    return false;
}

const TreeEntry* DirectoryCursor::next() {
    if (have_entry_) {
        have_entry_ = false;
        return &entry_;
    }
    for (;;) {
        if (leaf_ && leaf_->next(entry_)) return &entry_;
        if (!open_next_leaf(nullptr)) return nullptr;
    }
}

const TreeEntry* DirectoryCursor::seek(std::string_view name) {
    for (;;) {
        while (have_entry_ || (leaf_ && leaf_->next(entry_))) {
            have_entry_ = true;
            if (entry_.name > name) return nullptr;
            have_entry_ = false;
            if (entry_.name == name) return &entry_;
        }
        if (!open_next_leaf(&name)) return nullptr;
    }
}

std::optional<TreeEntry> find_path(NodeReader& nodes, const NodeRef& root, std::string_view path) {
    NodeRef directory = root;
    for (;;) {
        const std::size_t slash = path.find('/');
        const std::string_view name = path.substr(0, slash);
        DirectoryCursor cursor(nodes, directory);
        const TreeEntry* entry = cursor.seek(name);
        if (entry == nullptr) return std::nullopt;
        if (slash == std::string_view::npos) return *entry;
        if (entry->type != EntryType::directory) return std::nullopt;
        directory = entry->children;
        path.remove_prefix(slash + 1);
    }
}

} // namespace holdfast
