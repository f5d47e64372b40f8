// Snapshots in a store that can lock objects.

#include "repository/protocol/collector.h"
#include "repository/protocol/reachability.h"
#include "repository/snapshot_lock.h"
#include "support/content_repository.h"
#include "support/error_matchers.h"
#include "support/sparse_content.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using std::chrono::days;
using test::ContentRepository;
using test::SparseContent;
using test::SparseSource;

class SnapshotLockTest : public testing::Test {
  protected:
    static SparseContent random_bytes(std::uint64_t seed, std::uint64_t length) {
        Bytes bytes(length);
        SeededRandom(seed).fill(bytes);
        return SparseContent::of(std::move(bytes));
    }
    Snapshot back_up(const std::vector<SparseContent>& contents, std::optional<LockSettings> lock) {
        BackupRunSettings settings = ContentRepository::run_settings();
        settings.lock = lock;
        settings.pipeline.pack_bytes = 50'000;
        const std::unique_ptr<BackupRun> run = files_.begin(settings);
        std::vector<TreeEntry> entries;
        for (const SparseContent& content : contents) {
            SparseSource source(content);
            entries.push_back(
                ContentRepository::entry_of(std::string(1, static_cast<char>('a' + entries.size())),
                                            run->files().write(source, nullptr, {})));
        }
        const BackupRunReport report =
            run->commit(ContentRepository::root_of(*run, entries), {}, SnapshotState::complete);
        EXPECT_EQ(report.lock.has_value(), lock.has_value());
        if (report.lock) {
            EXPECT_GE(report.lock->until, files_.clock.now() + lock->keep);
        }
        return report.snapshot;
    }
    std::set<PackId> packs_of(const Snapshot& snapshot) {
        ReachabilityScanner scanner(files_.repository->nodes());
        scanner.add_tree(snapshot.root);
        std::set<PackId> packs;
        for (const auto& [pack, frames] : scanner.frames().packs()) packs.insert(pack);
        return packs;
    }
    Timestamp locked_until(const std::string& name) {
        const std::optional<Retention> found = files_.memory->retention(name, {});
        return found ? found->until : Timestamp::min();
    }
    std::vector<std::string> names(std::string_view prefix) {
        std::vector<std::string> found;
        for (const ObjectInfo& info : files_.memory->list_all(std::string(prefix)))
            found.push_back(info.name);
        return found;
    }

    ContentRepository files_;
};

TEST_F(SnapshotLockTest, LocksAllThatARestoreNeeds) {
    const SparseContent old_file = random_bytes(1, 200'000);
    back_up({old_file}, {});
    for (const std::string& name : names(packs_prefix)) EXPECT_EQ(locked_until(name), Timestamp::min());

    const LockSettings month{.keep = days(30)};
    const Snapshot snapshot = back_up({old_file, random_bytes(2, 200'000)}, month);
    const Timestamp wanted = files_.clock.now() + month.keep;
    const std::set<PackId> packs = packs_of(snapshot);
    EXPECT_EQ(packs.size(), 3U) << "old data, new data, new nodes";
    for (const PackId& pack : packs) EXPECT_GE(locked_until(pack.name()), wanted) << pack.name();
    EXPECT_GE(locked_until(commit_name(snapshot.id)), wanted);
    EXPECT_GE(locked_until(std::string(config_name)), wanted);
    for (const std::string& name : names(slots_prefix)) EXPECT_GE(locked_until(name), wanted);
    for (const std::string& name : names(intents_prefix)) EXPECT_EQ(locked_until(name), Timestamp::min());
}

TEST_F(SnapshotLockTest, LaterSnapshotsMoveTheEndAndNeverBack) {
    const SparseContent file = random_bytes(1, 100'000);
    const Snapshot first = back_up({file}, LockSettings{.keep = days(30)});
    const std::string pack = packs_of(first).begin()->name();
    const Timestamp before = locked_until(pack);
    files_.clock.advance(days(10));
    back_up({file}, LockSettings{.keep = days(30)});
    const Timestamp extended = locked_until(pack);
    EXPECT_EQ(extended, before + days(10));
    back_up({file}, LockSettings{.keep = days(1)});
    EXPECT_EQ(locked_until(pack), extended);
}

TEST_F(SnapshotLockTest, FollowsFramesThatACollectorMoved) {
    // In a frame of its own, because it compresses.
    const SparseContent file = SparseContent::of(Bytes(30'000, 7));
    const Snapshot with_more = back_up({file, random_bytes(2, 10'000)}, {});
    back_up({file}, {});
    forget_snapshot(files_.repository->context(), with_more.id, false);
    files_.clock.advance(days(2));
    CollectorSettings settings;
    settings.patience = std::chrono::minutes(1);
    settings.beat_interval = Duration::zero();
    settings.tolerated_dead_part = 0.01;
    settings.temporary_directory = files_.scratch.path().string();
    Progress progress;
    ASSERT_GT(collect_garbage(files_.repository->context(), settings, progress).rewritten_packs, 0U);
    files_.reopen();

    const LockSettings month{.keep = days(30)};
    const Snapshot snapshot = back_up({file}, month);
    const Timestamp wanted = files_.clock.now() + month.keep;
    ReachabilityScanner scanner(files_.repository->nodes());
    scanner.add_tree(snapshot.root);
    std::size_t moved = 0;
    for (const auto& [pack, frames] : scanner.frames().packs()) {
        for (std::uint32_t number = 0; number < frames.size(); ++number) {
            if (!frames[number]) continue;
            const std::string holder = files_.repository->packs().holder_of({pack, number})->name;
            EXPECT_GE(locked_until(holder), wanted);
            if (holder == pack.name()) continue;
            ++moved;
            EXPECT_GE(locked_until(moved_name(pack)), wanted);
        }
    }
    EXPECT_GT(moved, 0U);
}

TEST_F(SnapshotLockTest, AStoreThatCannotLockIsRefusedBeforeAnythingIsPut) {
    RepositoryConfig config = files_.repository->config();
    ASSERT_TRUE(config.capabilities.object_lock);
    MemoryStoreSettings plain;
    plain.capabilities.object_lock = false;
    auto store = std::make_shared<MemoryStore>(plain);
    InitOptions options;
    options.cost = cheap_cost;
    options.capabilities = store->capabilities();
    create_repository(*store, files_.clock, files_.random, ContentRepository::credential(), options);
    files_.memory = store;
    files_.store = store;
    files_.reopen();
    EXPECT_EQ(test::code_of([&] { back_up({random_bytes(1, 1000)}, LockSettings{.keep = days(1)}); }),
              to_string(ErrorCode::unsupported));
    EXPECT_TRUE(names(packs_prefix).empty());
    EXPECT_TRUE(names(intents_prefix).empty());
}

} // namespace
} // namespace holdfast
