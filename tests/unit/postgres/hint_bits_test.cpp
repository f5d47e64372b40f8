#include "base/random.h"
#include "postgres/files/hint_bits.h"
#include "unit/postgres/real_pages.h"

#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

template <typename T>
void put(Bytes& page, std::size_t at, T value) {
    std::memcpy(page.data() + at, &value, sizeof value);
}
void put16(Bytes& page, std::size_t at, unsigned value) { put(page, at, static_cast<std::uint16_t>(value)); }

// A page with `special` bytes of special space, and one item of `length` bytes at `offset`.
Bytes page_with(std::size_t size, std::size_t special, std::size_t offset, std::size_t length,
                std::uint32_t state = 1) {
    Bytes page(size);
    put16(page, 12, 28);
    put16(page, 14, static_cast<unsigned>(offset));
    put16(page, 16, static_cast<unsigned>(size - special));
    put16(page, 18, static_cast<unsigned>(size) | 4);
    put(page, 24, static_cast<std::uint32_t>(offset | state << 15 | length << 17));
    return page;
}
Bytes heap_page(unsigned infomask, std::size_t size = 8192) {
    Bytes page = page_with(size, 0, size - 40, 40);
    put16(page, size - 40 + 20, infomask);
    return page;
}

TEST(HintBits, OfHeapTuplesAreMasked) {
    for (const std::size_t size : {1024U, 8192U, 32768U}) {
        const Bytes plain = heap_page(0x0002, size);
        for (const unsigned hint : {0x0100U, 0x0200U, 0x0400U, 0x0800U, 0x0900U, 0x0500U}) {
            EXPECT_TRUE(equal_but_hint_bits(plain, heap_page(0x0002 | hint, size))) << hint;
        }
        for (const unsigned other :
             {0x0001U, 0x0004U, 0x0010U, 0x0040U, 0x0080U, 0x1000U, 0x2000U, 0x4000U}) {
            EXPECT_FALSE(equal_but_hint_bits(plain, heap_page(0x0002 | other, size))) << other;
        }
    }
}

TEST(HintBits, WhatMayHaveChangedLaterIsToldByThePosition) {
    const auto at = [](Bytes page, std::uint32_t position) {
        put(page, 4, position);
        return page;
    };
    const Bytes then = at(heap_page(0), 100);
    const Bytes now = at(heap_page(0x0300), 200);
    EXPECT_TRUE(may_have_changed_since(then, now, Lsn{199}));
    EXPECT_FALSE(may_have_changed_since(then, now, Lsn{200}));
    EXPECT_TRUE(may_have_changed_since(then, Bytes(8192), Lsn{200})) << "cut short and grown again";
    // Where hints are not logged, a vacuum marks a page and leaves its position.
    Bytes marked = then;
    marked[10] |= 4;
    EXPECT_TRUE(may_have_changed_since(then, marked, Lsn{200}));
    EXPECT_FALSE(may_have_changed_since(marked, then, Lsn{200})) << "unmarking comes with a change";
    put16(marked, 8192 - 40 + 20, 0x0300);
    EXPECT_FALSE(may_have_changed_since(then, marked, Lsn{200})) << "frozen too";
}

TEST(HintBits, FrozenIsNoHint) {
    EXPECT_FALSE(equal_but_hint_bits(heap_page(0x0300), heap_page(0x0100)));
    EXPECT_FALSE(equal_but_hint_bits(heap_page(0x0300), heap_page(0x0000)));
    EXPECT_TRUE(equal_but_hint_bits(heap_page(0x0300), heap_page(0x0b00)));
}

TEST(HintBits, OfThePageHeaderAreMasked) {
    const Bytes page = heap_page(0);
    const auto changed = [&](std::size_t at, Byte value) {
        Bytes other = page;
        other[at] = value;
        return equal_but_hint_bits(page, other);
    };
    EXPECT_TRUE(changed(8, 1)) << "checksum";
    EXPECT_TRUE(changed(10, 3)) << "PD_HAS_FREE_LINES, PD_PAGE_FULL";
    EXPECT_TRUE(changed(20, 9)) << "pd_prune_xid";
    EXPECT_FALSE(changed(10, 4)) << "PD_ALL_VISIBLE";
    EXPECT_FALSE(changed(0, 1)) << "LSN";
    EXPECT_FALSE(changed(7, 1)) << "LSN";
    EXPECT_FALSE(changed(8000, 1)) << "nothing is there, and still it must not differ";
}

TEST(HintBits, ADeadLineOfAHeapIsNoHint) {
    // Where the tuple was, a dead line has nothing.
    const Bytes live = heap_page(0);
    Bytes dead = live;
    put(dead, 24, std::uint32_t{3} << 15);
    EXPECT_FALSE(equal_but_hint_bits(live, dead));
    // Not even when it kept its place, which no server does.
    EXPECT_FALSE(equal_but_hint_bits(live, page_with(8192, 0, 8152, 40, 3)));
}

struct IndexCase {
    const char* name;
    std::size_t special;
    unsigned mark;
    unsigned garbage; // the flag that goes with dead items
    unsigned without; // pages with these flags have no items
    unsigned with;
};
constexpr IndexCase indexes[] = {{"b-tree", 16, 0, 1 << 6, 1 << 3, 1 << 0},
                                 {"deleted b-tree", 16, 0, 1 << 6, 1 << 2, 1 << 0},
                                 {"hash", 16, 0xff80, 1 << 7, 1 << 3, 1 << 1},
                                 {"GiST", 16, 0xff81, 1 << 4, 1 << 1, 1 << 0}};

TEST(HintBits, DeadItemsOfIndexesAreMasked) {
    for (const IndexCase& index : indexes) {
        const auto page = [&](std::uint32_t state, unsigned flags) {
            Bytes bytes = page_with(8192, index.special, 8192 - index.special - 16, 16, state);
            put16(bytes, 8188, flags);
            put16(bytes, 8190, index.mark);
            return bytes;
        };
        EXPECT_TRUE(equal_but_hint_bits(page(1, index.with), page(3, index.with | index.garbage)))
            << index.name;
        EXPECT_FALSE(equal_but_hint_bits(page(1, index.with), page(2, index.with))) << index.name;
        EXPECT_FALSE(equal_but_hint_bits(page(1, index.without), page(3, index.without))) << index.name;
        EXPECT_FALSE(equal_but_hint_bits(page(1, index.with), page(1, index.with | 0x8000))) << index.name;
    }
}

TEST(HintBits, TheVacuumCycleOfABtreeIsMasked) {
    Bytes swept = test::real_btree_page();
    put16(swept, 8190, 0x1234);
    EXPECT_TRUE(equal_but_hint_bits(test::real_btree_page(), swept));
    Bytes other = test::real_btree_page();
    other[8180] ^= 1; // the left neighbour
    EXPECT_FALSE(equal_but_hint_bits(test::real_btree_page(), other));
    // The marks of other access methods are not cycles.
    put16(other = test::real_btree_page(), 8190, 0xff80);
    EXPECT_FALSE(equal_but_hint_bits(test::real_btree_page(), other));
}

TEST(HintBits, OfBrinAndSpgistAreMasked) {
    Bytes brin = page_with(8192, 8, 8192 - 24, 16);
    put16(brin, 8190, 0xf093);
    Bytes evacuated = brin;
    put16(evacuated, 8188, 1);
    EXPECT_TRUE(equal_but_hint_bits(brin, evacuated));
    put16(evacuated, 8188, 2);
    EXPECT_FALSE(equal_but_hint_bits(brin, evacuated));

    Bytes meta = page_with(8192, 8, 8184, 0);
    put16(meta, 12, 92);
    put16(meta, 8184, 1);
    put16(meta, 8190, 0xff82);
    Bytes used = meta;
    put16(used, 28, 7);
    put16(used, 90, 7);
    EXPECT_TRUE(equal_but_hint_bits(meta, used));
    used[24] = 1; // the magic number
    EXPECT_FALSE(equal_but_hint_bits(meta, used));
    used = meta;
    used[92] = 1;
    EXPECT_FALSE(equal_but_hint_bits(meta, used));
    // A page with data is no meta page.
    put16(meta, 8184, 4);
    used = meta;
    put16(used, 28, 7);
    EXPECT_FALSE(equal_but_hint_bits(meta, used));
}

TEST(HintBits, SequencesAndUnknownPagesHaveOnlyThoseOfTheHeader) {
    Bytes sequence = page_with(8192, 8, 8192 - 48, 40);
    put16(sequence, 8184, 0x1717);
    Bytes other = sequence;
    put16(other, 8192 - 48 + 20, 0x0100);
    EXPECT_FALSE(equal_but_hint_bits(sequence, other));
    other = sequence;
    other[8] = 1;
    EXPECT_TRUE(equal_but_hint_bits(sequence, other));
    Bytes unknown = page_with(8192, 24, 8192 - 64, 40);
    other = unknown;
    put(other, 24, static_cast<std::uint32_t>((8192 - 64) | 3U << 15 | 40U << 17));
    EXPECT_FALSE(equal_but_hint_bits(unknown, other));
}

TEST(HintBits, PagesThatAreNoneStayAsTheyAre) {
    Bytes zeros(8192);
    Bytes rubbish(8192, 0xff);
    mask_hint_bits(zeros);
    mask_hint_bits(rubbish);
    EXPECT_EQ(zeros, Bytes(8192));
    EXPECT_EQ(rubbish, Bytes(8192, 0xff));
    EXPECT_FALSE(equal_but_hint_bits(Bytes(8192), Bytes(4096)));
    Bytes bit = rubbish;
    bit[8] = 0;
    EXPECT_FALSE(equal_but_hint_bits(rubbish, bit));
}

TEST(HintBits, LinePointersIntoNowhereAreLeftAlone) {
    SeededRandom random(2);
    for (int i = 0; i < 20'000; ++i) {
        const std::size_t special = std::size_t{8} * random.below(4);
        Bytes page(1024);
        random.fill(page);
        const unsigned upper = static_cast<unsigned>(random.below(1024 - special + 1));
        put16(page, 10, 0);
        put16(page, 12, static_cast<unsigned>(random.below(upper + 1)));
        put16(page, 14, upper);
        put16(page, 16, static_cast<unsigned>(1024 - special));
        put16(page, 18, 1024 | 4);
        Bytes masked = page;
        mask_hint_bits(masked);
        Bytes twice = masked;
        mask_hint_bits(twice);
        // Masking what is masked changes nothing, unless tuples overlap pointers in this rubbish.
        EXPECT_EQ(masked.size(), twice.size());
        EXPECT_TRUE(equal_but_hint_bits(page, page));
    }
}

} // namespace
} // namespace holdfast::postgres
