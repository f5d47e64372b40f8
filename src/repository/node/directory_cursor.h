// Reading a directory of a snapshot entry by entry, in the order of names.
#pragma once

#include "repository/node/directory_node.h"
#include "repository/node/node_reader.h"

#include <functional>
#include <memory>
#include <optional>

namespace holdfast {

// Not thread-safe. Memory: one leaf and one index per level. Errors of the node reader pass through.
class DirectoryCursor {
  public:
    // `root` is the children reference of a directory, or the root of a snapshot. `observe`, if there is one,
    // is told of every node that is read.
    DirectoryCursor(NodeReader& nodes, const NodeRef& root, std::function<void(const NodeRef&)> observe = {});
    ~DirectoryCursor();
    DirectoryCursor(DirectoryCursor&&) noexcept;
    DirectoryCursor& operator=(DirectoryCursor&&) noexcept;

    // The next entry; null at the end. Valid until the next call.
    const TreeEntry* next();
    // The entry of this name, or null; only ever moves forward, so names must be asked for in ascending
    // order. The entries in between are passed over, whole leaves unread where possible.
    const TreeEntry* seek(std::string_view name);

  private:
    struct Level {
        std::vector<DirectoryChild> children;
        std::size_t next = 0;
    };
    void open(const NodeRef& reference);
    bool open_next_leaf(const std::string_view* name);

    NodeReader* nodes_;
    std::function<void(const NodeRef&)> observe_;
    std::vector<Level> levels_;
    std::unique_ptr<Bytes> leaf_bytes_;
    std::optional<DirectoryLeafReader> leaf_;
    TreeEntry entry_;
    bool have_entry_ = false; // entry_ is what comes next
};

// The entry at `path` ("a/b/c") below the root of a snapshot; nothing when there is none.
std::optional<TreeEntry> find_path(NodeReader& nodes, const NodeRef& root, std::string_view path);

} // namespace holdfast
