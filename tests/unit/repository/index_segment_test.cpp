#include "base/error.h"
#include "crypto/hash.h"
#include "unit/repository/index_support.h"

#include <map>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

ErrorCode use_all(const Bytes& body, const SegmentIdentity& identity, const std::vector<BlobId>& ids) {
    try {
        SegmentReader reader(source_of(body), identity);
        std::vector<IndexEntry> found;
        for (const BlobId& id : ids) reader.lookup(id, found);
        all_of(reader);
    } catch (const Error& error) {
        return error.code();
    }
    return ErrorCode::internal;
}

TEST(Segment, finds_every_entry_and_nothing_else) {
    for (const std::size_t count : {0U, 1U, 2U, 49U, 50U, 51U, 99U, 100U, 101U, 1000U, 12345U}) {
        SeededRandom random(count);
        const std::vector<IndexEntry> entries = random_entries(random, count);
        const auto reader = reader_of("index/a", entries);
        EXPECT_EQ(reader->entries(), count);
        for (const IndexEntry& entry : entries) {
            ASSERT_TRUE(reader->may_contain(BloomProbe(entry.id)));
            ASSERT_EQ(find(*reader, entry.id), std::vector{entry});
        }
        for (int i = 0; i < 1000; ++i) {
            // Far from all, and next to one.
            BlobId id = random.id<24>();
            if (i % 2 == 1 && count > 0) {
                id = entries[random.below(count)].id;
                id.bytes[23] ^= 1;
            }
            ASSERT_TRUE(find(*reader, id).empty());
        }
        std::vector<IndexEntry> sorted = entries;
        std::sort(sorted.begin(), sorted.end());
        EXPECT_EQ(all_of(*reader), sorted);
    }
}

TEST(Segment, the_ends_of_the_range_are_found) {
    BlobId lowest;
    BlobId highest;
    highest.bytes.fill(0xff);
    SeededRandom random(1);
    std::vector<IndexEntry> entries = random_entries(random, 500);
    entries.push_back({.id = lowest, .location = random_location(random)});
    entries.push_back({.id = highest, .location = random_location(random)});
    const auto reader = reader_of("index/a", entries);
    EXPECT_EQ(find(*reader, lowest).size(), 1u);
    EXPECT_EQ(find(*reader, highest).size(), 1u);
    EXPECT_TRUE(reader->may_contain(BloomProbe(lowest)));
    EXPECT_TRUE(reader->may_contain(BloomProbe(highest)));
}

// Not what hashes are, but what a hostile writer may make them.
TEST(Segment, ids_that_crowd_together_are_found) {
    SeededRandom random(3);
    std::vector<IndexEntry> entries;
    for (std::uint32_t i = 0; i < 3000; ++i) {
        BlobId id;
        id.bytes.fill(0x7f);
        id.bytes[i % 3 == 0 ? 20 : 6] = static_cast<Byte>(i);
        id.bytes[21] = static_cast<Byte>(i >> 8);
        entries.push_back({.id = id, .location = random_location(random)});
    }
    const auto reader = reader_of("index/a", entries);
    for (const IndexEntry& entry : entries) {
        const std::vector<IndexEntry> found = find(*reader, entry.id);
        ASSERT_NE(std::find(found.begin(), found.end(), entry), found.end());
    }
}

TEST(Segment, equal_ids_are_all_found_even_across_blocks) {
    SeededRandom random(4);
    std::vector<IndexEntry> entries = random_entries(random, 300);
    const BlobId id = entries[150].id;
    std::vector<IndexEntry> expected{entries[150]};
    for (int i = 0; i < 170; ++i) {
        entries.push_back({.id = id, .location = random_location(random)});
        expected.push_back(entries.back());
    }
    std::sort(expected.begin(), expected.end());
    expected.erase(std::unique(expected.begin(), expected.end()), expected.end());
    const auto reader = reader_of("index/a", entries);
    EXPECT_EQ(find(*reader, id), expected);
}

TEST(Segment, an_entry_given_twice_is_kept_once) {
    SeededRandom random(5);
    std::vector<IndexEntry> entries = random_entries(random, 10);
    entries.push_back(entries[3]);
    EXPECT_EQ(reader_of("index/a", entries)->entries(), 10u);
}

TEST(Segment, works_without_its_filter) {
    SeededRandom random(6);
    const std::vector<IndexEntry> entries = random_entries(random, 1000);
    const auto reader = reader_of("index/a", entries, {.load_filter = false});
    EXPECT_FALSE(reader->has_filter());
    EXPECT_EQ(reader->filter_bytes(), 0u);
    for (const IndexEntry& entry : entries) {
        ASSERT_TRUE(reader->may_contain(BloomProbe(entry.id)));
        ASSERT_EQ(find(*reader, entry.id), std::vector{entry});
    }
}

TEST(Segment, knows_its_packs) {
    SeededRandom random(7);
    const std::vector<IndexEntry> entries = random_entries(random, 1000);
    const auto reader = reader_of("index/a", entries);
    std::vector<PackId> packs = reader->packs();
    std::sort(packs.begin(), packs.end());
    std::vector<PackId> expected;
    for (const IndexEntry& entry : entries) expected.push_back(entry.location.pack);
    std::sort(expected.begin(), expected.end());
    expected.erase(std::unique(expected.begin(), expected.end()), expected.end());
    EXPECT_EQ(packs, expected);
}

TEST(Segment, a_change_of_any_byte_is_found) {
    SeededRandom random(8);
    const std::vector<IndexEntry> entries = random_entries(random, 130);
    std::vector<BlobId> ids;
    for (const IndexEntry& entry : entries) ids.push_back(entry.id);
    const Bytes body = encode("index/a", entries);
    ASSERT_EQ(use_all(body, identity_of("index/a"), ids), ErrorCode::internal) << "the body itself is good";
    for (std::size_t i = 0; i < body.size(); ++i) {
        Bytes changed = body;
        changed[i] ^= static_cast<Byte>(1U << (i % 8));
        ASSERT_EQ(use_all(changed, identity_of("index/a"), ids), ErrorCode::corrupt) << "byte " << i;
    }
}

TEST(Segment, a_change_of_the_header_is_found_when_it_is_opened) {
    SeededRandom random(9);
    const Bytes body = encode("index/a", random_entries(random, 130));
    for (std::size_t i = 0; i < segment_header_bytes; ++i) {
        for (unsigned bit = 0; bit < 8; ++bit) {
            Bytes changed = body;
            changed[i] ^= static_cast<Byte>(1U << bit);
            EXPECT_THROW(SegmentReader(source_of(changed), identity_of("index/a")), Error) << i;
        }
    }
}

TEST(Segment, a_cut_or_longer_body_is_refused) {
    SeededRandom random(10);
    const Bytes body = encode("index/a", random_entries(random, 60));
    for (std::size_t size = 0; size < body.size(); ++size) {
        ASSERT_EQ(use_all(Bytes(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(size)),
                          identity_of("index/a"), {}),
                  ErrorCode::corrupt)
            << size;
    }
    Bytes longer = body;
    longer.push_back(0);
    EXPECT_EQ(use_all(longer, identity_of("index/a"), {}), ErrorCode::corrupt);
}

TEST(Segment, swapped_blocks_are_found) {
    SeededRandom random(11);
    Bytes body = encode("index/a", random_entries(random, 100));
    const std::size_t block = segment_block_entries * segment_record_bytes + aead_tag_bytes;
    ASSERT_GT(body.size(), 2 * block);
    std::swap_ranges(body.end() - static_cast<std::ptrdiff_t>(2 * block),
                     body.end() - static_cast<std::ptrdiff_t>(block),
                     body.end() - static_cast<std::ptrdiff_t>(block));
    EXPECT_EQ(use_all(body, identity_of("index/a"), {}), ErrorCode::corrupt);
}

TEST(Segment, is_bound_to_its_name_and_key) {
    SeededRandom random(12);
    const Bytes body = encode("index/a", random_entries(random, 60));
    EXPECT_EQ(use_all(body, {.key = identity_of("index/a").key.copy(), .name = "index/b"}, {}),
              ErrorCode::corrupt);
    EXPECT_EQ(use_all(body, {.key = identity_of("index/b").key.copy(), .name = "index/a"}, {}),
              ErrorCode::corrupt);
}

TEST(Segment, says_which_one_is_damaged_and_what_to_do) {
    Bytes body = encode("index/a", {});
    body[40] ^= 1;
    try {
        SegmentReader(source_of(body), identity_of("index/a"));
        FAIL() << "no error";
    } catch (const Error& error) {
        EXPECT_NE(error.message().find("index/a"), std::string::npos);
        EXPECT_NE(error.hint().find("repair index"), std::string::npos);
    }
}

// What every later version must write and read too.
TEST(Segment, known_answer) {
    std::vector<IndexEntry> entries;
    for (std::uint32_t i = 0; i < 120; ++i) {
        IndexEntry entry;
        for (std::size_t k = 0; k < 24; ++k) entry.id.bytes[k] = static_cast<Byte>(i * 37 + k * 11);
        entry.location = {.pack = pack_of(i % 3), .frame = i, .offset = i * 5, .length = i * 7};
        entries.push_back(entry);
    }
    const Bytes body = encode("index/0000000000000000/00000000000000000000000000000000-00000000", entries);
    EXPECT_EQ(body.size(), 32 + (3 * 24 + 16) + (3 * 8 + 16) + (5 * 32 + 16) + 120 * 40 + 3 * 16);
    EXPECT_EQ(derive_hash<16>("holdfast test", body).hex(), "c416ca46e070fca3bc7a077e1d85316e");
}

TEST(Segment, a_writer_takes_no_disorder) {
    SegmentWriter writer(identity_of("index/a"), {});
    IndexEntry entry;
    entry.id.bytes[0] = 2;
    writer.add(entry);
    entry.id.bytes[0] = 1;
    EXPECT_THROW(writer.add(entry), Error);
}

TEST(Segment, what_spills_to_a_file_is_the_same) {
    SeededRandom random(13);
    const std::vector<IndexEntry> entries = random_entries(random, 5000);
    std::vector<IndexEntry> again = entries;
    SegmentBody spilled =
        encode_segment(identity_of("index/a"), again,
                       {.temporary_directory = testing::TempDir(), .memory_limit_bytes = 10000});
    EXPECT_EQ(spilled.joined(), encode("index/a", entries));
    EXPECT_EQ(spilled.size(), encode("index/a", entries).size());
}

TEST(Segment, a_writers_memory_does_not_grow_with_its_records) {
    SeededRandom random(14);
    std::vector<IndexEntry> entries = random_entries(random, 200'000);
    std::sort(entries.begin(), entries.end());
    SegmentWriter writer(identity_of("index/a"),
                         {.temporary_directory = testing::TempDir(), .memory_limit_bytes = 100'000});
    std::size_t most = 0;
    for (const IndexEntry& entry : entries) {
        writer.add(entry);
        most = std::max(most, writer.memory_bytes());
    }
    // Eight bytes for each block, doubled while they grow, and the spool's limit, which a vector may double
    // too.
    EXPECT_LT(most, 200'000 / segment_block_entries * 8 * 2 + 2 * 110'000 + 50'000);
    EXPECT_EQ(writer.finish().entries(), 200'000u);
}

TEST(Segment, a_readers_memory_is_its_tables_and_few_blocks) {
    SeededRandom random(15);
    const std::vector<IndexEntry> entries = random_entries(random, 100'000);
    const auto reader = reader_of("index/a", entries, {.load_filter = true, .cached_blocks = 4});
    for (int i = 0; i < 5000; ++i) find(*reader, entries[random.below(entries.size())].id);
    // 125,000 bytes of filter, 16,000 of first keys, and the cache.
    EXPECT_LT(reader->memory_bytes(), 125'000u + 16'000 + 5 * 2100 + 3000);
}

TEST(Segment, a_block_just_used_is_not_read_again) {
    SeededRandom random(16);
    const std::vector<IndexEntry> entries = random_entries(random, 10'000);
    const auto reader = reader_of("index/a", entries, {.load_filter = true, .cached_blocks = 2});
    find(*reader, entries[0].id);
    const std::uint64_t once = reader->blocks_read();
    find(*reader, entries[0].id);
    EXPECT_EQ(reader->blocks_read(), once);
    // Two others push it out.
    find(*reader, entries[1].id);
    find(*reader, entries[2].id);
    find(*reader, entries[3].id);
    const std::uint64_t before = reader->blocks_read();
    find(*reader, entries[0].id);
    EXPECT_GT(reader->blocks_read(), before);
}

} // namespace
} // namespace holdfast
