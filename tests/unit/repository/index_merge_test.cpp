#include "base/error.h"
#include "repository/index/segment_merge.h"
#include "unit/repository/index_support.h"

#include <set>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

struct Merged {
    std::vector<std::shared_ptr<SegmentReader>> outputs;
    SegmentMergeResult result;
};

Merged merge(const std::vector<std::shared_ptr<SegmentReader>>& inputs,
             const std::function<bool(const IndexEntry&)>& keep, SegmentMergeOptions options) {
    Merged merged;
    std::string name;
    options.writer.temporary_directory = testing::TempDir();
    merged.result = merge_segments(
        inputs, keep,
        [&] {
            name = "index/out-" + std::to_string(merged.outputs.size());
            return identity_of(name);
        },
        [&](SegmentBody body) {
            merged.outputs.push_back(
                std::make_shared<SegmentReader>(source_of(body.joined()), identity_of(name)));
        },
        options);
    return merged;
}

// Any inputs, ids that repeat across and within them, any predicate: the outputs are what a sorted set makes
// of them.
TEST(SegmentMerge, equals_a_model) {
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        SeededRandom random(seed);
        std::vector<BlobId> pool(1 + random.below(300));
        for (BlobId& id : pool) id = random.id<24>();
        std::vector<std::shared_ptr<SegmentReader>> inputs;
        std::set<IndexEntry> model;
        std::uint64_t read = 0;
        const auto keep = [&](const IndexEntry& entry) { return entry.location.pack.seq % 5 != seed % 7; };
        for (std::uint64_t i = 0; i < 1 + random.below(8); ++i) {
            std::vector<IndexEntry> entries;
            for (std::uint64_t k = 0; k < random.below(400); ++k) {
                BlobLocation location = random_location(random);
                location.offset = static_cast<std::uint32_t>(random.below(3));
                entries.push_back({.id = pool[random.below(pool.size())], .location = location});
                // Sometimes the very same entry as in an earlier input.
                if (!model.empty() && random.below(4) == 0) entries.push_back(*model.begin());
            }
            for (const IndexEntry& entry : entries) {
                if (keep(entry)) model.insert(entry);
            }
            inputs.push_back(reader_of("index/in-" + std::to_string(i), entries));
            read += inputs.back()->entries();
        }
        const std::uint64_t limit = 1 + random.below(500);
        const Merged merged = merge(inputs, keep, {.entries_per_segment = limit, .read_ahead_bytes = 1});

        std::vector<IndexEntry> all;
        for (const auto& output : merged.outputs) {
            const std::vector<IndexEntry> entries = all_of(*output);
            ASSERT_FALSE(entries.empty());
            // An id stands in one output only, so one may grow beyond the limit by its locations.
            ASSERT_TRUE(all.empty() || all.back().id < entries.front().id);
            all.insert(all.end(), entries.begin(), entries.end());
        }
        std::sort(all.begin(), all.end());
        ASSERT_EQ(all, std::vector<IndexEntry>(model.begin(), model.end())) << "seed " << seed;
        EXPECT_EQ(merged.result.read, read);
        EXPECT_EQ(merged.result.written, model.size());
        EXPECT_EQ(merged.result.read, merged.result.written + merged.result.dropped + merged.result.repeated);
        EXPECT_EQ(merged.result.segments, merged.outputs.size());
        for (const IndexEntry& entry : model) {
            std::size_t holders = 0;
            for (const auto& output : merged.outputs) holders += find(*output, entry.id).empty() ? 0U : 1U;
            ASSERT_EQ(holders, 1u);
        }
    }
}

TEST(SegmentMerge, memory_stays_bounded) {
    SeededRandom random(1);
    std::vector<std::shared_ptr<SegmentReader>> inputs;
    for (int i = 0; i < 20; ++i) {
        inputs.push_back(reader_of("index/in-" + std::to_string(i), random_entries(random, 20'000)));
    }
    SegmentMergeOptions options{.entries_per_segment = 100'000, .read_ahead_bytes = 200'000};
    options.writer.memory_limit_bytes = 100'000;
    const Merged merged = merge(inputs, [](const IndexEntry&) { return true; }, options);
    EXPECT_EQ(merged.result.written, 400'000u);
    EXPECT_EQ(merged.outputs.size(), 4u);
    // 16 MB of records pass through.
    EXPECT_LT(merged.result.largest_memory_bytes, 700'000u);
}

TEST(SegmentMerge, a_flood_of_locations_for_one_id_is_cut) {
    SeededRandom random(2);
    const BlobId id = random.id<24>();
    std::vector<IndexEntry> entries;
    for (int i = 0; i < 1000; ++i) entries.push_back({.id = id, .location = random_location(random)});
    const Merged merged = merge({reader_of("index/in", entries)}, [](const IndexEntry&) { return true; },
                                {.most_locations = 64});
    EXPECT_EQ(merged.result.written, 64u);
    EXPECT_EQ(merged.result.repeated, merged.result.read - 64);
}

TEST(SegmentMerge, when_all_is_dropped_there_is_no_output) {
    SeededRandom random(3);
    const Merged merged = merge({reader_of("index/in", random_entries(random, 100))},
                                [](const IndexEntry&) { return false; }, {});
    EXPECT_TRUE(merged.outputs.empty());
    EXPECT_EQ(merged.result.dropped, 100u);
    EXPECT_TRUE(merge({}, [](const IndexEntry&) { return true; }, {}).outputs.empty());
}

TEST(SegmentMerge, a_damaged_input_is_an_error) {
    SeededRandom random(4);
    Bytes body = encode("index/in", random_entries(random, 1000));
    body[body.size() - 10'000] ^= 1;
    const auto reader = std::make_shared<SegmentReader>(source_of(body), identity_of("index/in"));
    EXPECT_THROW(merge({reader}, [](const IndexEntry&) { return true; }, {}), Error);
}

TEST(SegmentMerge, can_be_stopped) {
    SeededRandom random(5);
    const auto reader = reader_of("index/in", random_entries(random, 100'000));
    std::stop_source stop;
    stop.request_stop();
    try {
        merge_segments(
            {reader}, [](const IndexEntry&) { return true; }, [] { return identity_of("index/out"); },
            [](const SegmentBody&) {}, {}, stop.get_token());
        FAIL() << "no error";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::cancelled);
    }
}

TEST(ChooseSegmentsToMerge, waits_for_enough_of_one_size) {
    using Positions = std::vector<std::size_t>;
    EXPECT_EQ(choose_segments_to_merge({}), Positions{});
    EXPECT_EQ(choose_segments_to_merge({10, 10, 10}, 4), Positions{});
    EXPECT_EQ(choose_segments_to_merge({10, 5'000'000, 11, 12, 13, 1'000'000}, 4), (Positions{0, 2, 3, 4}));
    EXPECT_EQ(choose_segments_to_merge(std::vector<std::uint64_t>(20, 4'000'000), 4), Positions{});
}

// However many backups there are, the segments stay few and each entry is rewritten only a few times.
TEST(ChooseSegmentsToMerge, a_thousand_backups_leave_few_segments) {
    std::vector<std::uint64_t> sizes;
    std::uint64_t rewritten = 0;
    for (int backup = 0; backup < 1000; ++backup) {
        sizes.push_back(1000);
        for (auto chosen = choose_segments_to_merge(sizes); !chosen.empty();
             chosen = choose_segments_to_merge(sizes)) {
            std::uint64_t sum = 0;
            for (auto at = chosen.rbegin(); at != chosen.rend(); ++at) {
                sum += sizes[*at];
                sizes.erase(sizes.begin() + static_cast<std::ptrdiff_t>(*at));
            }
            sizes.push_back(sum);
            rewritten += sum;
        }
        ASSERT_LT(sizes.size(), 40u);
    }
    EXPECT_LE(rewritten, 4'000'000u);
}

} // namespace
} // namespace holdfast
