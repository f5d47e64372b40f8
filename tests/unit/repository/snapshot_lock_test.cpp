// Snapshots in a store that can lock objects.

#include "repository/log/log_writer.h"
#include "repository/protocol/collector.h"
#include "repository/protocol/reachability.h"
#include "repository/snapshot_lock.h"
#include "support/content_repository.h"
#include "support/error_matchers.h"
#include "support/hook_store.h"
#include "support/sparse_content.h"
#include "support/tiny_backup.h"

#include <algorithm>
#include <atomic>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using std::chrono::days;
using test::ContentRepository;
using test::SparseContent;
using test::SparseSource;

// A collection is killed by an error that nothing retries.
struct Killed {};

class SnapshotLockTest : public testing::Test {
  protected:
    SnapshotLockTest()
        : files_(1, [this](std::shared_ptr<Store> inner) {
              return std::make_shared<test::HookStore>(std::move(inner), [this](const StoreCall& call) {
                  if (hook_) hook_(call);
              });
          }) {}
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
    CollectorReport collect() {
        CollectorSettings settings;
        settings.patience = std::chrono::minutes(1);
        settings.beat_interval = Duration::zero();
        settings.tolerated_dead_part = 0.01;
        settings.temporary_directory = files_.scratch.path().string();
        Progress progress;
        return collect_garbage(files_.repository->context(), settings, progress);
    }
    // Every frame lies in a locked pack, and so do the notes that lead there. Returns how many were moved.
    std::size_t expect_locked(const Snapshot& snapshot, Timestamp wanted) {
        files_.reopen();
        ReachabilityScanner scanner(files_.repository->nodes());
        scanner.add_tree(snapshot.root);
        std::size_t moved = 0;
        for (const auto& [pack, frames] : scanner.frames().packs()) {
            for (std::uint32_t number = 0; number < frames.size(); ++number) {
                if (!frames[number]) continue;
                const std::string holder = files_.repository->packs().holder_of({pack, number})->name;
                EXPECT_GE(locked_until(holder), wanted) << holder;
                if (holder == pack.name()) continue;
                ++moved;
                EXPECT_GE(locked_until(moved_name(pack)), wanted);
            }
        }
        return moved;
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

    std::function<void(const StoreCall&)> hook_;
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

class LogLockTest : public SnapshotLockTest {
  protected:
    std::string write(const LogRange& range) {
        const Bytes content(range.end - range.begin, 7);
        LogWriter log(files_.repository->context(), archive_, 1);
        const SealedSlice slice = log.seal({.range = range, .content = content}, compressor_);
        log.put(slice);
        return slice.id.name();
    }
    BackupRunReport back_up_with_log(std::uint64_t begin, std::uint64_t end) {
        BackupRunSettings settings = ContentRepository::run_settings();
        settings.lock = LockSettings{.keep = days(30)};
        const std::unique_ptr<BackupRun> run = files_.begin(settings);
        run->set_log({archive_, {1, begin, end}});
        return run->commit(ContentRepository::root_of(*run, {}), {}, SnapshotState::complete);
    }

    Compressor compressor_;
    const ArchiveId archive_ = archive_id(domain_id("default"), Bytes(32, 1), "orders", "1");
};

TEST_F(LogLockTest, LocksTheLogThatTheSnapshotNeeds) {
    const std::string history = write({1, 0, 0});
    const std::string before = write({1, 0, 100}), behind = write({1, 300, 400});
    const std::string first = write({1, 100, 200}), second = write({1, 200, 300});
    const std::string other = write({2, 100, 300});
    const BackupRunReport report = back_up_with_log(150, 250);
    EXPECT_EQ(report.lock->log_slices, 3U);
    for (const std::string& name : {history, first, second})
        EXPECT_GE(locked_until(name), report.lock->until) << name;
    for (const std::string& name : {before, behind, other})
        EXPECT_EQ(locked_until(name), Timestamp::min()) << name;
    // Neither a prune nor who has its key can take the log away.
    back_up_with_log(390, 400);
    forget_snapshot(files_.repository->context(), report.snapshot.id, false);
    collect();
    EXPECT_THAT(names(logs_prefix), testing::IsSupersetOf({history, first, second}));
    EXPECT_THAT(names(logs_prefix), testing::Not(testing::Contains(before)));
}

TEST_F(LogLockTest, WhatAPruneReplacesMeanwhileIsLockedInItsPlace) {
    const std::string piece = write({1, 100, 200});
    std::string whole;
    hook_ = [&](const StoreCall& call) {
        if (call.verb != StoreVerb::retain || call.name != piece || !whole.empty()) return;
        whole = write({1, 100, 300});
        files_.memory->remove(piece, {});
    };
    const BackupRunReport report = back_up_with_log(150, 180);
    EXPECT_GE(locked_until(whole), report.lock->until);
    EXPECT_EQ(report.lock->log_slices, 1U);
}

TEST_F(LogLockTest, WithoutAllOfItsLogThereIsNoLockedSnapshot) {
    write({1, 100, 200});
    test::expect_error(
        ErrorCode::corrupt, [&] { back_up_with_log(150, 250); }, "log that the snapshot needs");
    EXPECT_THAT(names(commits_prefix), testing::IsEmpty());
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
    ASSERT_GT(collect().rewritten_packs, 0U);
    files_.reopen();

    const LockSettings month{.keep = days(30)};
    const Snapshot snapshot = back_up({file}, month);
    EXPECT_GT(expect_locked(snapshot, files_.clock.now() + month.keep), 0U);
}

// A collection that did not have to wait for this run decides while it is under way, and carries that out
// between two steps of locking.
TEST_F(SnapshotLockTest, FollowsFramesThatMoveWhileTheyAreBeingLocked) {
    const SparseContent file = SparseContent::of(Bytes(30'000, 7));
    const Snapshot with_more = back_up({file, random_bytes(2, 10'000)}, {});
    back_up({file}, {});
    forget_snapshot(files_.repository->context(), with_more.id, false);
    files_.clock.advance(days(2));
    const LockSettings month{.keep = days(30)};
    std::unique_ptr<BackupRun> run;
    NodeRef root;
    std::optional<PackId> pack;
    bool decided = false;
    hook_ = [&](const StoreCall& call) {
        if (call.verb != StoreVerb::put) return;
        if (decided && call.name.starts_with(moved_prefix)) throw Killed{};
        if (decided || !call.name.starts_with(verdicts_prefix)) return;
        decided = true;
        BackupRunSettings settings = ContentRepository::run_settings();
        settings.lock = month;
        run = files_.begin(settings);
        SparseSource source(file);
        const TreeEntry entry = ContentRepository::entry_of("a", run->files().write(source, nullptr, {}));
        pack = std::get<Extents>(entry.content).front().frame.pack;
        root = ContentRepository::root_of(*run, {entry});
    };
    EXPECT_THROW(collect(), Killed);
    ASSERT_TRUE(pack);
    ASSERT_EQ(pack->run, with_more.id) << "the content was found where it lay";
    ASSERT_TRUE(files_.memory->head(pack->name(), {}));
    std::atomic<bool> carried_out = false; // locks are put by several threads
    hook_ = [&](const StoreCall& call) {
        if (call.verb != StoreVerb::retain || call.name != pack->name() || carried_out.exchange(true)) return;
        EXPECT_TRUE(collect().postponed) << "it carries out what was decided, and waits for this run";
        EXPECT_FALSE(files_.memory->head(pack->name(), {}));
    };
    const BackupRunReport report = run->commit(root, {}, SnapshotState::complete);
    hook_ = {};
    run.reset();
    EXPECT_FALSE(files_.memory->head(pack->name(), {}));
    EXPECT_GT(expect_locked(report.snapshot, files_.clock.now() + month.keep), 0U);
}

// Where versions are kept, no delete is refused: one of what is locked would hide it.
TEST_F(SnapshotLockTest, APruneLeavesWhatIsLockedUntilItsDay) {
    MemoryStoreSettings settings;
    settings.clock = &files_.clock;
    ASSERT_TRUE(settings.capabilities.versions && settings.capabilities.object_lock);
    files_.memory = std::make_shared<MemoryStore>(settings);
    files_.store = files_.memory;
    InitOptions options;
    options.cost = cheap_cost;
    options.capabilities = settings.capabilities;
    create_repository(*files_.store, files_.clock, files_.random, ContentRepository::credential(), options);
    files_.reopen();
    const SparseContent document = random_bytes(1, 20'000);
    const Snapshot locked = back_up({document}, LockSettings{.keep = days(30)});
    const std::set<PackId> packs = packs_of(locked);
    back_up({random_bytes(2, 20'000)}, {});
    forget_snapshot(files_.repository->context(), locked.id, false);
    files_.clock.advance(days(2));

    CollectorReport report = collect();
    EXPECT_EQ(report.deleted_packs, 0U);
    EXPECT_EQ(report.locked_packs, packs.size());
    EXPECT_GT(report.dead_bytes_kept, 20'000U);
    EXPECT_EQ(report.deleted_snapshots, 0U) << "its commit is locked, too";
    for (const PackId& pack : packs) EXPECT_TRUE(files_.memory->head(pack.name(), {})) << pack.name();
    // It is no secret to writers that it is there.
    const Snapshot again = back_up({document}, {});
    EXPECT_TRUE(packs_of(again).contains(*packs.begin()));
    forget_snapshot(files_.repository->context(), again.id, true);

    files_.clock.advance(days(40));
    report = collect();
    EXPECT_EQ(report.locked_packs, 0U);
    EXPECT_GE(report.deleted_packs, packs.size());
    for (const PackId& pack : packs) EXPECT_FALSE(files_.memory->head(pack.name(), {})) << pack.name();
    EXPECT_FALSE(files_.memory->head(commit_name(locked.id), {}));
}

// Such a key opens no pack that a collection made, and refers to what lies there all the same.
class WriteOnlyLockTest : public SnapshotLockTest {
  protected:
    WriteOnlyLockTest() {
        Unlocked admin = unlock(*files_.store, ContentRepository::credential());
        NewSlot slot;
        slot.label = "agent";
        slot.role = Role::write;
        slot.credential = &agent_;
        KeySlots(*files_.store, files_.clock, files_.random, admin).add(slot);
        options_.cache = std::make_shared<MapRunSecretCache>();
    }
    std::unique_ptr<BackupRun> begin_as_agent(std::optional<LockSettings> lock) {
        files_.repository = std::make_unique<Repository>(
            files_.store, unlock(*files_.store, agent_, options_),
            LocalDirectories{files_.scratch.file("agent"), files_.scratch.path().string()}, files_.clock,
            files_.random, silent_logger());
        BackupRunSettings settings = ContentRepository::run_settings();
        settings.lock = lock;
        return files_.begin(settings);
    }
    // What else was in this pack goes, so that it is rewritten.
    void forget_and_rewrite(const RunId& snapshot, const PackId& pack) {
        files_.reopen();
        forget_snapshot(files_.repository->context(), snapshot, false);
        files_.clock.advance(days(2));
        EXPECT_GT(collect().rewritten_packs, 0U);
        EXPECT_FALSE(files_.memory->head(pack.name(), {}));
    }

    const Credential agent_ = Credential::key_file(key_file_of(9));
    UnlockOptions options_;
    const LockSettings month_{.keep = days(30)};
};

TEST_F(WriteOnlyLockTest, WhatItCannotLookIntoIsLockedWhole) {
    const SparseContent file = SparseContent::of(Bytes(30'000, 7));
    TreeEntry entry;
    RunId with_more;
    {
        const std::unique_ptr<BackupRun> run = begin_as_agent({});
        SparseSource kept(file);
        entry = ContentRepository::entry_of("a", run->files().write(kept, nullptr, {}));
        const SparseContent more = random_bytes(2, 10'000);
        SparseSource dies(more);
        with_more =
            files_
                .commit(*run,
                        {entry, ContentRepository::entry_of("b", run->files().write(dies, nullptr, {}))})
                .id;
    }
    files_.commit(*begin_as_agent({}), {entry});
    const FrameAddress frame = std::get<Extents>(entry.content).front().frame;
    forget_and_rewrite(with_more, frame.pack);

    const std::unique_ptr<BackupRun> run = begin_as_agent(month_);
    ASSERT_TRUE(run->may_refer(frame));
    const Snapshot snapshot = files_.commit(*run, {entry});
    EXPECT_GT(expect_locked(snapshot, files_.clock.now() + month_.keep), 0U);
}

class WriteOnlyNodesTest : public WriteOnlyLockTest {
  protected:
    WriteOnlyNodesTest() {
        DirectoryLeafBuilder leaf;
        leaf.add(ContentRepository::entry_of("a", {}));
        directory_ = leaf.finish();
        const std::unique_ptr<BackupRun> run = begin_as_agent({});
        node_ = run->writer().put_node(directory_);
        Bytes dies(300'000); // too much for the frame of the other
        SeededRandom(3).fill(dies);
        run->writer().put_node(std::move(dies));
        with_more_ = files_.commit(*run, {tiny::directory_entry("d", node_)}).id;
        commit(*begin_as_agent({}), node_);
    }
    Snapshot commit(BackupRun& run, const NodeRef& node) {
        return files_.commit(run, {ContentRepository::entry_of("c", {}), tiny::directory_entry("d", node)});
    }

    Bytes directory_;
    NodeRef node_;
    RunId with_more_;
};

TEST_F(WriteOnlyNodesTest, WhatStaysIsNotStoredAgain) {
    EXPECT_EQ(begin_as_agent(month_)->writer().put_node(directory_), node_);
}

// With a lock it has to read them; without one, the next backup would want to.
TEST_F(WriteOnlyNodesTest, WhatWasMovedIsStoredAnew) {
    forget_and_rewrite(with_more_, node_.location.frame.pack);
    for (const std::optional<LockSettings>& lock : {std::optional<LockSettings>(), std::optional(month_)}) {
        const std::unique_ptr<BackupRun> run = begin_as_agent(lock);
        const NodeRef anew = run->writer().put_node(directory_);
        EXPECT_EQ(anew.id, node_.id);
        EXPECT_NE(anew.location.frame.pack, node_.location.frame.pack);
        const Snapshot snapshot = commit(*run, anew);
        if (lock) expect_locked(snapshot, files_.clock.now() + lock->keep);
    }
}

// The collection did not see this run, and decides while it is under way.
TEST_F(WriteOnlyNodesTest, WhatIsAboutToMoveIsStoredAnew) {
    files_.reopen();
    forget_snapshot(files_.repository->context(), with_more_, false);
    files_.clock.advance(days(2));
    hook_ = [&](const StoreCall& call) {
        if (call.verb == StoreVerb::put && call.name.starts_with(verdicts_prefix)) throw Killed{};
    };
    EXPECT_THROW(collect(), Killed);
    hook_ = {};
    ASSERT_EQ(names(condemned_prefix).size(), 1U);
    const std::unique_ptr<BackupRun> run = begin_as_agent(month_);
    const NodeRef anew = run->writer().put_node(directory_);
    EXPECT_NE(anew.location.frame.pack, node_.location.frame.pack);
}

// What lies below it is not known.
TEST_F(WriteOnlyNodesTest, ANodeThatItCannotReadIsNotTakenForLocked) {
    forget_and_rewrite(with_more_, node_.location.frame.pack);
    const std::size_t before = names(commits_prefix).size();
    const std::unique_ptr<BackupRun> run = begin_as_agent(month_);
    const std::optional<Error> error = test::error_of([&] { commit(*run, node_); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), ErrorCode::wrong_key);
    EXPECT_NE(error->hint().find("back up again"), std::string::npos) << error->hint();
    EXPECT_EQ(names(commits_prefix).size(), before);
}

// A server does that to who may not bypass a lock of governance.
TEST_F(SnapshotLockTest, WhoIsRefusedAnotherModeIsToldWhy) {
    const SparseContent file = random_bytes(1, 10'000);
    back_up({file}, LockSettings{.keep = days(30)});
    hook_ = [&](const StoreCall& call) {
        if (call.verb == StoreVerb::retain && locked_until(call.name) != Timestamp::min())
            throw Error(ErrorCode::access_denied, "planned: " + call.name, "check the permissions");
    };
    LockSettings strict{.keep = days(30), .mode = RetentionMode::compliance};
    std::optional<Error> error = test::error_of([&] { back_up({file}, strict); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), ErrorCode::access_denied);
    EXPECT_NE(error->hint().find("governance"), std::string::npos) << error->hint();
    strict.mode = RetentionMode::governance;
    error = test::error_of([&] { back_up({file}, strict); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->hint(), "check the permissions") << "another reason";
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
