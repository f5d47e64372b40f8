// Directories on their way into nodes, in the order of a walk.
#pragma once

#include "repository/content/content_writer.h"
#include "repository/node/directory_node.h"
#include "repository/node/entry.h"

#include <memory>
#include <optional>
#include <vector>

namespace holdfast {

// Not thread-safe. The writer must outlive it. Memory: a node per level of each open directory, and what
// waits for an entry that was left out.
class TreeAssembly {
  public:
    explicit TreeAssembly(ContentWriter& writer) : writer_(writer) {}

    // A directory, before what is in it; the first one is the top of the tree.
    void enter(TreeEntry directory);
    // Ends the directory that was entered last. When that is the top, its entry, with everything in it.
    std::optional<TreeEntry> leave();
    // A member, other than a directory, of the directory that was entered last. Names ascend.
    void add(const TreeEntry& entry);

    // Leaves a place for one entry that is to be added after all others: what follows it in the directories
    // that are open now waits in memory. Once; leave() then returns nothing for the top.
    void leave_out();
    // Puts that entry in its place when the top was left, and returns the entry of the top.
    TreeEntry complete(const TreeEntry& entry);

    bool empty() const { return open_.empty(); }
    // Whether there is a top that is not complete.
    bool begun() const { return !open_.empty() || left_top_ != nullptr; }
    // The directory that was entered last. Its flags may be changed.
    TreeEntry& top() { return open_.back()->entry; }
    // The top as far as it has come: directories that are not complete are ended in copies. `unfinished`, if
    // there is one, is a member of the one that was entered last.
    std::optional<TreeEntry> so_far(const TreeEntry* unfinished = nullptr) const;

  private:
    struct Open {
        Open(TreeEntry directory, StoreNode store) : entry(std::move(directory)), builder(std::move(store)) {}
        TreeEntry entry;
        DirectoryBuilder builder;
        bool waits = false; // for the entry that was left out, here or further down
        std::unique_ptr<Open> below;
        std::vector<TreeEntry> waiting;
    };
    static void take(Open& directory, const TreeEntry& entry);
    static TreeEntry finish(Open& directory);
    static TreeEntry ended_copy(const Open& directory, const TreeEntry* last);
    TreeEntry complete(Open& directory, const TreeEntry& entry);

    ContentWriter& writer_;
    std::vector<std::unique_ptr<Open>> open_;
    std::unique_ptr<Open> left_top_; // when it waits
};

} // namespace holdfast
