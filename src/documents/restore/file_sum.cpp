#include "documents/restore/file_sum.h"

#include "base/crc32c.h"

#include <iterator>

namespace holdfast {

void FileSum::add(std::uint64_t offset, ByteView bytes) {
    if (bytes.empty()) return;
    const std::uint32_t crc = crc32c(0, bytes);
    const std::scoped_lock lock(mutex_);
    auto piece = pieces_.emplace(offset, Piece{bytes.size(), crc}).first;
    const auto join = [&](auto first, auto second) {
        if (first->first + first->second.bytes != second->first) return false;
        first->second.crc = crc32c_combine(first->second.crc, second->second.crc, second->second.bytes);
        first->second.bytes += second->second.bytes;
        pieces_.erase(second);
        return true;
    };
    if (piece != pieces_.begin() && join(std::prev(piece), piece)) {
        piece = std::prev(pieces_.upper_bound(offset));
    }
    if (const auto next = std::next(piece); next != pieces_.end()) join(piece, next);
}

std::uint32_t FileSum::of_file(std::uint64_t size_bytes) const {
    const std::scoped_lock lock(mutex_);
    std::uint32_t crc = 0;
    std::uint64_t end = 0;
    const auto zeros_until = [&](std::uint64_t offset) {
        if (offset > end) crc = crc32c_combine(crc, crc32c_of_zeros(offset - end), offset - end);
        end = offset;
    };
    for (const auto& [offset, piece] : pieces_) {
        zeros_until(offset);
        crc = crc32c_combine(crc, piece.crc, piece.bytes);
        end = offset + piece.bytes;
    }
    zeros_until(size_bytes);
    return crc;
}

} // namespace holdfast
