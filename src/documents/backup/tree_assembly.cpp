#include "documents/backup/tree_assembly.h"

#include "base/error.h"

namespace holdfast {

void TreeAssembly::enter(TreeEntry directory) {
    open_.push_back(std::make_unique<Open>(std::move(directory),
                                           [this](Bytes node) { return writer_.put_node(std::move(node)); }));
}

void TreeAssembly::take(Open& directory, const TreeEntry& entry) {
    if (entry.type == EntryType::directory) {
        directory.entry.files += entry.files;
        directory.entry.bytes += entry.bytes;
    } else if (entry.type == EntryType::file) {
        ++directory.entry.files;
        directory.entry.bytes += entry.size;
    }
    directory.builder.add(entry);
}

TreeEntry TreeAssembly::finish(Open& directory) {
    directory.entry.children = directory.builder.finish();
    return std::move(directory.entry);
}

void TreeAssembly::add(const TreeEntry& entry) {
    Open& directory = *open_.back();
    if (directory.waits) {
        directory.waiting.push_back(entry);
    } else {
        take(directory, entry);
    }
}

std::optional<TreeEntry> TreeAssembly::leave() {
    std::unique_ptr<Open> directory = std::move(open_.back());
    open_.pop_back();
    if (directory->waits) {
        (open_.empty() ? left_top_ : open_.back()->below) = std::move(directory);
        return std::nullopt;
    }
    TreeEntry entry = finish(*directory);
    if (open_.empty()) return entry;
    add(entry);
    return std::nullopt;
}

void TreeAssembly::leave_out() {
    for (const std::unique_ptr<Open>& directory : open_) {
        if (directory->waits) throw Error(ErrorCode::internal, "a second entry was left out of a tree");
        directory->waits = true;
    }
}

TreeEntry TreeAssembly::complete(const TreeEntry& entry) {
    if (!left_top_) throw Error(ErrorCode::internal, "a tree was completed that waits for nothing");
    const std::unique_ptr<Open> top = std::move(left_top_);
    return complete(*top, entry);
}

TreeEntry TreeAssembly::complete(Open& directory, const TreeEntry& entry) {
    take(directory, directory.below ? complete(*directory.below, entry) : entry);
    for (const TreeEntry& later : directory.waiting) take(directory, later);
    return finish(directory);
}

// `last` comes behind all that was added.
TreeEntry TreeAssembly::ended_copy(const Open& directory, const TreeEntry* last) {
    Open copy(directory.entry, {});
    copy.builder = directory.builder;
    if (directory.below) take(copy, ended_copy(*directory.below, nullptr));
    for (const TreeEntry& later : directory.waiting) take(copy, later);
    if (last != nullptr) take(copy, *last);
    return finish(copy);
}

std::optional<TreeEntry> TreeAssembly::so_far(const TreeEntry* unfinished) const {
    if (left_top_) return ended_copy(*left_top_, nullptr);
    std::optional<TreeEntry> child;
    if (unfinished != nullptr) child = *unfinished;
    for (auto directory = open_.rbegin(); directory != open_.rend(); ++directory)
        child = ended_copy(**directory, child ? &*child : nullptr);
    return open_.empty() ? std::nullopt : child;
}

} // namespace holdfast
