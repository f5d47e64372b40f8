// The chain of directories from a base down to where a walk is, with a bounded number of them open.
#pragma once

#include "base/file_descriptor.h"
#include "documents/directory_reader.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace holdfast {

using SharedDirectory = std::shared_ptr<const FileDescriptor>;

// The deepest directories and the base stay open; the others are closed and opened again on the way back,
// first through
// ".." of the child, else component by component from above. Either way the directory must be the one that
// was pushed (by device and inode): if it was moved away meanwhile, the walk is told instead of going astray.
// Not thread-safe. A directory that a caller still shares stays open for as long as the caller holds it.
class DirectoryStack {
  public:
    // `base` is never closed. `most_open` is at least 2.
    explicit DirectoryStack(FileDescriptor base, std::size_t most_open = 64);

    // Enters `directory`, which was opened as `name` in the top one; `follow` says how.
    Result<void> push(std::string name, FileDescriptor directory, FollowLinks follow = FollowLinks::no);
    // Leaves the top directory; never the base.
    void pop();
    // How many directories there are, the base included.
    std::size_t depth() const { return levels_.size(); }

    // The open directory at `level` (0: the base), or at the top. Error(not_found): it was moved or removed
    // meanwhile.
    Result<SharedDirectory> at(std::size_t level);
    Result<SharedDirectory> top() { return at(levels_.size() - 1); }
    // How many of them are open now.
    std::size_t open_count() const { return open_count_; }

  private:
    struct Level {
        std::string name;
        SharedDirectory directory; // null while closed
        std::uint64_t device = 0;
        std::uint64_t inode = 0;
        FollowLinks follow = FollowLinks::no;
    };
    bool is_same(const Level& level, int fd) const;
    void keep_open(std::size_t level, FileDescriptor directory);

    std::vector<Level> levels_;
    std::size_t most_open_;
    std::size_t open_count_ = 0;
};

} // namespace holdfast
