#include "base/error.h"
#include "repository/index/index_set.h"
#include "unit/repository/index_support.h"

#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using Result = IndexSet::ClaimResult;

bool accept_all(const IndexHit&) { return true; }

std::vector<BlobLocation> locations(IndexSet& index, const BlobId& id) {
    std::vector<IndexHit> hits;
    index.lookup(id, hits);
    std::vector<BlobLocation> found;
    for (const IndexHit& hit : hits) found.push_back(hit.location);
    std::sort(found.begin(), found.end());
    return found;
}

bool add(IndexSet& index, const std::string& name, const std::vector<IndexEntry>& entries,
         SegmentAuthor author = SegmentAuthor::own) {
    return index.add_segment(source_of(encode(name, entries)), identity_of(name), author);
}

// Good until it is told to fail.
class FailingSource final : public ByteSource {
  public:
    explicit FailingSource(Bytes bytes) : source_(std::move(bytes), "a failing disk") {}
    std::uint64_t size() const override { return source_.size(); }
    void read(std::uint64_t offset, MutableByteView out) const override {
        if (failing) throw Error(ErrorCode::io, "a sector cannot be read");
        source_.read(offset, out);
    }
    std::atomic<bool> failing = false;

  private:
    MemorySource source_;
};

TEST(IndexSet, finds_the_entries_of_all_segments) {
    SeededRandom random(1);
    IndexSet index({}, silent_logger());
    std::map<BlobId, std::vector<BlobLocation>> model;
    std::vector<BlobId> pool(2000);
    for (BlobId& id : pool) id = random.id<24>();
    for (int i = 0; i < 9; ++i) {
        std::map<BlobId, BlobLocation> chosen;
        for (int k = 0; k < 700; ++k) chosen[pool[random.below(pool.size())]] = random_location(random);
        std::vector<IndexEntry> entries;
        for (const auto& [id, location] : chosen) {
            entries.push_back({.id = id, .location = location});
            model[id].push_back(location);
        }
        ASSERT_TRUE(add(index, "index/" + std::to_string(i), entries));
    }
    for (const BlobId& id : pool) {
        std::vector<BlobLocation> expected = model[id];
        std::sort(expected.begin(), expected.end());
        ASSERT_EQ(locations(index, id), expected);
    }
    EXPECT_TRUE(locations(index, random.id<24>()).empty());
}

TEST(IndexSet, own_entries_come_first_and_say_so) {
    SeededRandom random(2);
    const BlobId id = random.id<24>();
    const BlobLocation theirs = random_location(random);
    const BlobLocation ours = random_location(random);
    IndexSet index({}, silent_logger());
    add(index, "index/other", {{.id = id, .location = theirs}}, SegmentAuthor::other);
    add(index, "index/own", {{.id = id, .location = ours}});
    std::vector<IndexHit> hits;
    index.lookup(id, hits);
    ASSERT_EQ(hits.size(), 2u);
    EXPECT_EQ(hits[0].author, SegmentAuthor::own);
    EXPECT_EQ(hits[0].location, ours);
    EXPECT_EQ(hits[1].author, SegmentAuthor::other);
    EXPECT_EQ(hits[1].location, theirs);
}

TEST(IndexSet, a_claimed_blob_is_known_to_all_at_once) {
    SeededRandom random(3);
    IndexSet index({}, silent_logger());
    const BlobId id = random.id<24>();
    EXPECT_EQ(index.claim(id, accept_all).result, Result::ours);
    EXPECT_EQ(index.claim(id, accept_all).result, Result::in_flight);
    EXPECT_EQ(index.location(id), std::nullopt);
    const BlobLocation location = random_location(random);
    index.place(id, location);
    const IndexSet::Claim claim = index.claim(id, accept_all);
    EXPECT_EQ(claim.result, Result::known);
    EXPECT_EQ(claim.location, location);
    EXPECT_EQ(index.location(id), location);
    EXPECT_THROW(index.place(id, location), Error);
    EXPECT_THROW(index.place(random.id<24>(), location), Error);
}

TEST(IndexSet, an_abandoned_blob_is_claimed_anew) {
    SeededRandom random(4);
    IndexSet index({}, silent_logger());
    const BlobId id = random.id<24>();
    ASSERT_EQ(index.claim(id, accept_all).result, Result::ours);
    index.abandon(id);
    EXPECT_EQ(index.claim(id, accept_all).result, Result::ours);
}

TEST(IndexSet, what_the_caller_does_not_accept_is_stored_again) {
    SeededRandom random(5);
    IndexSet index({}, silent_logger());
    const std::vector<IndexEntry> entries = random_entries(random, 10);
    add(index, "index/a", entries);
    const IndexSet::Claim known = index.claim(entries[0].id, accept_all);
    EXPECT_EQ(known.result, Result::known);
    EXPECT_EQ(known.location, entries[0].location);
    const auto condemned = [&](const IndexHit& hit) { return hit.location != entries[1].location; };
    EXPECT_EQ(index.claim(entries[1].id, condemned).result, Result::ours);
}

TEST(IndexSet, waits_for_a_blob_in_flight) {
    SeededRandom random(6);
    IndexSet index({}, silent_logger());
    const BlobId placed = random.id<24>();
    const BlobId abandoned = random.id<24>();
    const BlobId left = random.id<24>();
    for (const BlobId& id : {placed, abandoned, left})
        ASSERT_EQ(index.claim(id, accept_all).result, Result::ours);
    const BlobLocation location = random_location(random);
    {
        std::jthread first([&] { EXPECT_EQ(index.wait_until_placed(placed, {}), location); });
        std::jthread second([&] { EXPECT_EQ(index.wait_until_placed(abandoned, {}), std::nullopt); });
        std::jthread third(
            [&](std::stop_token stop) { EXPECT_EQ(index.wait_until_placed(left, stop), std::nullopt); });
        index.place(placed, location);
        index.abandon(abandoned);
        third.request_stop();
    }
    EXPECT_EQ(index.wait_until_placed(placed, {}), location);
}

TEST(IndexSet, only_blobs_of_stored_packs_go_into_segments) {
    SeededRandom random(7);
    IndexSet index({.spill_entries = 4}, silent_logger());
    std::vector<IndexEntry> entries = random_entries(random, 9);
    for (std::size_t i = 0; i < entries.size(); ++i) {
        entries[i].location.pack = pack_of(static_cast<std::uint32_t>(i % 3));
        ASSERT_EQ(index.claim(entries[i].id, accept_all).result, Result::ours);
        index.place(entries[i].id, entries[i].location);
    }
    const BlobId in_flight = random.id<24>();
    ASSERT_EQ(index.claim(in_flight, accept_all).result, Result::ours);
    EXPECT_TRUE(index.spillable().empty());
    index.pack_stored(pack_of(1));
    index.pack_stored(pack_of(99));
    EXPECT_FALSE(index.spill_due());
    std::vector<IndexEntry> ready = index.spillable();
    std::sort(ready.begin(), ready.end());
    std::vector<IndexEntry> expected{entries[1], entries[4], entries[7]};
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(ready, expected);
    index.pack_stored(pack_of(2));
    EXPECT_TRUE(index.spill_due());
    EXPECT_EQ(index.spillable().size(), 6u);
}

TEST(IndexSet, spilled_blobs_stay_findable_and_leave_memory) {
    SeededRandom random(8);
    constexpr std::size_t limit = 5000;
    IndexSet index({.spill_entries = limit}, silent_logger());
    std::map<BlobId, BlobLocation> model;
    std::size_t most_memory = 0;
    std::uint32_t spills = 0;
    for (std::uint32_t pack = 0; pack < 400; ++pack) {
        for (int i = 0; i < 100; ++i) {
            const BlobId id = random.id<24>();
            BlobLocation location = random_location(random);
            location.pack = pack_of(pack);
            ASSERT_EQ(index.claim(id, accept_all).result, Result::ours);
            index.place(id, location);
            model[id] = location;
        }
        index.pack_stored(pack_of(pack));
        if (!index.spill_due()) continue;
        std::vector<IndexEntry> entries = index.spillable();
        const std::vector<IndexEntry> taken = entries;
        const std::string name = "index/spill-" + std::to_string(spills++);
        const auto body = source_of(encode_segment(identity_of(name), entries).joined());
        ASSERT_EQ(index.claim(taken[0].id, accept_all).result, Result::known) << "while it is being put";
        ASSERT_TRUE(index.spilled(taken, body, identity_of(name)));
        std::size_t segments = 0;
        for (const auto& segment : index.segments()) segments += segment->memory_bytes();
        most_memory = std::max(most_memory, index.memory_bytes() - segments);
    }
    EXPECT_EQ(spills, 8u);
    for (const auto& [id, location] : model) {
        const IndexSet::Claim claim = index.claim(id, accept_all);
        ASSERT_EQ(claim.result, Result::known);
        ASSERT_EQ(claim.location, location);
    }
    // 5,000 slots of 40 bytes, at most twice as many while the table grows, and the packs.
    EXPECT_LT(most_memory, 3 * limit * 40);
}

TEST(IndexSet, a_spill_that_cannot_be_read_back_keeps_the_blobs) {
    SeededRandom random(9);
    IndexSet index({.spill_entries = 1}, silent_logger());
    const BlobId id = random.id<24>();
    const BlobLocation location = random_location(random);
    ASSERT_EQ(index.claim(id, accept_all).result, Result::ours);
    index.place(id, location);
    index.pack_stored(location.pack);
    const std::vector<IndexEntry> entries = index.spillable();
    Bytes body = encode("index/a", entries);
    body[50] ^= 1;
    EXPECT_FALSE(index.spilled(entries, source_of(body), identity_of("index/a")));
    EXPECT_EQ(index.location(id), location);
    EXPECT_EQ(index.failed_segments(), std::vector<std::string>{"index/a"});
    EXPECT_TRUE(index.spilled(entries, source_of(encode("index/b", entries)), identity_of("index/b")));
    EXPECT_EQ(index.location(id), std::nullopt);
    EXPECT_EQ(index.wait_until_placed(id, {}), location) << "from the segment";
}

TEST(IndexSet, a_segment_that_fails_is_left_out_and_named) {
    SeededRandom random(10);
    IndexSet index({}, silent_logger());
    const std::vector<IndexEntry> good = random_entries(random, 500);
    const std::vector<IndexEntry> bad = random_entries(random, 500);
    add(index, "index/good", good);
    const auto disk = std::make_shared<FailingSource>(encode("index/bad", bad));
    ASSERT_TRUE(index.add_segment(disk, identity_of("index/bad"), SegmentAuthor::own));
    EXPECT_EQ(locations(index, bad[0].id).size(), 1u);
    disk->failing = true;
    EXPECT_EQ(index.claim(bad[400].id, accept_all).result, Result::ours);
    EXPECT_EQ(index.failed_segments(), std::vector<std::string>{"index/bad"});
    EXPECT_EQ(index.segments().size(), 1u);
    EXPECT_EQ(locations(index, good[0].id), std::vector{good[0].location});
}

TEST(IndexSet, segments_can_be_replaced_by_their_merge) {
    SeededRandom random(11);
    IndexSet index({}, silent_logger());
    std::vector<IndexEntry> all = random_entries(random, 100);
    add(index, "index/a", {all.begin(), all.begin() + 50});
    add(index, "index/b", {all.begin() + 50, all.end()});
    add(index, "index/c", all);
    index.remove_segment("index/a");
    index.remove_segment("index/b");
    index.remove_segment("index/never");
    EXPECT_EQ(index.segments().size(), 1u);
    for (const IndexEntry& entry : all) EXPECT_EQ(locations(index, entry.id), std::vector{entry.location});
}

TEST(IndexSet, filters_stay_within_their_limit) {
    SeededRandom random(12);
    const std::size_t one = BloomFilter::bytes_for(2000);
    IndexSet index({.filter_bytes = 3 * one + one / 2}, silent_logger());
    std::vector<IndexEntry> all;
    for (int i = 0; i < 6; ++i) {
        const std::vector<IndexEntry> entries = random_entries(random, 2000);
        ASSERT_TRUE(add(index, "index/" + std::to_string(i), entries));
        all.insert(all.end(), entries.begin(), entries.end());
    }
    EXPECT_EQ(index.filter_bytes(), 3 * one);
    EXPECT_EQ(index.segments().size(), 6u);
    for (const IndexEntry& entry : all) ASSERT_EQ(locations(index, entry.id), std::vector{entry.location});
}

// Every blob is stored once, however many workers meet it, while some of them spill segments beside the
// others.
TEST(IndexSet, many_workers_store_each_blob_once) {
    SeededRandom random(13);
    std::vector<BlobId> pool(3000);
    for (BlobId& id : pool) id = random.id<24>();
    constexpr std::size_t limit = 300;
    IndexSet index({.spill_entries = limit}, silent_logger());
    std::vector<std::atomic<int>> stored(pool.size());
    std::atomic<std::uint32_t> packs = 0;
    std::mutex spilling;
    std::size_t spills = 0;
    const auto spill = [&] {
        const std::scoped_lock lock(spilling);
        if (!index.spill_due()) return;
        const std::vector<IndexEntry> entries = index.spillable();
        const std::string name = "index/spill-" + std::to_string(spills++);
        EXPECT_TRUE(index.spilled(entries, source_of(encode(name, entries)), identity_of(name)));
    };
    const auto meet = [&](std::size_t number) {
        const IndexSet::Claim claim = index.claim(pool[number], accept_all);
        if (claim.result == Result::ours) {
            ++stored[number];
            const PackId pack = pack_of(packs++);
            index.place(pool[number], {.pack = pack, .frame = static_cast<std::uint32_t>(number)});
            index.pack_stored(pack);
            if (index.spill_due()) spill();
            return;
        }
        const std::optional<BlobLocation> location =
            claim.result == Result::known ? claim.location : index.wait_until_placed(pool[number], {});
        ASSERT_TRUE(location.has_value());
        EXPECT_EQ(location->frame, number);
    };
    {
        std::vector<std::jthread> workers;
        for (std::uint64_t worker = 0; worker < 4; ++worker) {
            workers.emplace_back([&, worker] {
                // Each meets every blob, at other times than its neighbours.
                SeededRandom own(worker);
                for (int i = 0; i < 2000; ++i) meet(own.below(pool.size()));
                for (std::size_t number = 0; number < pool.size(); ++number) meet(number);
            });
        }
    }
    for (std::size_t i = 0; i < pool.size(); ++i) ASSERT_EQ(stored[i], 1);
    // Whoever stored a blob spilled what was due, with at most one blob of each other worker.
    EXPECT_FALSE(index.spill_due());
    EXPECT_GE(spills, pool.size() / (limit + 4));
    EXPECT_LE(spills, pool.size() / limit);
    EXPECT_EQ(index.segments().size(), spills);
}

// Claims, places, spills and abandons in any order, beside a std::map.
TEST(BlobTable, equals_a_model) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        SeededRandom random(seed);
        BlobTable table;
        struct Known {
            std::optional<BlobLocation> location;
        };
        std::map<BlobId, Known> model;
        std::set<PackId> stored;
        std::vector<BlobId> pool(1 + random.below(4000));
        for (BlobId& id : pool) id = random.id<24>();
        std::uint32_t generation = 0;
        for (int step = 0; step < 20'000; ++step) {
            const BlobId& id = pool[random.below(pool.size())];
            const auto known = model.find(id);
            const std::uint64_t action = random.below(100);
            if (action < 50) {
                ASSERT_EQ(table.claim(id), known == model.end());
                model.try_emplace(id);
            } else if (action < 85 && known != model.end() && !known->second.location) {
                BlobLocation location = random_location(random);
                location.pack = pack_of(generation * 8 + static_cast<std::uint32_t>(random.below(8)));
                table.place(id, location);
                known->second.location = location;
            } else if (action < 90 && known != model.end() && !known->second.location) {
                table.abandon(id);
                model.erase(known);
            } else if (action == 99) {
                for (std::uint32_t i = 0; i < 8; ++i) {
                    table.pack_stored(pack_of(generation * 8 + i));
                    stored.insert(pack_of(generation * 8 + i));
                }
                ++generation;
                std::vector<IndexEntry> taken = table.stored();
                taken.resize(std::min<std::size_t>(taken.size(), random.below(3000)));
                table.remove(taken);
                for (const IndexEntry& entry : taken) {
                    ASSERT_TRUE(stored.contains(entry.location.pack));
                    ASSERT_EQ(model.at(entry.id).location, entry.location);
                    model.erase(entry.id);
                }
            }
            ASSERT_EQ(table.size(), model.size());
        }
        std::uint64_t in_stored_packs = 0;
        for (const BlobId& id : pool) {
            const BlobTable::Finding finding = table.find(id);
            const auto known = model.find(id);
            if (known == model.end()) {
                ASSERT_EQ(finding.state, BlobTable::State::unknown);
            } else if (!known->second.location) {
                ASSERT_EQ(finding.state, BlobTable::State::claimed);
            } else {
                ASSERT_EQ(finding.state, BlobTable::State::placed);
                ASSERT_EQ(finding.location, *known->second.location);
                in_stored_packs += stored.contains(finding.location.pack) ? 1U : 0U;
            }
        }
        ASSERT_EQ(table.stored_entries(), in_stored_packs);
    }
}

} // namespace
} // namespace holdfast
