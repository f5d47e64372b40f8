#include "postgres/files/page.h"

#include "base/error.h"

#include <bit>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

static_assert(std::endian::native == std::endian::little, "pages are read as the server has written them");

constexpr std::size_t checksum_offset = 8;
constexpr std::uint16_t known_flags = 0x0007;
constexpr std::uint32_t layout_version = 4;
constexpr std::size_t alignment = 8;

constexpr std::uint32_t prime = 16777619; // of FNV with 32 bits
constexpr std::size_t sums = 32;
constexpr std::size_t row_bytes = sums * sizeof(std::uint32_t);

// Where each of the sums begins: any 32 different numbers would do, PostgreSQL chose these.
alignas(64) constexpr std::uint32_t starts[sums] = {
    0x5b1f36e9, 0xb8525960, 0x02ab50aa, 0x1de66d2a, 0x79ff467a, 0x9bb9f8a3, 0x217e7cd2, 0x83e13d2c,
    0xf8d4474f, 0xe39eb970, 0x42c6ae16, 0x993216fa, 0x7b093b5d, 0x98daff3c, 0xf718902a, 0x0b1c9cdb,
    0xe58f764b, 0x187636bc, 0x5d7b3bb1, 0xe73de7de, 0x92bec979, 0xcca6c0b2, 0x304a0979, 0x85aa43d4,
    0x783125bb, 0x6ca8eaa2, 0xe407eac6, 0x4b5cfc3e, 0x9fbf8c76, 0x15ca20be, 0xf2ca9fd3, 0x959bd756,
};

// Eight sums; the compiler splits them where registers are narrower.
using Eight [[gnu::vector_size(32)]] = std::uint32_t;

[[gnu::always_inline]] inline void add(Eight& sum, const Byte* from) {
    Eight words;
    std::memcpy(&words, from, sizeof words);
    const Eight mixed = sum ^ words;
    sum = (mixed * prime) ^ (mixed >> 17);
}

// All 32 sums: four chains of vectors that do not wait for each other, which hides the latency of the
// multiplication. Four variables and not an array, or g++ keeps them in memory.
struct Sums {
    Eight a, b, c, d;

    [[gnu::always_inline]] void add_row(const Byte* row) {
        add(a, row);
        add(b, row + sizeof a);
        add(c, row + 2 * sizeof a);
        add(d, row + 3 * sizeof a);
    }
};

[[gnu::always_inline]] inline std::uint32_t sum_page(const Byte* page, std::size_t size) {
    Sums all;
    std::memcpy(&all, starts, sizeof all);
    // The checksum counts as zero in its own sum.
    Byte first[row_bytes];
    std::memcpy(first, page, row_bytes);
    first[checksum_offset] = first[checksum_offset + 1] = 0;
    all.add_row(first);
    for (std::size_t at = row_bytes; at < size; at += row_bytes) all.add_row(page + at);
    // Two rows of zeros, so that the last words of the page reach all bits.
    constexpr Byte zeros[row_bytes] = {};
    all.add_row(zeros);
    all.add_row(zeros);
    const Eight folded = all.a ^ all.b ^ all.c ^ all.d;
    std::uint32_t result = 0;
    for (std::size_t i = 0; i < 8; ++i) result ^= folded[i];
    return result;
}

std::uint32_t sum_page_plain(const Byte* page, std::size_t size) { return sum_page(page, size); }

#if defined(__x86_64__)
// By hand and not with target_clones: its resolver would run before the thread sanitizer is ready.
[[gnu::target("avx2")]] std::uint32_t sum_page_avx2(const Byte* page, std::size_t size) {
    return sum_page(page, size);
}
std::uint32_t sum_page_fast(const Byte* page, std::size_t size) {
    static const bool avx2 = __builtin_cpu_supports("avx2") != 0;
    return avx2 ? sum_page_avx2(page, size) : sum_page_plain(page, size);
}
#else
std::uint32_t sum_page_fast(const Byte* page, std::size_t size) { return sum_page_plain(page, size); }
#endif

void check_size(std::size_t size) {
    if (size < least_page_bytes || size > most_page_bytes || !std::has_single_bit(size)) {
        throw Error(ErrorCode::internal, fmt::format("{} bytes are no page", size));
    }
}

// What PostgreSQL itself demands of a page that it reads, and its size and version. Not more: pages of old
// clusters that were upgraded in place may have an odd `lower`.
bool is_sane(const PageHeader& header, std::size_t size) {
    return (header.flags & ~known_flags) == 0 && header.size() == (size & 0xff00U) &&
           header.version() == layout_version && header.lower <= header.upper &&
           header.upper <= header.special && header.special <= size && header.special % alignment == 0;
}

// Every byte is the one before it, and the first is zero: as fast as the library compares memory.
bool is_zero(ByteView page) {
    return page[0] == 0 && std::memcmp(page.data(), page.data() + 1, page.size() - 1) == 0;
}

} // namespace

PageHeader read_page_header(ByteView page) {
    ByteReader in(page.first(page_header_bytes), "page header");
    PageHeader header;
    const std::uint64_t high = in.u32(); // the position is stored as two words, the high one first
    header.lsn = Lsn{high << 32 | in.u32()};
    header.checksum = in.u16();
    header.flags = in.u16();
    header.lower = in.u16();
    header.upper = in.u16();
    header.special = in.u16();
    header.size_and_version = in.u16();
    header.prune_xid = in.u32();
    return header;
}

std::uint16_t page_checksum(ByteView page, std::uint32_t block) {
    check_size(page.size());
    // From 1, because 0 looks like a page without a checksum.
    return static_cast<std::uint16_t>((sum_page_fast(page.data(), page.size()) ^ block) % 65535 + 1);
}

std::string_view to_string(PageState state) {
    switch (state) {
    case PageState::unused:
        return "unused";
    case PageState::good:
        return "good";
    case PageState::bad:
        return "bad";
    case PageState::unsettled:
        return "unsettled";
    }
    return "";
}

std::string PageVerdict::why() const {
    switch (state) {
    case PageState::unused:
        return "nothing but zeros";
    case PageState::good:
        return "good";
    case PageState::bad:
    case PageState::unsettled:
        break;
    }
    std::string text;
    if (checksum != 0 && checksum != header.checksum) {
        text = fmt::format("checksum {:#06x}, expected {:#06x}", header.checksum, checksum);
    }
    if (!header_sane) text += text.empty() ? "header makes no sense" : ", header makes no sense";
    return fmt::format("{}, last changed at {}", text, header.lsn.str());
}

PageVerdict judge_page(ByteView page, std::uint32_t block, const PageRules& rules) {
    check_size(page.size());
    PageVerdict verdict;
    verdict.header = read_page_header(page);
    // A page that was written has something between upper and special, or at least upper itself.
    if (verdict.header.upper == 0 && is_zero(page)) {
        verdict.state = PageState::unused;
        return verdict;
    }
    verdict.header_sane = is_sane(verdict.header, page.size());
    if (rules.checksums) verdict.checksum = page_checksum(page, block);
    const bool sum_right = !rules.checksums || verdict.checksum == verdict.header.checksum;
    if (verdict.header_sane && sum_right) return verdict;
    const bool unsettled =
        verdict.header.lsn >= rules.unsettled_from && verdict.header.lsn <= rules.unsettled_to;
    verdict.state = unsettled && rules.unsettled_from ? PageState::unsettled : PageState::bad;
    return verdict;
}

} // namespace holdfast::postgres
