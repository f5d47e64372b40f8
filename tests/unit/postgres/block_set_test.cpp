#include "base/random.h"
#include "postgres/wal/block_set.h"
#include "support/error_matchers.h"

#include <set>

#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

using test::code_of;

std::vector<std::pair<BlockNumber, std::uint64_t>> ranges(const BlockSet& set) {
    std::vector<std::pair<BlockNumber, std::uint64_t>> all;
    set.for_each_range([&](BlockNumber first, std::uint64_t count) { all.emplace_back(first, count); });
    return all;
}

Bytes encoded(const BlockSet& set) {
    ByteWriter out;
    set.encode(out);
    return std::move(out).take();
}

BlockSet decoded(const Bytes& bytes) {
    ByteReader in(bytes, "a test");
    BlockSet set = BlockSet::decode(in);
    in.expect_end();
    return set;
}

using Ranges = std::vector<std::pair<BlockNumber, std::uint64_t>>;

TEST(BlockSet, HoldsWhatWasAdded) {
    BlockSet set;
    EXPECT_TRUE(set.empty());
    for (const BlockNumber block : {5U, 6U, 4U, 1000U, 0xffffffffU, 6U, 63U, 64U}) set.add(block);
    EXPECT_EQ(ranges(set), (Ranges{{4, 3}, {63, 2}, {1000, 1}, {0xffffffff, 1}}));
    EXPECT_EQ(set.count(), 7U);
    EXPECT_TRUE(set.contains(64));
    EXPECT_FALSE(set.contains(65));
    EXPECT_EQ(decoded(encoded(set)), set);
}

TEST(BlockSet, ALongRunTakesNoRoom) {
    BlockSet set;
    for (BlockNumber block = 100; block < 1'000'000; ++block) set.add(block);
    EXPECT_EQ(ranges(set), (Ranges{{100, 999'900}}));
    EXPECT_LT(set.memory_bytes(), 1000U);
    EXPECT_EQ(encoded(set).size(), 6U);
}

// Against a set that is surely right, with everything that can be done to it.
TEST(BlockSet, AgreesWithAModel) {
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        SeededRandom random(seed);
        BlockSet set;
        std::set<BlockNumber> model;
        const std::uint64_t spread = std::uint64_t{1} << (6 + seed % 12);
        for (int step = 0; step < 3000; ++step) {
            const auto block = static_cast<BlockNumber>(random.below(spread));
            const std::uint64_t what = random.below(1000);
            if (what == 0) {
                set.cut(block);
                model.erase(model.lower_bound(block), model.end());
            } else if (what < 5) {
                BlockSet other;
                for (int i = 0; i < 50; ++i) {
                    const auto first = static_cast<BlockNumber>(random.below(spread));
                    for (BlockNumber more = first; more < first + random.below(200); ++more) {
                        other.add(more);
                        model.insert(more);
                    }
                }
                set.unite(other);
            } else {
                set.add(block);
                model.insert(block);
            }
        }
        std::set<BlockNumber> all;
        BlockNumber last = 0;
        set.for_each_range([&](BlockNumber first, std::uint64_t count) {
            ASSERT_TRUE(all.empty() || first > last + 1) << "ranges touch";
            for (std::uint64_t i = 0; i < count; ++i) all.insert(last = static_cast<BlockNumber>(first + i));
        });
        ASSERT_EQ(all, model) << seed;
        for (BlockNumber block = 0; block < spread; block += 7)
            ASSERT_EQ(set.contains(block), model.contains(block));
        ASSERT_EQ(decoded(encoded(set)), set);
        ASSERT_EQ(set.granularity(), 0U);
    }
}

TEST(BlockSet, ACoarseSetHoldsMoreNeverLess) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        SeededRandom random(seed);
        BlockSet set;
        std::set<BlockNumber> model;
        for (int i = 0; i < 5000; ++i) {
            const auto block = static_cast<BlockNumber>(random.below(10'000'000) * (seed % 2 == 0 ? 1 : 400));
            set.add(block);
            model.insert(block);
            if (i % 1000 == 999) {
                const std::size_t before = set.memory_bytes();
                ASSERT_TRUE(set.coarsen());
                ASSERT_LT(set.memory_bytes(), before);
            }
        }
        EXPECT_GT(set.granularity(), 0U);
        for (const BlockNumber block : model) ASSERT_TRUE(set.contains(block)) << block;
        ASSERT_EQ(decoded(encoded(set)), set);
        BlockSet fine;
        fine.add(77);
        fine.unite(set);
        EXPECT_EQ(fine.granularity(), set.granularity());
        for (const BlockNumber block : model) ASSERT_TRUE(fine.contains(block)) << block;
        EXPECT_TRUE(fine.contains(77));
        const BlockNumber middle = *std::next(model.begin(), 2000);
        set.cut(middle);
        for (const BlockNumber block : model)
            ASSERT_EQ(set.contains(block) || block >= middle, true) << block;
        EXPECT_FALSE(set.contains(middle + (1U << set.granularity())));
        while (set.coarsen()) {
        }
        EXPECT_LE(set.memory_bytes(), 64U);
        EXPECT_TRUE(set.contains(*model.begin()));
    }
}

TEST(BlockSet, BecomesCoarserByItself) {
    BlockSet set;
    for (std::uint64_t block = 0; block < std::uint64_t{1} << 32; block += 6000)
        set.add(static_cast<BlockNumber>(block));
    EXPECT_GT(set.granularity(), 0U);
    EXPECT_LE(set.memory_bytes(), 3 * BlockSet::pieces_max * 16);
    for (std::uint64_t block = 0; block < std::uint64_t{1} << 32; block += 6000 * 97)
        ASSERT_TRUE(set.contains(static_cast<BlockNumber>(block)));
}

TEST(BlockSet, AllBlocksThereAre) {
    ByteWriter out;
    out.varint(0);
    out.varint(1);
    out.varint(0);
    out.varint(0xffffffff);
    BlockSet set = decoded(out.bytes());
    EXPECT_EQ(ranges(set), (Ranges{{0, std::uint64_t{1} << 32}}));
    EXPECT_EQ(encoded(set), out.bytes());
    set.add(3);
    EXPECT_EQ(set.count(), std::uint64_t{1} << 32);
    set.cut(70);
    EXPECT_EQ(ranges(set), (Ranges{{0, 70}}));
    set.cut(0);
    EXPECT_TRUE(set.empty());
}

TEST(BlockSet, RefusesWhatItWouldNotWrite) {
    for (const Bytes& bad : {Bytes{27, 0}, Bytes{0, 1, 0}, Bytes{0, 2, 0, 0}, Bytes{26, 1, 64, 0},
                             Bytes{26, 1, 0, 64}, Bytes{26, 2, 0, 63, 0, 0}, Bytes{}})
        EXPECT_EQ(code_of([&] { decoded(bad); }), "corrupt");
    EXPECT_TRUE(decoded({26, 1, 0, 63}).contains(0xffffffff));
}

} // namespace
} // namespace holdfast::postgres
