#include "base/crc32c.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

Bytes noise(std::size_t size) {
    Bytes bytes(size);
    std::uint64_t state = size + 1;
    for (Byte& byte : bytes) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        byte = static_cast<Byte>(state >> 56);
    }
    return bytes;
}

// One bit at a time, straight from the definition.
std::uint32_t crc_by_definition(ByteView bytes) {
    std::uint32_t crc = ~0U;
    for (const Byte byte : bytes) {
        crc ^= byte;
        for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
    }
    return ~crc;
}

TEST(Crc32c, HasTheValuesOfTheStandard) {
    // RFC 3720, appendix B.4, and the usual check value.
    EXPECT_EQ(crc32c(0, {}), 0U);
    EXPECT_EQ(crc32c(0, as_bytes("123456789")), 0xe3069283U);
    EXPECT_EQ(crc32c(0, Bytes(32, 0)), 0x8a9136aaU);
    EXPECT_EQ(crc32c(0, Bytes(32, 0xff)), 0x62a8ab43U);
}

TEST(Crc32c, EveryLengthAndAlignmentAgreesWithTheDefinition) {
    const Bytes bytes = noise(9000);
    for (std::size_t size = 0; size < 700; ++size) {
        const ByteView part = ByteView(bytes).subspan(size % 13, size);
        const std::uint32_t right = crc_by_definition(part);
        ASSERT_EQ(crc32c(0, part), right) << size;
        ASSERT_EQ(crc32c_portable(0, part), right) << size;
    }
    for (const std::size_t size : {8183U, 8184U, 8185U, 8191U, 8192U, 8193U, 8999U, 9000U}) {
        const ByteView part = ByteView(bytes).first(size);
        ASSERT_EQ(crc32c(0, part), crc_by_definition(part)) << size;
    }
}

TEST(Crc32c, ContinuesAndCombines) {
    const Bytes bytes = noise(100'000);
    const std::uint32_t whole = crc32c(0, bytes);
    for (const std::size_t cut : {0U, 1U, 7U, 120U, 4096U, 8192U, 65'537U, 99'999U, 100'000U}) {
        const ByteView head = ByteView(bytes).first(cut);
        const ByteView tail = ByteView(bytes).subspan(cut);
        EXPECT_EQ(crc32c(crc32c(0, head), tail), whole) << cut;
        EXPECT_EQ(crc32c_portable(crc32c_portable(0, head), tail), whole) << cut;
        EXPECT_EQ(crc32c_combine(crc32c(0, head), crc32c(0, tail), tail.size()), whole) << cut;
    }
}

TEST(Crc32c, OfZerosNeedsNone) {
    for (const std::size_t length : {0u, 1u, 2u, 3u, 8192u, 100'003u})
        EXPECT_EQ(crc32c_of_zeros(length), crc32c(0, Bytes(length, 0))) << length;
}

TEST(Crc32c, CombinesLengthsThatNoMemoryHolds) {
    // 2^40 zero bytes, by doubling.
    std::uint32_t zeros = crc32c(0, Bytes(1, 0));
    std::uint64_t length = 1;
    for (; length < std::uint64_t{1} << 40; length *= 2) zeros = crc32c_combine(zeros, zeros, length);
    const std::uint32_t start = crc32c(0, as_bytes("start"));
    EXPECT_EQ(crc32c_combine(crc32c_combine(start, zeros, length), zeros, length),
              crc32c_combine(start, crc32c_combine(zeros, zeros, length), 2 * length));
}

} // namespace
} // namespace holdfast
