#include "repository/node/directory_node.h"

#include "base/error.h"

#include <algorithm>

namespace holdfast {

namespace {

constexpr std::size_t smallest_child_bytes = 2 + 28; // a name of one byte, and a reference

} // namespace

void DirectoryIndexBuilder::add(const DirectoryChild& child) {
    if (!is_entry_name(child.first_name) || child.first_name <= last_name_)
        throw Error(ErrorCode::internal, "the directory node \"" + child.first_name + "\" is out of order");
    children_.sized(child.first_name);
    packs_.reference(children_, child.node);
    last_name_ = child.first_name;
    ++count_;
}

std::size_t DirectoryIndexBuilder::encoded_size() const {
    return packs_.encoded_size() + varint_size(count_) + children_.size();
}

Bytes DirectoryIndexBuilder::finish() {
    if (count_ == 0) throw Error(ErrorCode::internal, "a directory index has no children");
    ByteWriter out;
    packs_.head(out, NodeKind::directory_index);
    out.varint(count_);
    out.raw(children_.bytes());
    packs_.clear();
    children_.clear();
    count_ = 0;
    return std::move(out).take();
}

std::vector<DirectoryChild> decode_directory_index(ByteView node) {
    ByteReader in(node, "a directory index");
    PackTableReader packs(in, NodeKind::directory_index);
    std::vector<DirectoryChild> children(in.varint_at_most(in.remaining() / smallest_child_bytes));
    if (children.empty()) in.fail("it has no children");
    std::string_view last;
    for (DirectoryChild& child : children) {
        const std::string_view name = in.sized_text(max_name_bytes);
        if (!is_entry_name(name)) in.fail("a child has a name that no entry may have");
        if (name <= last) in.fail("children are out of order");
        last = name;
        child.first_name.assign(name);
        packs.reference(in, child.node);
    }
    packs.finish(in);
    return children;
}

const DirectoryChild* child_for(const std::vector<DirectoryChild>& children, std::string_view name) {
    const auto behind = std::upper_bound(
        children.begin(), children.end(), name,
        [](std::string_view wanted, const DirectoryChild& child) { return wanted < child.first_name; });
    return behind == children.begin() ? nullptr : &*std::prev(behind);
}

void DirectoryBuilder::add(const TreeEntry& entry) {
    if (leaf_.empty()) first_name_ = entry.name;
    leaf_.add(entry);
    if (NodeCut::ends_behind(entry.name, leaf_.encoded_size())) end_leaf();
}

void DirectoryBuilder::end_leaf() {
    NodeRef node = store_(leaf_.finish());
    add_child(0, {std::move(first_name_), node});
}

void DirectoryBuilder::add_child(std::size_t level, DirectoryChild child) {
    if (level == levels_.size()) levels_.emplace_back();
    Level& here = levels_[level];
    if (here.nodes.count() == 0) here.first_name = child.first_name;
    here.nodes.add(child);
    const bool ends = NodeCut::ends_behind(child.first_name, here.nodes.encoded_size());
    here.last = std::move(child);
    if (ends) end_index(level);
}

void DirectoryBuilder::end_index(std::size_t level) {
    levels_[level].stored = true;
    NodeRef node = store_(levels_[level].nodes.finish());
    add_child(level + 1, {std::move(levels_[level].first_name), node});
}

NodeRef DirectoryBuilder::finish() {
    if (levels_.empty()) return store_(leaf_.finish());
    if (!leaf_.empty()) end_leaf();
    // Ending a level may open the next one; the topmost with a single child has found the root.
    for (std::size_t level = 0;; ++level) {
        Level& here = levels_[level];
        if (!here.stored && here.nodes.count() == 1) return here.last.node;
        if (here.nodes.count() > 0) end_index(level);
    }
}

} // namespace holdfast
