// Files with several names: content comes once, the other names become links to it.
#pragma once

#include "base/file_descriptor.h"
#include "documents/restore/file_restore.h"
#include "repository/node/entry.h"

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace holdfast {

// Collects while the entries of a restore are gone through, and links when all content is there. Not
// thread-safe.
class FurtherNames {
  public:
    using Inode = std::pair<std::uint64_t, std::uint64_t>; // with the device first

    // True when a file that came earlier is the same one: `path` is to become a name of it. Numbers of inodes
    // are used again and differ between mounts, so the rest must be equal too.
    bool is_one(const TreeEntry& entry, const std::string& path);

    // For a dry run: the first name of this file is there already as `present`, and stays; and whether
    // `present` is that of the first name.
    void set_kept(const TreeEntry& entry, const Inode& present);
    bool is_kept(const TreeEntry& entry, const Inode& present) const;

    // Links all below `base_fd`; with `in_place` over what is there, if that is not the same file already.
    // What fails is told to `report`.
    void link_all(int base_fd, bool in_place, RestoreReport& report) const;

  private:
    struct First {
        std::string path;
        TreeEntry entry;
        Inode kept{};
    };
    struct Further {
        std::string path;
        std::string first_path;
    };
    static void link(int base_fd, const Further& name, bool in_place);

    std::map<Inode, First> first_;
    std::vector<Further> further_;
};

} // namespace holdfast
