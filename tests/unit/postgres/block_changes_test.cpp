#include "base/random.h"
#include "postgres/wal/block_changes.h"
#include "support/error_matchers.h"

#include <map>
#include <set>

#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

using namespace wal_event;
using test::code_of;

constexpr RelationFile table{1663, 5, 16384};
constexpr RelationFile other{1663, 5, 16390};
constexpr RelationFile elsewhere{1663, 6, 16384};

// What records do, without the records.
class Log {
  public:
    explicit Log(BlockChanges& changes) : changes_(changes), at_(changes.to()) {}

    void event(const Event& event) { add({}, event); }
    void change(const RelationFile& relation, std::initializer_list<BlockNumber> blocks,
                Fork fork = Fork::main) {
        std::vector<BlockReference> references;
        for (const BlockNumber block : blocks) {
            references.emplace_back();
            references.back().relation = relation;
            references.back().block = block;
            references.back().fork = fork;
        }
        add(references, {});
    }

  private:
    void add(const std::vector<BlockReference>& blocks, const Event& event) {
        WalRecord record;
        record.start = at_;
        record.end = at_ = at_ + 64;
        record.blocks = blocks;
        changes_.add(record, event);
    }
    BlockChanges& changes_;
    Lsn at_;
};

StorageTruncate truncation(const RelationFile& relation, BlockNumber blocks, bool main = true) {
    return {relation, blocks, main, true, true};
}

TEST(BlockChanges, KnowsTheBlocksOfRecords) {
    BlockChanges changes(Lsn{1000});
    Log log(changes);
    log.change(table, {3, 5});
    log.change(table, {9}, Fork::visibility_map);
    log.change(table, {0}, Fork::init);
    const auto main = changes.of_fork(table, Fork::main);
    EXPECT_FALSE(main.unchanged(3));
    EXPECT_TRUE(main.unchanged(4));
    EXPECT_FALSE(main.unchanged(5));
    EXPECT_TRUE(main.unchanged(9));
    EXPECT_FALSE(changes.of_fork(table, Fork::init).unchanged(0));
    EXPECT_TRUE(changes.of_fork(table, Fork::init).unchanged(1));
    // Nothing is known of the others.
    EXPECT_FALSE(changes.of_fork(table, Fork::visibility_map).unchanged(1));
    EXPECT_FALSE(changes.of_fork(table, Fork::free_space_map).unchanged(1));
    EXPECT_TRUE(changes.of_fork(other, Fork::main).unchanged(7));
    EXPECT_EQ(changes.from(), Lsn{1000});
    EXPECT_EQ(changes.to(), Lsn{1000 + 3 * 64});
    EXPECT_EQ(changes.forks(), 2U);
    EXPECT_EQ(changes.blocks(), 3U);
}

TEST(BlockChanges, TruncationLeavesTheUpperPartUnknown) {
    BlockChanges changes(Lsn{8});
    Log log(changes);
    log.change(table, {3, 50});
    log.event(truncation(table, 10));
    log.change(table, {12});
    log.event(truncation(table, 20));
    log.event(truncation(other, 4, false));
    const auto main = changes.of_fork(table, Fork::main);
    EXPECT_EQ(main.known_below, 10U);
    EXPECT_TRUE(main.unchanged(9));
    EXPECT_FALSE(main.unchanged(3));
    EXPECT_FALSE(main.unchanged(10));
    EXPECT_FALSE(main.unchanged(50));
    EXPECT_TRUE(changes.of_fork(other, Fork::main).unchanged(9));
}

TEST(BlockChanges, SaysWhatToRead) {
    using Ranges = std::vector<std::pair<std::uint64_t, std::uint64_t>>;
    BlockChanges changes(Lsn{8});
    Log log(changes);
    log.change(table, {3, 4, 50, 99});
    const auto to_read = [&](const RelationFile& relation, std::uint64_t before, std::uint64_t now) {
        Ranges ranges;
        changes.of_fork(relation, Fork::main)
            .for_each_to_read(before, now, [&](std::uint64_t first, std::uint64_t count) {
                ranges.emplace_back(first, count);
            });
        return ranges;
    };
    EXPECT_EQ(to_read(table, 100, 100), (Ranges{{3, 2}, {50, 1}, {99, 1}}));
    EXPECT_EQ(to_read(table, 100, 120), (Ranges{{3, 2}, {50, 1}, {99, 21}}));
    EXPECT_EQ(to_read(table, 100, 51), (Ranges{{3, 2}, {50, 1}}));
    EXPECT_EQ(to_read(table, 40, 60), (Ranges{{3, 2}, {40, 20}}));
    EXPECT_EQ(to_read(table, 0, 60), (Ranges{{0, 60}}));
    EXPECT_EQ(to_read(table, 100, 4), (Ranges{{3, 1}}));
    EXPECT_EQ(to_read(table, 100, 0), Ranges{});
    EXPECT_EQ(to_read(other, 100, 100), Ranges{});
    log.event(truncation(table, 4));
    EXPECT_EQ(to_read(table, 100, 100), (Ranges{{3, 97}}));
    log.event(truncation(table, 0));
    EXPECT_EQ(to_read(table, 100, 100), (Ranges{{0, 100}}));
}

TEST(BlockChanges, FilesThatComeAndGoAreWhole) {
    BlockChanges changes(Lsn{8});
    Log log(changes);
    log.change(table, {3});
    TransactionEnd end;
    end.dropped = {table};
    log.event(end);
    EXPECT_EQ(changes.of_fork(table, Fork::main).known_below, 0U);
    EXPECT_EQ(changes.of_fork(table, Fork::init).known_below, 0U);
    EXPECT_TRUE(changes.of_relation(table).dropped);
    EXPECT_FALSE(changes.of_relation(table).created);
    // The number is used again.
    log.event(StorageCreate{table, Fork::main});
    log.event(StorageCreate{other, Fork::visibility_map});
    EXPECT_TRUE(changes.of_relation(table).created);
    EXPECT_FALSE(changes.of_relation(other).created);
    EXPECT_TRUE(changes.of_fork(other, Fork::main).unchanged(0));
}

TEST(BlockChanges, DirectoriesThatComeAndGoAreWhole) {
    const std::vector<std::pair<Event, bool BlockChanges::DirectoryEvents::*>> events = {
        {DatabaseCopy{5, 1663, 1, 1663}, &BlockChanges::DirectoryEvents::copied},
        {DatabaseCreate{5, 1663}, &BlockChanges::DirectoryEvents::created},
        {DatabaseDrop{5, {1663, 9}}, &BlockChanges::DirectoryEvents::dropped}};
    for (const auto& [event, flag] : events) {
        BlockChanges changes(Lsn{8});
        Log log(changes);
        log.change(table, {3});
        log.change(elsewhere, {3});
        log.event(event);
        log.change(other, {4});
        EXPECT_TRUE(changes.of_directory(1663, 5).*flag);
        EXPECT_TRUE(changes.of_directory(1663, 5).whole());
        EXPECT_EQ(changes.of_fork(table, Fork::main).known_below, 0U);
        EXPECT_EQ(changes.of_fork(other, Fork::main).known_below, 0U);
        EXPECT_TRUE(changes.of_fork(elsewhere, Fork::main).unchanged(4));
        EXPECT_EQ(changes.forks(), 1U) << "only the other database's";
    }
}

TEST(BlockChanges, KnowsWhatMakesItUseless) {
    const auto with = [](const Event& event) {
        BlockChanges changes(Lsn{8});
        Log log(changes);
        log.change(table, {1});
        log.event(event);
        return changes;
    };
    ParameterChange minimal;
    ParameterChange replica;
    replica.wal_level = WalLevel::replica;
    EXPECT_FALSE(with(minimal).usable());
    EXPECT_EQ(with(minimal).doubt(Doubt::minimal_wal), Lsn{8 + 64});
    EXPECT_TRUE(with(replica).usable());
    Checkpoint checkpoint;
    checkpoint.full_page_writes = true;
    EXPECT_TRUE(with(checkpoint).usable());
    checkpoint.wal_level = WalLevel::minimal;
    EXPECT_FALSE(with(checkpoint).usable());
    EXPECT_FALSE(with(CheckpointRedo{WalLevel::minimal}).usable());
    EXPECT_FALSE(with(UnknownFileChange{}).usable());
    EXPECT_FALSE(with(OverwriteContinuation{}).usable());
    EXPECT_TRUE(with(FullPageWritesChange{false}).usable());
    EXPECT_TRUE(with(FullPageWritesChange{false}).doubt(Doubt::full_page_writes_off));
    EXPECT_FALSE(with(FullPageWritesChange{true}).doubt(Doubt::full_page_writes_off));
}

TEST(BlockChanges, RecordsComeInOrderAndMapsFollowEachOther) {
    BlockChanges changes(Lsn{16384});
    WalRecord record;
    record.start = Lsn{16000};
    record.end = Lsn{16384};
    EXPECT_EQ(code_of([&] { changes.add(record, {}); }), "usage");
    EXPECT_EQ(code_of([&] { changes.extend_to(Lsn{16000}); }), "usage");
    // The start of a page is the same place as behind its header.
    changes.append(BlockChanges(Lsn{16384 + 24}));
    EXPECT_EQ(code_of([&] { changes.append(BlockChanges(Lsn{16384 + 64})); }), "usage");
    changes.extend_to(Lsn{20000});
    changes.append(BlockChanges(Lsn{20000}));
    EXPECT_EQ(changes.to(), Lsn{20000});
}

// The files of a cluster, changed at random; what a map says of them must hold however it came about.
class RandomLog {
  public:
    explicit RandomLog(std::uint64_t seed) : random_(seed) {}

    void step(Log& log) {
        const RelationFile relation{1663, static_cast<Oid>(5 + random_.below(3)),
                                    static_cast<Oid>(random_.below(6))};
        std::vector<std::uint64_t>& file = files_[relation];
        const std::uint64_t what = random_.below(100);
        if (what < 60 && !file.empty()) {
            const auto block = static_cast<BlockNumber>(random_.below(file.size()));
            file[block] = ++content_;
            log.change(relation, {block});
        } else if (what < 80) {
            // Grows; some of it without a record.
            file.resize(file.size() + random_.below(10));
            const auto block = static_cast<BlockNumber>(file.size());
            file.push_back(++content_);
            log.change(relation, {block});
        } else if (what < 90) {
            const auto length = static_cast<BlockNumber>(random_.below(file.size() + 1));
            file.resize(length);
            log.event(truncation(relation, length));
        } else if (what < 95) {
            TransactionEnd end;
            end.dropped = {relation};
            log.event(end);
            file.clear();
            log.event(StorageCreate{relation, Fork::main});
        } else if (what == 99) {
            log.event(DatabaseDrop{relation.database, {1663}});
            std::erase_if(files_, [&](const auto& item) { return item.first.database == relation.database; });
            log.event(DatabaseCopy{relation.database, 1663, 1, 1663});
            files_[relation].assign(5, ++content_);
        }
    }
    const std::map<RelationFile, std::vector<std::uint64_t>>& files() const { return files_; }

  private:
    SeededRandom random_;
    std::uint64_t content_ = 0;
    std::map<RelationFile, std::vector<std::uint64_t>> files_;
};

using Files = std::map<RelationFile, std::vector<std::uint64_t>>;

void expect_true_of(const BlockChanges& changes, const Files& before, const Files& after) {
    for (const auto& [relation, now] : after) {
        const auto then = before.find(relation);
        const auto fork = changes.of_fork(relation, Fork::main);
        for (std::size_t block = 0; block < now.size(); ++block) {
            if (!fork.unchanged(static_cast<BlockNumber>(block))) continue;
            // It says so of growth too, which its reader must know.
            if (then == before.end() || block >= then->second.size()) continue;
            ASSERT_EQ(now[block], then->second[block])
                << relation.database << "/" << relation.number << " " << block;
        }
    }
}

TEST(BlockChanges, HoldsOverAnyLogCutAnywhere) {
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
        // Both do the same.
        RandomLog log(seed);
        RandomLog twin(seed);
        SeededRandom cuts(seed);
        for (RandomLog* each : {&log, &twin}) {
            BlockChanges warm_up(Lsn{8});
            Log ignored(warm_up);
            for (int i = 0; i < 200; ++i) each->step(ignored);
        }
        const Files before = log.files();
        BlockChanges whole(Lsn{8});
        std::vector<BlockChanges> parts;
        BlockChanges part(Lsn{8});
        const std::uint64_t steps = cuts.below(400);
        Log to_whole(whole);
        for (std::uint64_t i = 0; i < steps; ++i) {
            log.step(to_whole);
            Log to_part(part);
            twin.step(to_part);
            if (cuts.below(20) == 0) {
                const Lsn to = part.to();
                parts.push_back(BlockChanges::decode(part.encode()));
                part = BlockChanges(to);
            }
        }
        parts.push_back(std::move(part));
        expect_true_of(whole, before, log.files());
        // From the left, and in pairs: always the same map.
        BlockChanges joined(Lsn{8});
        for (const BlockChanges& next : parts) joined.append(next);
        ASSERT_EQ(joined.encode(), whole.encode()) << seed;
        BlockChanges from_right = BlockChanges::decode(parts.back().encode());
        for (std::size_t i = parts.size() - 1; i-- != 0;) {
            BlockChanges left = BlockChanges::decode(parts[i].encode());
            left.append(from_right);
            from_right = std::move(left);
        }
        ASSERT_EQ(from_right.encode(), whole.encode()) << seed;
    }
}

TEST(BlockChanges, WithLittleMemoryItIsCoarserAndStillTrue) {
    SeededRandom random(1);
    constexpr std::size_t memory = 200'000;
    BlockChanges small(Lsn{8}, memory);
    BlockChanges large(Lsn{8});
    Log to_small(small);
    Log to_large(large);
    for (int i = 0; i < 60'000; ++i) {
        const RelationFile relation{1663, 5, static_cast<Oid>(random.below(3))};
        const auto block = static_cast<BlockNumber>(random.below(50'000'000));
        to_small.change(relation, {block});
        to_large.change(relation, {block});
        ASSERT_LE(small.memory_bytes(), memory + 100'000);
    }
    EXPECT_FALSE(small.of_directory(1663, 5).whole()) << "coarser blocks are enough";
    std::uint64_t more = 0;
    for (Oid number = 0; number < 3; ++number) {
        const auto exact = large.of_fork({1663, 5, number}, Fork::main);
        const auto coarse = small.of_fork({1663, 5, number}, Fork::main);
        for (BlockNumber block = 0; block < 50'000'000; block += 11) {
            if (!exact.unchanged(block)) {
                ASSERT_FALSE(coarse.unchanged(block));
            }
            more += coarse.unchanged(block) ? 0U : 1U;
        }
    }
    EXPECT_LT(more, 3U * 50'000'000 / 11) << "it still tells blocks apart";
    const Bytes bytes = small.encode();
    EXPECT_EQ(BlockChanges::decode(bytes).encode(), bytes);
    EXPECT_LE(BlockChanges::decode(large.encode(), memory).memory_bytes(), memory);
}

TEST(BlockChanges, WithTooManyRelationsItGivesUpDatabases) {
    BlockChanges changes(Lsn{8}, 100'000);
    Log log(changes);
    log.change(elsewhere, {7});
    for (Oid number = 1; number < 2000; ++number) log.change({1663, 5, number}, {number});
    EXPECT_TRUE(changes.of_directory(1663, 5).too_much);
    EXPECT_FALSE(changes.of_fork({1663, 5, 1}, Fork::main).unchanged(0));
    EXPECT_TRUE(changes.of_fork(elsewhere, Fork::main).unchanged(0));
    EXPECT_FALSE(changes.of_fork(elsewhere, Fork::main).unchanged(7));
    EXPECT_LE(changes.memory_bytes(), 100'000U);
    EXPECT_EQ(BlockChanges::decode(changes.encode()).encode(), changes.encode());
}

TEST(BlockChanges, UnitesBranches) {
    BlockChanges changes(Lsn{800});
    Log log(changes);
    log.change(table, {1});
    BlockChanges branch(Lsn{80'000});
    Log abandoned(branch);
    abandoned.change(table, {2});
    abandoned.event(truncation(other, 6));
    abandoned.event(TablespaceDrop{900});
    abandoned.event(RelationMapUpdate{6, 1663});
    const Lsn to = changes.to();
    changes.unite(branch);
    EXPECT_EQ(changes.to(), to);
    EXPECT_FALSE(changes.of_fork(table, Fork::main).unchanged(1));
    EXPECT_FALSE(changes.of_fork(table, Fork::main).unchanged(2));
    EXPECT_FALSE(changes.of_fork(other, Fork::main).unchanged(6));
    EXPECT_TRUE(changes.of_tablespace(900).dropped);
    EXPECT_TRUE(changes.of_directory(1663, 6).relation_map_updated);
    EXPECT_FALSE(changes.of_directory(1663, 6).whole());
}

TEST(BlockChanges, RefusesDamagedBytes) {
    BlockChanges changes(Lsn{800});
    Log log(changes);
    log.change(table, {1, 9, 10});
    log.event(truncation(table, 5));
    log.event(StorageCreate{other, Fork::init});
    log.event(DatabaseCopy{9, 1663, 1, 1663});
    log.event(OverwriteContinuation{});
    log.event(TablespaceCreate{77, ""});
    const Bytes good = changes.encode();
    EXPECT_EQ(BlockChanges::decode(good).encode(), good);
    for (std::size_t size = 0; size < good.size(); ++size)
        EXPECT_EQ(code_of([&] { BlockChanges::decode(ByteView(good).first(size)); }), "corrupt") << size;
    Bytes longer = good;
    longer.push_back(0);
    EXPECT_EQ(code_of([&] { BlockChanges::decode(longer); }), "corrupt");
    // What is taken is what would have been written.
    for (std::size_t at = 0; at < good.size(); ++at)
        for (int bit = 0; bit < 8; ++bit) {
            Bytes bad = good;
            bad[at] ^= static_cast<Byte>(1 << bit);
            try {
                EXPECT_EQ(BlockChanges::decode(bad).encode(), bad);
            } catch (const Error& error) {
                EXPECT_EQ(error.code(), ErrorCode::corrupt);
            }
        }
}

} // namespace
} // namespace holdfast::postgres
