#include "base/random.h"

#include <algorithm>
#include <array>
#include <set>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

// Gives the numbers it was told to, to reach the rare branches of `below`.
class ScriptedRandom final : public Random {
  public:
    explicit ScriptedRandom(std::vector<std::uint64_t> numbers) : numbers_(std::move(numbers)) {}
    void fill(MutableByteView out) override {
        ASSERT_EQ(out.size(), sizeof(std::uint64_t));
        ASSERT_LT(used_, numbers_.size());
        std::memcpy(out.data(), &numbers_[used_++], out.size());
    }
    std::size_t used() const { return used_; }

  private:
    std::vector<std::uint64_t> numbers_;
    std::size_t used_ = 0;
};

TEST(SeededRandom, ReplaysItsSeed) {
    SeededRandom first(42);
    SeededRandom second(42);
    SeededRandom other(43);
    EXPECT_EQ(first.id<32>(), second.id<32>());
    EXPECT_EQ(first.below(1000), second.below(1000));
    EXPECT_EQ(first.u64(), second.u64());
    EXPECT_NE(first.id<32>(), other.id<32>());
}

TEST(SeededRandom, HasTheBytesOfTheStandardsGenerator) {
    // [rand.predef] of the C++ standard: the 10,000th number of a default-seeded mt19937_64.
    SeededRandom random(std::mt19937_64::default_seed);
    Bytes bytes(8 * 10'000);
    random.fill(bytes);
    ByteReader reader(ByteView(bytes).last(8), "the last number");
    EXPECT_EQ(reader.u64(), 9981545732273789042U);
}

TEST(SeededRandom, FillsLengthsThatAreNoMultipleOfEight) {
    for (const std::size_t size : {0U, 1U, 7U, 9U, 63U}) {
        SeededRandom random(7);
        Bytes bytes(size + 1, 0xee);
        random.fill(MutableByteView(bytes).first(size));
        EXPECT_EQ(bytes.back(), 0xee) << size;
        SeededRandom again(7);
        Bytes longer(64);
        again.fill(longer);
        EXPECT_TRUE(std::equal(bytes.begin(), bytes.end() - 1, longer.begin())) << size;
    }
}

TEST(RandomBelow, StaysBelowAndReachesEveryValueEvenly) {
    SeededRandom random(8);
    constexpr int rounds = 60'000;
    std::array<int, 6> counts{};
    for (int i = 0; i < rounds; ++i) ++counts.at(random.below(6));
    // Five standard deviations of a binomial with p = 1/6; the seed is fixed, so this cannot flicker.
    for (const int count : counts) EXPECT_NEAR(count, rounds / 6, 5 * 92);
    EXPECT_EQ(random.below(1), 0U);
}

TEST(RandomBelow, RejectsNumbersThatWouldFavourSmallRemainders) {
    // 2^64 mod 6 is 4: the numbers 0 to 3 are drawn again.
    ScriptedRandom random({0, 3, 4});
    EXPECT_EQ(random.below(6), 4U);
    EXPECT_EQ(random.used(), 3U);
    ScriptedRandom power_of_two({0});
    EXPECT_EQ(power_of_two.below(1U << 20), 0U);
    // Nearly half of all numbers are rejected at this limit, the worst there is.
    const std::uint64_t limit = (std::uint64_t{1} << 63) + 1;
    ScriptedRandom worst({limit - 3, limit - 2});
    EXPECT_EQ(worst.below(limit), limit - 2);
    EXPECT_EQ(worst.used(), 2U);
}

TEST(SystemRandom, GivesDifferentBytesEachTime) {
    std::set<FixedBytes<16>> seen;
    for (int i = 0; i < 1000; ++i) seen.insert(system_random().id<16>());
    EXPECT_EQ(seen.size(), 1000U);
}

TEST(SystemRandom, FillsAllOfALargeBuffer) {
    Bytes bytes(1 << 20);
    system_random().fill(bytes);
    // A run of 64 zeros is left out of reach of chance (2^-512 a place): it would mean that a part was not
    // filled.
    const auto run = std::search_n(bytes.begin(), bytes.end(), 64, Byte{0});
    EXPECT_EQ(run, bytes.end());
    system_random().fill({});
}

} // namespace
} // namespace holdfast
