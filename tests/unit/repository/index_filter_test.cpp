#include "base/error.h"
#include "base/random.h"
#include "repository/index/bloom_filter.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(BloomFilter, has_what_was_inserted_and_little_else) {
    SeededRandom random(1);
    constexpr std::uint64_t count = 200'000;
    BloomFilter filter(count);
    std::vector<BlobId> ids(count);
    for (BlobId& id : ids) {
        id = random.id<24>();
        filter.insert(BloomProbe(id));
    }
    for (const BlobId& id : ids) ASSERT_TRUE(filter.may_contain(BloomProbe(id)));
    std::uint64_t wrong = 0;
    for (std::uint64_t i = 0; i < count; ++i)
        wrong += filter.may_contain(BloomProbe(random.id<24>())) ? 1U : 0U;
    EXPECT_LT(wrong, count * 15 / 1000);
    EXPECT_GT(wrong, count * 5 / 1000) << "far better than the theory: the test does not test";
}

TEST(BloomFilter, has_ten_bits_an_entry) {
    EXPECT_EQ(BloomFilter::bytes_for(0), 32u);
    EXPECT_EQ(BloomFilter::bytes_for(25), 32u);
    EXPECT_EQ(BloomFilter::bytes_for(26), 64u);
    EXPECT_EQ(BloomFilter::bytes_for(50'000'000), 62'500'000u);
    EXPECT_EQ(BloomFilter(4000).bytes().size(), BloomFilter::bytes_for(4000));
    EXPECT_EQ(BloomFilter(4000).memory_bytes(), BloomFilter::bytes_for(4000));
}

// docs/format.md, section 8, computed by hand.
TEST(BloomFilter, bits_stand_where_the_format_says) {
    BloomFilter filter(100); // 4 blocks
    BlobId id;
    id.bytes[0] = 0x80;       // the fraction one half: block 2
    id.bytes[8] = 0b01100001; // lanes 0 and 1: bits 1 and 3
    id.bytes[14] = 0xff;      // bits 16-23 of the other half: lanes 7 (bits 15-19) and what is unused
    filter.insert(BloomProbe(id));
    const Bytes bytes = filter.bytes();
    ByteReader reader(bytes, "filter");
    reader.raw(64);
    const std::vector<std::uint32_t> expected{1U << 1, 1U << 3, 1, 1, 1, 1, 1, 1U << 30};
    for (const std::uint32_t lane : expected) EXPECT_EQ(reader.u32(), lane);
    for (int i = 0; i < 8; ++i) EXPECT_EQ(reader.u32(), 0u);
}

TEST(BloomFilter, survives_being_written_and_read) {
    SeededRandom random(2);
    BloomFilter filter(1000);
    std::vector<BlobId> ids(1000);
    for (BlobId& id : ids) {
        id = random.id<24>();
        filter.insert(BloomProbe(id));
    }
    const BloomFilter again = BloomFilter::from_bytes(filter.bytes());
    EXPECT_EQ(again.bytes(), filter.bytes());
    for (const BlobId& id : ids) EXPECT_TRUE(again.may_contain(BloomProbe(id)));
}

TEST(BloomFilter, refuses_what_is_not_whole_blocks) {
    for (const std::size_t size : {0U, 1U, 31U, 33U, 63U}) {
        EXPECT_THROW(BloomFilter::from_bytes(Bytes(size)), Error) << size;
    }
}

TEST(BloomFilter, the_ends_of_the_range_are_within_it) {
    for (const std::uint64_t entries : {1U, 100U, 1000000U}) {
        BloomFilter filter(entries);
        BlobId last;
        last.bytes.fill(0xff);
        filter.insert(BloomProbe(last));
        EXPECT_TRUE(filter.may_contain(BloomProbe(last)));
        EXPECT_FALSE(filter.may_contain(BloomProbe(BlobId{})));
    }
}

} // namespace
} // namespace holdfast
