// Directories on their way into nodes, whose members come in any order: as a server's listing has them.
#pragma once

#include "documents/spill_file.h"
#include "repository/content/content_writer.h"
#include "repository/node/entry.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace holdfast {

// Not thread-safe. The writer must outlive it. Memory: `held_bytes` for the members of each open directory;
// what is more goes to a temporary file, sorted, in pieces that are merged when the directory is left.
class UnorderedTree {
  public:
    static constexpr std::size_t held_bytes_default = std::size_t{8} << 20;

    // `spill_directory` as SpillFile takes it.
    explicit UnorderedTree(ContentWriter& writer, std::size_t held_bytes = held_bytes_default,
                           std::string spill_directory = {});
    ~UnorderedTree();

    // A directory, before what is in it; the first one is the top of the tree.
    void enter(TreeEntry directory);
    // A member of the directory that was entered last, in any order. Of those with the same name the first
    // stays.
    void add(TreeEntry entry);
    // Ends the directory that was entered last and returns its entry, with everything in it; each member is
    // told to `each`, in the order of names. Whether it is added to the one above is for the caller to say.
    using Each = std::function<void(const TreeEntry&)>;
    TreeEntry leave(const Each& each = {});
    // The directory that was entered last; its metadata may be changed.
    TreeEntry& top();
    std::size_t depth() const { return open_.size(); }

    // Leaves the directory that was entered last without ending it; take_back(), in the directory above it,
    // enters it again. One at a time in each directory.
    void set_aside();
    void take_back();

    // The top as far as it has come: what is open is ended in copies. `unfinished`, if there is one, is a
    // member of the directory that was entered last. Nothing when there is no top.
    std::optional<TreeEntry> so_far(const TreeEntry* unfinished = nullptr) const;

  private:
    struct Open;

    void spill(Open& directory);
    NodeRef build(const Open& directory, const std::vector<const TreeEntry*>& more, const Each& each) const;
    TreeEntry ended_copy(const Open& directory, const TreeEntry* more) const;

    ContentWriter& writer_;
    const std::size_t held_bytes_;
    SpillFile spill_;
    std::vector<std::unique_ptr<Open>> open_;
};

} // namespace holdfast
