// Files with several names, so that each is read once.
#pragma once

#include "base/lru_cache.h"
#include "repository/node/entry.h"

namespace holdfast {

// Remembers the files with hard links that were captured last. One that was forgotten is read again, which
// costs time but no space. Not thread-safe.
class LinkTable {
  public:
    LinkTable() : files_(capacity_bytes) {}

    // The entry of another name of the same file, or null.
    const TreeEntry* find(std::uint64_t device, std::uint64_t inode) { return files_.find({device, inode}); }
    void add(const TreeEntry& entry) {
        std::size_t size = sizeof entry + 64 + entry.name.size();
        if (const auto* extents = std::get_if<Extents>(&entry.content))
            size += extents->size() * sizeof(Extent);
        files_.put({entry.device, entry.inode}, entry, size);
    }

  private:
    static constexpr std::size_t capacity_bytes = 16u << 20;
    LruCache<std::pair<std::uint64_t, std::uint64_t>, TreeEntry> files_;
};

} // namespace holdfast
