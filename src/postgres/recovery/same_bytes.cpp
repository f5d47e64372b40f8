#include "postgres/recovery/same_bytes.h"

#include "postgres/wal/wal_record.h"

#include <algorithm>

namespace holdfast::postgres {

namespace {

constexpr std::uint64_t compared_at_once_bytes = std::uint64_t{1} << 20;
// So many pages that are not empty tell contents apart; what a segment was filled up with does not.
constexpr std::size_t telling_pages = 16;
constexpr std::size_t page_header_bytes = 40; // the longest

bool is_empty_page(ByteView page) {
    return std::ranges::all_of(page.subspan(std::min(page_header_bytes, page.size())),
                               [](Byte byte) { return byte == Byte{0}; });
}

std::size_t count_telling(ByteView bytes) {
    std::size_t count = 0;
    for (std::size_t at = 0; at < bytes.size(); at += wal_page_bytes)
        if (!is_empty_page(bytes.subspan(at, std::min<std::size_t>(wal_page_bytes, bytes.size() - at))))
            ++count;
    return count;
}

} // namespace

// From the end of what both have backwards, as far as it takes.
bool have_same_bytes(const RecoverySource& source, const LogSliceId& a, const LogSliceId& b) {
    if (a.range == b.range && source.digest) {
        const auto digest_a = source.digest(a), digest_b = source.digest(b);
        if (digest_a && digest_b) return *digest_a == *digest_b;
    }
    const Lsn begin{std::max(a.range.begin, b.range.begin)};
    Lsn end{std::min(a.range.end, b.range.end)};
    for (std::size_t telling = 0; end > begin && telling < telling_pages;) {
        // Pages as they lie in the log.
        const std::uint64_t back = std::min(end - begin, compared_at_once_bytes);
        const Lsn from = std::max(begin, Lsn{(end.value - back) / wal_page_bytes * wal_page_bytes});
        const Bytes of_a = source.part(a, from, end), of_b = source.part(b, from, end);
        if (of_a != of_b) return false;
        telling += count_telling(of_a);
        end = from;
    }
    return true;
}

} // namespace holdfast::postgres
