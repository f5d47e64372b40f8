#include "postgres/wal/lsn.h"

#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

constexpr std::uint64_t mib = 1u << 20;

TEST(Lsn, IsPrintedAndReadAsPostgresqlDoes) {
    EXPECT_EQ(Lsn{0x16B374D848}.str(), "16/B374D848");
    EXPECT_EQ(parse_lsn("16/B374D848"), Lsn{0x16B374D848});
    EXPECT_EQ(parse_lsn("0/0"), Lsn{});
    EXPECT_EQ(parse_lsn("ffffffff/FFFFFFFF"), Lsn{~std::uint64_t{0}});
    for (const char* bad :
         {"", "/", "1/", "/1", "1", "g/1", "1/2/3", "123456789/1", "1/123456789", " 1/2", "1/ 2", "-1/2"})
        EXPECT_FALSE(parse_lsn(bad)) << bad;
}

TEST(SegmentName, CountsInTheSizeOfSegments) {
    EXPECT_EQ(segment_name(1, Lsn{0x16B374D848}, 16 * mib), "0000000100000016000000B3");
    EXPECT_EQ(segment_name(0xA, Lsn{0x16B374D848}, 1024 * mib), "0000000A0000001600000002");
    EXPECT_EQ(segment_name(1, Lsn{0x16B374D848}, mib), "000000010000001600000B37");
}

TEST(SegmentName, IsReadBack) {
    for (const std::uint64_t size : {mib, 16 * mib, 1024 * mib}) {
        const Lsn begin{0x16B374D848 / size * size};
        const auto read = parse_segment_name(segment_name(7, begin + 5, size), size);
        ASSERT_TRUE(read);
        EXPECT_EQ(read->timeline, 7U);
        EXPECT_EQ(read->begin, begin);
    }
}

TEST(SegmentName, OthersAreRefused) {
    for (const char* bad :
         {"", "0000000100000016000000b3", "0000000100000016000000B", "0000000100000016000000B30",
          "0000000000000016000000B3", "000000010000001600000100", "00000001.history"})
        EXPECT_FALSE(parse_segment_name(bad, 16 * mib)) << bad;
    EXPECT_EQ(history_name(10), "0000000A.history");
}

} // namespace
} // namespace holdfast::postgres
