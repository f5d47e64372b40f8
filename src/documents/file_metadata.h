// What is known of one entry of a file tree, apart from its content.
#pragma once

#include "repository/node/entry.h"

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct stat;

namespace holdfast {

enum class FileType : std::uint8_t { regular, directory, symlink, fifo, socket, char_device, block_device };

// "regular", "directory", "symlink", "fifo", "socket", "char_device", "block_device".
std::string_view to_string(FileType type);

// One extended attribute. Its value is bytes. Linux shows POSIX ACLs as system.posix_acl_access and
// system.posix_acl_default.
struct ExtendedAttribute {
    std::string name;
    std::string value;
    auto operator<=>(const ExtendedAttribute&) const = default;
};

// All strings are raw bytes: nothing here is assumed to be UTF-8.
struct FileMetadata {
    FileType type = FileType::regular;
    std::uint32_t mode = 0; // permission bits with set-user-id, set-group-id and sticky: 07777
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    FileTime mtime;
    FileTime ctime;
    std::uint64_t size_bytes = 0; // of regular files and symbolic links; 0 for everything else
    std::uint64_t inode = 0;
    std::uint64_t device = 0;     // of the file system that holds the entry; may differ after a reboot
    std::uint64_t link_count = 1; // 1 for directories
    std::uint32_t rdev_major = 0; // of devices only
    std::uint32_t rdev_minor = 0;
    std::uint64_t allocated_bytes = 0; // on disk; less than size_bytes hints at holes or compression

    // The details below are not part of a stat: read_details() fills them.
    std::string user; // empty when the number has no name
    std::string group;
    std::string link_target;                   // of symbolic links
    std::vector<ExtendedAttribute> attributes; // sorted by name

    bool is_directory() const { return type == FileType::directory; }
};

// Fills the part of `metadata` that a stat answers and clears the details. False, and nothing is changed,
// when the type is one that Linux does not have (a foreign file system's).
bool assign_stat(FileMetadata& metadata, const struct stat& status);

} // namespace holdfast
