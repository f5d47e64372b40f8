#include "postgres/capture/page_comparison.h"

#include "postgres/files/hint_bits.h"
#include "postgres/files/page.h"

#include <algorithm>

namespace holdfast::postgres {

// By whole blocks, since hints are masked by blocks; of a block that is larger than a page, all is read.
void PageComparison::look_at(std::uint64_t offset, ByteView page, ContentSource& file) {
    const std::uint64_t number = offset / page_bytes;
    const bool named = std::ranges::any_of(named_, [&](const PageRange& range) {
        return range.first <= number && number < range.first + range.count;
    });
    if (named) return;
    const std::uint64_t end = offset + page.size();
    for (std::uint64_t at = offset / block_bytes_ * block_bytes_; at < end; at += block_bytes_) {
        const auto block = static_cast<std::uint32_t>(at / block_bytes_);
        if (!found_.empty() && found_.back() == block) continue;
        Bytes now(block_bytes_);
        if (at >= offset && at + block_bytes_ <= end) {
            std::ranges::copy(page.subspan(at - offset, block_bytes_), now.begin());
        } else {
            now.resize(file.read(at, now));
        }
        if (differs(at, std::move(now))) found_.push_back(block);
    }
}

void PageComparison::look_at_all(ByteView bytes, ContentSource& file) {
    for (std::size_t at = 0; at < bytes.size(); at += page_bytes)
        look_at(at, bytes.subspan(at, std::min(page_bytes, bytes.size() - at)), file);
}

// What only one of both has is not compared: a file that has grown is read behind its old end in any case. A
// page of zeros has no position: the relation may have been cut short and have grown again since `start`, and
// what came to stand there is still in the server's memory.
bool PageComparison::differs(std::uint64_t at, Bytes now) {
    Bytes then(now.size());
    then.resize(before_.read(at, then));
    now.resize(then.size());
    if (now.size() < block_bytes_) return now != then;
    if (std::ranges::all_of(now, [](Byte byte) { return byte == 0; })) return false;
    return !equal_but_hint_bits(now, then) && read_page_header(now).lsn <= start_;
}

} // namespace holdfast::postgres
