#include "documents/restore/present_segment.h"

#include <algorithm>
#include <array>

namespace holdfast {

namespace {

// Small enough to stay in a processor's cache between reading, signing and summing up.
constexpr std::uint64_t block_bytes = 256u << 10;
constexpr std::uint64_t pages_per_block = block_bytes / page_bytes;

std::uint64_t blocks_of(std::uint64_t bytes) { return (bytes + block_bytes - 1) / block_bytes; }

} // namespace

PresentSegment::PresentSegment(std::shared_ptr<const PageSigner> signer, std::uint64_t start,
                               std::uint64_t length, std::vector<PageSignature> wanted, Read read, Same same)
    : signer_(std::move(signer)),
      start_(start),
      length_(length),
      wanted_(std::move(wanted)),
      read_(std::move(read)),
      same_(std::move(same)),
      compared_(blocks_of(length)),
      right_(pages_of(length)) {}

std::vector<FileRange> PresentSegment::missing(std::uint64_t file_offset, std::uint64_t length) {
    const std::uint64_t begin = file_offset - start_;
    const std::uint64_t end = std::min(begin + length, length_);
    std::vector<FileRange> ranges;
    for (std::uint64_t at = begin; at < end;) {
        const std::uint64_t block = at / block_bytes;
        std::call_once(compared_[block], [&] { compare(block); });
        const std::uint64_t page = at / page_bytes;
        const std::uint64_t until = std::min((page + 1) * page_bytes, end);
        if (right_[page] == 0) {
            if (!ranges.empty() && ranges.back().offset + ranges.back().length == start_ + at) {
                ranges.back().length += until - at;
            } else {
                ranges.push_back({start_ + at, until - at});
            }
        }
        at = until;
    }
    return ranges;
}

void PresentSegment::compare(std::uint64_t block) {
    const std::uint64_t offset = block * block_bytes;
    // New memory for each would be cleared, and asked of the system.
    thread_local Bytes block_of_thread(block_bytes);
    const MutableByteView bytes =
        MutableByteView(block_of_thread).first(std::min(block_bytes, length_ - offset));
    const std::uint64_t pages = pages_of(bytes.size());
    const std::span<const PageSignature> wanted = std::span(wanted_).subspan(block * pages_per_block, pages);
    const std::span<Byte> right = std::span(right_).subspan(block * pages_per_block, pages);
    const std::size_t got = read_(start_ + offset, bytes);
    std::array<PageSignature, pages_per_block> present;
    const std::uint64_t present_pages = pages_of(got);
    signer_->sign(bytes.first(got), std::span(present).first(present_pages));
    std::uint64_t same_from = 0;
    const auto same_until = [&](std::uint64_t end, std::uint64_t next) {
        if (end > same_from) same_(start_ + offset + same_from, bytes.subspan(same_from, end - same_from));
        same_from = next;
    };
    for (std::uint64_t page = 0; page < pages; ++page) {
        const bool hole = wanted[page] == hole_signature;
        const bool same = !hole && page < present_pages && present[page] == wanted[page];
        right[page] = same || hole ? 1 : 0;
        if (!same) same_until(page * page_bytes, std::min((page + 1) * page_bytes, bytes.size()));
    }
    same_until(bytes.size(), bytes.size());
}

} // namespace holdfast
