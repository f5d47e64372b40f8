#include "base/random.h"
#include "crypto/hash.h"
#include "repository/split/gear_splitter.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

constexpr std::size_t kib = 1024;
constexpr std::size_t mib = 1024 * kib;

Bytes test_key(Byte seed = 1) { return Bytes(32, seed); }

Bytes random_bytes(std::uint64_t seed, std::size_t size) {
    SeededRandom random(seed);
    Bytes data(size);
    random.fill(data);
    return data;
}

std::vector<std::size_t> cut_whole(const GearTable& table, ByteView data) {
    GearSplitter splitter(table);
    std::vector<std::size_t> lengths;
    while (!data.empty()) {
        lengths.push_back(splitter.next_cut(data, true));
        data = data.subspan(lengths.back());
    }
    return lengths;
}

// The rule as docs/format.md says it, byte by byte, with the hash restarted at each cut.
std::vector<std::size_t> cut_by_the_book(const GearTable& table, ByteView data) {
    std::vector<std::size_t> lengths;
    std::uint64_t hash = 0;
    std::size_t length = 0;
    for (const Byte byte : data) {
        hash = (hash << 1) + table[byte];
        ++length;
        const unsigned bits = length < 256 * kib ? 20 : 16;
        if ((length >= 64 * kib && hash >> (64 - bits) == 0) || length == mib) {
            lengths.push_back(length);
            hash = 0;
            length = 0;
        }
    }
    if (length > 0) lengths.push_back(length);
    return lengths;
}

TEST(GearTable, follows_from_the_key) {
    const GearTable table = gear_table(test_key());
    EXPECT_EQ(table, gear_table(test_key()));
    const GearTable other = gear_table(test_key(2));
    for (std::size_t i = 0; i < table.size(); ++i) EXPECT_NE(table[i], other[i]) << i;
    const auto start = keyed_hash<8>(test_key(), as_bytes("holdfast gear table 1"));
    EXPECT_EQ(table[0], ByteReader(start.bytes, "test").u64());
    EXPECT_EQ(std::set<std::uint64_t>(table.begin(), table.end()).size(), table.size());
}

// What every later version must do too: other cuts end deduplication with what is stored.
TEST(GearSplitter, known_answer) {
    EXPECT_EQ(cut_whole(gear_table(test_key()), random_bytes(42, 3 * mib)),
              (std::vector<std::size_t>{335793, 291718, 283753, 244713, 286234, 266683, 411106, 273070,
                                        273320, 340887, 138451}));
}

TEST(GearSplitter, cuts_where_the_rule_says) {
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
        const GearTable table = gear_table(random_bytes(100 + seed, 32));
        // Few different bytes make other distances between cuts than random ones do.
        Bytes data = random_bytes(seed, 6 * mib + seed * 7919);
        if (seed % 2 == 1) {
            for (Byte& byte : data) byte &= 3;
        }
        ASSERT_EQ(cut_whole(table, data), cut_by_the_book(table, data)) << "seed " << seed;
    }
}

// A table full of small values makes every length a cut, one without makes none.
TEST(GearSplitter, shortest_and_longest_hold) {
    GearTable table{};
    const Bytes data = random_bytes(1, 3 * mib);
    for (const std::size_t length : cut_whole(table, data)) EXPECT_EQ(length, 64 * kib);
    table.fill(std::uint64_t{1} << 63);
    for (const std::size_t length : cut_whole(table, data)) EXPECT_EQ(length, mib);
}

TEST(GearSplitter, lengths_lie_within_their_limits) {
    const std::vector<std::size_t> lengths = cut_whole(gear_table(test_key()), random_bytes(3, 64 * mib));
    for (std::size_t i = 0; i + 1 < lengths.size(); ++i) {
        EXPECT_GE(lengths[i], 64 * kib);
        EXPECT_LE(lengths[i], mib);
    }
    // The mean follows from the rule: about 290 KiB.
    EXPECT_GT(lengths.size(), 180u);
    EXPECT_LT(lengths.size(), 280u);
}

TEST(GearSplitter, cuts_do_not_depend_on_buffering) {
    const GearTable table = gear_table(test_key());
    const Bytes data = random_bytes(9, 5 * mib + 12345);
    const std::vector<std::size_t> expected = cut_whole(table, data);
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        SeededRandom random(seed);
        const std::size_t largest_read = seed < 10 ? 100 * kib : 3 * mib;
        GearSplitter splitter(table);
        std::vector<std::size_t> lengths;
        std::size_t start = 0;
        std::size_t end = 0;
        while (start < data.size()) {
            const std::size_t length =
                splitter.next_cut(ByteView(data).subspan(start, end - start), end == data.size());
            if (length > 0) {
                lengths.push_back(length);
                start += length;
            } else {
                ASSERT_LT(end, data.size()) << "at the end there is nothing to wait for";
                ASSERT_LT(end - start, mib) << "a whole longest chunk is enough";
                end = std::min(data.size(), end + 1 + random.below(largest_read));
            }
        }
        ASSERT_EQ(lengths, expected) << "seed " << seed;
    }
}

TEST(GearSplitter, an_insertion_changes_only_what_is_around_it) {
    const GearTable table = gear_table(test_key());
    const auto ids_of = [&](ByteView data) {
        std::set<FixedBytes<16>> ids;
        for (const std::size_t length : cut_whole(table, data)) {
            ids.insert(keyed_hash<16>(test_key(), data.first(length)));
            data = data.subspan(length);
        }
        return ids;
    };
    const Bytes before = random_bytes(5, 32 * mib);
    const std::set<FixedBytes<16>> old_ids = ids_of(before);
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
        SeededRandom random(seed);
        Bytes after = before;
        const Bytes inserted = random_bytes(1000 + seed, 1 + random.below(1000));
        after.insert(after.begin() + static_cast<std::ptrdiff_t>(random.below(after.size())),
                     inserted.begin(), inserted.end());
        std::size_t fresh = 0;
        for (const auto& id : ids_of(after)) fresh += old_ids.contains(id) ? 0U : 1U;
        EXPECT_GE(fresh, 1u);
        EXPECT_LE(fresh, 12u) << "of " << old_ids.size() << ", seed " << seed;
    }
}

TEST(GearSplitter, nothing_at_the_end_is_no_chunk) {
    GearSplitter splitter(gear_table(test_key()));
    EXPECT_EQ(splitter.next_cut({}, true), 0u);
    EXPECT_EQ(splitter.next_cut({}, false), 0u);
    const Bytes one(1);
    EXPECT_EQ(splitter.next_cut(one, false), 0u);
    EXPECT_EQ(splitter.next_cut(one, true), 1u);
}

TEST(GearSplitter, restart_forgets_a_chunk_that_was_begun) {
    const GearTable table = gear_table(test_key());
    const Bytes first = random_bytes(11, 900 * kib);
    const Bytes second = random_bytes(12, 4 * mib);
    GearSplitter splitter(table);
    // Enough zeros have no cut, so the splitter remembers how far it has looked.
    ASSERT_EQ(splitter.next_cut(Bytes(900 * kib), false), 0u);
    splitter.restart();
    EXPECT_EQ(splitter.next_cut(second, true), cut_whole(table, second).front());
}

} // namespace
} // namespace holdfast
