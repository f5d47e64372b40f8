// What a snapshot has of one file, read here and there.
#pragma once

#include "repository/node/entry.h"
#include "repository/node/file_map_node.h"
#include "repository/node/node_reader.h"
#include "repository/pack/pack_reader.h"

#include <optional>

namespace holdfast {

// Keeps the frame and the part of the map that were used last, so neighbours are cheap. Not thread-safe; what
// it refers to must outlive it.
class StoredContent {
  public:
    // Of an entry that is a file.
    StoredContent(NodeReader& nodes, PackReader& packs, const TreeEntry& file);

    // Fills `out` with the content from `offset` on, holes as zeros; returns how much of it the file has.
    // Throws Error(corrupt) and Error(wrong_key).
    std::size_t read(std::uint64_t offset, MutableByteView out);

  private:
    const std::vector<Extent>& extents_around(std::uint64_t offset, std::uint64_t& start);
    ByteView bytes_of(const Extent& extent);

    NodeReader& nodes_;
    PackReader& packs_;
    const TreeEntry& file_;
    std::optional<std::uint64_t> segment_;
    std::vector<Extent> extents_; // of the segment
    std::optional<FrameAddress> frame_;
    Bytes raw_;
};

} // namespace holdfast
