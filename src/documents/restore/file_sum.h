// The CRC-32C of a file that is restored, from its pieces as they pass by: nothing is read for it.
#pragma once

#include "base/bytes.h"

#include <cstdint>
#include <map>
#include <mutex>

namespace holdfast {

// Thread-safe.
class FileSum {
  public:
    // Pieces come in any order and do not overlap.
    void add(std::uint64_t offset, ByteView bytes);
    // Of the whole file; what no piece covers are zeros. No piece may end behind `size_bytes`.
    std::uint32_t of_file(std::uint64_t size_bytes) const;

  private:
    struct Piece {
        std::uint64_t bytes = 0;
        std::uint32_t crc = 0;
    };

    mutable std::mutex mutex_;
    std::map<std::uint64_t, Piece> pieces_; // by offset; those that touch are joined
};

} // namespace holdfast
