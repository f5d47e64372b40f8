#include "base/random.h"
#include "postgres/files/page.h"
#include "unit/postgres/real_pages.h"

#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

// The checksum as it is described, one sum after the other, and nothing of how page.cpp does it but the
// numbers that the sums begin with.
std::uint16_t slow_checksum(Bytes page, std::uint32_t block) {
    constexpr std::uint32_t starts[32] = {
        0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
        0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
        0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
        0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756};
    page[8] = page[9] = 0;
    std::uint32_t all = 0;
    for (std::size_t lane = 0; lane < 32; ++lane) {
        std::uint32_t sum = starts[lane];
        const auto add = [&](std::uint32_t word) { sum = ((sum ^ word) * 16777619U) ^ ((sum ^ word) >> 17); };
        for (std::size_t at = 4 * lane; at < page.size(); at += 128) {
            std::uint32_t word;
            std::memcpy(&word, page.data() + at, 4);
            add(word);
        }
        add(0);
        add(0);
        all ^= sum;
    }
    return static_cast<std::uint16_t>((all ^ block) % 65535 + 1);
}

TEST(PageChecksum, IsTheServersOwn) {
    for (const Bytes& page : {test::real_visibility_map_page(), test::real_btree_page()}) {
        const std::uint32_t block = page == test::real_btree_page() ? 1 : 0;
        EXPECT_EQ(page_checksum(page, block), read_page_header(page).checksum);
        EXPECT_NE(page_checksum(page, block + 1), read_page_header(page).checksum);
        EXPECT_EQ(judge_page(page, block, {.checksums = true}).state, PageState::good);
    }
}

TEST(PageChecksum, EqualsTheSlowOneOnEverySizeOfPage) {
    SeededRandom random(1);
    for (std::size_t size = 1024; size <= 32768; size *= 2) {
        for (int i = 0; i < 20; ++i) {
            Bytes page(size);
            random.fill(page);
            const auto block = static_cast<std::uint32_t>(random.u64());
            EXPECT_EQ(page_checksum(page, block), slow_checksum(page, block)) << size;
            // A page need not lie on an address that suits vectors.
            Bytes shifted(1);
            shifted.insert(shifted.end(), page.begin(), page.end());
            EXPECT_EQ(page_checksum(ByteView(shifted).subspan(1), block), slow_checksum(page, block));
        }
    }
}

TEST(PageChecksum, IsNeverZeroAndLeavesItselfOut) {
    Bytes page(8192);
    for (std::uint32_t block = 0; block < 70'000; ++block) ASSERT_NE(page_checksum(page, block), 0) << block;
    const auto before = page_checksum(page, 7);
    page[8] = 0x55;
    page[9] = 0xaa;
    EXPECT_EQ(page_checksum(page, 7), before);
    page[10] = 1;
    EXPECT_NE(page_checksum(page, 7), before);
}

TEST(PageChecksum, RefusesWhatIsNoPage) {
    for (const std::size_t size : {0U, 512U, 8191U, 8193U, 12288U, 65536U}) {
        EXPECT_EQ(test::code_of([&] { page_checksum(Bytes(size), 0); }), "internal") << size;
        EXPECT_EQ(test::code_of([&] { judge_page(Bytes(size), 0, {}); }), "internal") << size;
    }
}

TEST(JudgePage, EveryFlippedBitIsSeen) {
    const Bytes page = test::real_btree_page();
    for (std::size_t bit = 0; bit < page.size() * 8; bit += 7) {
        Bytes damaged = page;
        damaged[bit / 8] = static_cast<Byte>(damaged[bit / 8] ^ 1U << bit % 8);
        const PageVerdict verdict = judge_page(damaged, 1, {.checksums = true});
        ASSERT_EQ(verdict.state, PageState::bad) << bit;
        EXPECT_NE(verdict.why().find("expected"), std::string::npos);
    }
}

TEST(JudgePage, APageCaughtInItsWritingIsUnsettled) {
    Bytes page = test::real_btree_page();
    const Lsn changed = read_page_header(page).lsn;
    page[4000] ^= 1;
    const auto state = [&](std::uint64_t from, std::uint64_t to) {
        return judge_page(page, 1, {.checksums = true, .unsettled_from = Lsn{from}, .unsettled_to = Lsn{to}})
            .state;
    };
    EXPECT_EQ(state(changed.value - 1, UINT64_MAX), PageState::unsettled);
    EXPECT_EQ(state(changed.value, changed.value), PageState::unsettled);
    EXPECT_EQ(state(changed.value + 1, UINT64_MAX), PageState::bad);
    // A position that the server has not reached is part of the damage.
    EXPECT_EQ(state(1, changed.value - 1), PageState::bad);
    // Without a backup there is no excuse.
    EXPECT_EQ(state(0, UINT64_MAX), PageState::bad);
    // A good page is good however new it is.
    page[4000] ^= 1;
    EXPECT_EQ(state(1, UINT64_MAX), PageState::good);
}

TEST(JudgePage, OnlyZerosAreUnused) {
    for (std::size_t size = 1024; size <= 32768; size *= 2) {
        Bytes page(size);
        EXPECT_EQ(judge_page(page, 3, {.checksums = true}).state, PageState::unused);
        EXPECT_EQ(judge_page(page, 3, {}).state, PageState::unused);
        page[size - 1] = 1;
        EXPECT_EQ(judge_page(page, 3, {.checksums = true}).state, PageState::bad);
        EXPECT_EQ(judge_page(page, 3, {}).state, PageState::bad);
    }
}

TEST(JudgePage, WithoutChecksumsTheHeaderDecides) {
    const Bytes page = test::real_btree_page();
    EXPECT_EQ(judge_page(page, 99, {}).state, PageState::good);
    struct Case {
        std::size_t at;
        Byte value;
        const char* what;
    };
    for (const Case& bad : {Case{10, 0x08, "an unknown flag"}, Case{13, 0x20, "lower above upper"},
                            Case{15, 0x20, "upper above special"}, Case{17, 0x21, "special beyond the page"},
                            Case{16, 0xf1, "special not aligned"}, Case{19, 0x40, "another page size"},
                            Case{18, 0x03, "another layout"}}) {
        Bytes damaged = page;
        damaged[bad.at] = bad.value;
        const PageVerdict verdict = judge_page(damaged, 99, {});
        EXPECT_EQ(verdict.state, PageState::bad) << bad.what;
        EXPECT_FALSE(verdict.header_sane) << bad.what;
        EXPECT_NE(verdict.why().find("header makes no sense"), std::string::npos);
    }
}

TEST(JudgePage, AHeaderWithoutSenseIsBadThoughItsChecksumIsRight) {
    Bytes page = test::real_btree_page();
    page[13] = 0x20;
    const auto sum = page_checksum(page, 1);
    std::memcpy(page.data() + 8, &sum, sizeof sum);
    EXPECT_EQ(judge_page(page, 1, {.checksums = true}).state, PageState::bad);
}

TEST(PageHeader, FieldsAreWhereTheyAre) {
    const PageHeader header = read_page_header(test::real_btree_page());
    EXPECT_EQ(header.lsn, Lsn{0x1341290});
    EXPECT_EQ(header.checksum, 0x5474);
    EXPECT_EQ(header.flags, 0);
    EXPECT_EQ(header.lower, 0x24);
    EXPECT_EQ(header.upper, 0x1fc0);
    EXPECT_EQ(header.special, 0x1ff0);
    EXPECT_EQ(header.size(), 8192U);
    EXPECT_EQ(header.version(), 4U);
}

} // namespace
} // namespace holdfast::postgres
