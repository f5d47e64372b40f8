// What a directory says about one of its members (docs/format.md, section 7). Plain data.
#pragma once

#include "base/bytes.h"
#include "repository/node/location.h"

#include <compare>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace holdfast {

enum class EntryType : std::uint8_t {
    file = 'f',
    directory = 'd',
    symlink = 'l',
    fifo = 'p',
    socket = 's',
    character_device = 'c',
    block_device = 'b',
};

// Flags of an entry. The format's flag 1 (has attributes) is not among them: it follows from `xattrs`.
namespace entry_flag {
inline constexpr std::uint8_t changed = 2;    // it changed while it was read
inline constexpr std::uint8_t incomplete = 4; // files in checkpoints: the content goes up to the last extent
inline constexpr std::uint8_t unreadable =
    8; // it could not be read: content missing, or that of the last snapshot
inline constexpr std::uint8_t fresh_times = 16; // times too fresh to trust: read it again next time
inline constexpr std::uint8_t all = changed | incomplete | unreadable | fresh_times;
} // namespace entry_flag

// A time of a file system. Unlike Timestamp it holds every time that a file can have, far past and future
// included.
struct FileTime {
    std::int64_t seconds = 0;      // since 1970-01-01T00:00:00Z, negative before it
    std::uint32_t nanoseconds = 0; // 0 to 999,999,999, counted forwards also before 1970
    auto operator<=>(const FileTime&) const = default;
};

using ContentDigest = FixedBytes<16>;
using Extents = std::vector<Extent>;        // ascending, within the file's size
using SegmentGroups = std::vector<NodeRef>; // one per 64 GiB of the file
// The content of a file: none (empty, or could not be read), extents, or segment groups.
using FileContent = std::variant<std::monostate, Extents, SegmentGroups>;

struct TreeEntry {
    std::string name; // bytes as the file system gave them: any but '/' and NUL; not "." or ".."
    EntryType type = EntryType::file;
    std::uint8_t flags = 0; // of entry_flag
    std::uint16_t mode = 0; // permission bits, at most 07777
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::string user;  // empty: no name
    std::string group; // empty: no name
    FileTime mtime;
    FileTime ctime;
    std::uint64_t inode = 0;
    std::uint64_t device = 0;
    std::uint64_t links = 0;
    std::uint64_t size = 0; // bytes; of a file, the length of the content that is recorded
    std::vector<std::pair<std::string, std::string>> xattrs; // ascending by name, no name twice

    // Files.
    ContentDigest digest;
    FileContent content;
    // Directories.
    std::uint64_t files = 0; // regular files in the whole tree below
    std::uint64_t bytes = 0; // their sizes together
    NodeRef children;
    // Symbolic links.
    std::string target;
    // Devices.
    std::uint32_t major = 0;
    std::uint32_t minor = 0;

    bool operator==(const TreeEntry&) const = default;
};

} // namespace holdfast
