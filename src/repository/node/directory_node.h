// A directory of any size: leaves of entries under an index (docs/format.md, section 7, kinds 'D' and 'I').
#pragma once

#include "base/bytes.h"
#include "repository/node/directory_leaf.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

// Stores a finished node (under node_id of its bytes) and returns where it is.
using StoreNode = std::function<NodeRef(Bytes node)>;

struct DirectoryChild {
    std::string first_name; // the smallest name below the child
    NodeRef node;           // a leaf or another index
    bool operator==(const DirectoryChild&) const = default;
};

// Encodes one index after the other. Not thread-safe.
class DirectoryIndexBuilder {
  public:
    // First names must be strictly ascending, over all nodes of this builder; otherwise Error(internal).
    void add(const DirectoryChild& child);
    std::size_t encoded_size() const;
    std::size_t count() const { return count_; }
    // The index; the builder is empty afterwards. At least one child must have been added.
    Bytes finish();

  private:
    PackTableWriter packs_;
    ByteWriter children_;
    std::size_t count_ = 0;
    std::string last_name_;
};

// Decodes an index; the children are at least one and ascending. Throws Error(corrupt).
std::vector<DirectoryChild> decode_directory_index(ByteView node);

// The child that holds `name` if any does; nullptr when `name` is before the first.
const DirectoryChild* child_for(const std::vector<DirectoryChild>& children, std::string_view name);

// Makes the nodes of one directory from its entries. Memory: one node per level, however many entries there
// are. Not thread-safe. Errors of `store` pass through; the builder is then of no further use.
class DirectoryBuilder {
  public:
    explicit DirectoryBuilder(StoreNode store) : store_(std::move(store)) {}

    // Entries in strictly ascending bytewise order of their names; errors as DirectoryLeafBuilder::add.
    void add(const TreeEntry& entry);
    // Stores what is left and returns the root: a leaf (also of an empty directory) or an index. To be called
    // once.
    NodeRef finish();

  private:
    struct Level {
        DirectoryIndexBuilder nodes;
        std::string first_name; // of the node being built
        DirectoryChild last;    // the child added last; the root, if it stays the only one
        bool stored = false;    // whether a node of this level is finished
    };
    void end_leaf();
    void add_child(std::size_t level, DirectoryChild child);
    void end_index(std::size_t level);

    StoreNode store_;
    DirectoryLeafBuilder leaf_;
    std::string first_name_; // of the leaf being built
    std::vector<Level> levels_;
};

} // namespace holdfast
