// Collections where the store locks objects.

#include "support/collector_fixture.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <set>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

class LockedCollectorTest : public CollectorTest {
  protected:
    // Says of some names that they are locked for good.
    class LockingStore final : public StoreDecorator {
      public:
        LockingStore(Store& inner, LockedCollectorTest& test)
            : StoreDecorator({&inner, [](Store*) {}}), test_(test) {}
        StoreCapabilities capabilities() const override {
            StoreCapabilities capabilities = inner().capabilities();
            capabilities.object_lock = true;
            return capabilities;
        }
        std::optional<Retention> retention(const std::string& name, const CallOptions&) override {
            test_.wait_for_others();
            if (test_.refuses) throw Error(ErrorCode::access_denied, "planned: " + name);
            if (!test_.locked.contains(name)) return std::nullopt;
            return Retention{.mode = RetentionMode::compliance, .until = Timestamp::max()};
        }

      protected:
        void around(StoreCall&, const std::function<void()>& body) override { body(); }

      private:
        LockedCollectorTest& test_;
    };
    // The first answers are held back until so many are asked for.
    void wait_for_others() {
        std::unique_lock lock(mutex_);
        ++waiting_;
        most_waiting = std::max(most_waiting, waiting_);
        changed_.notify_all();
        changed_.wait_for(lock, std::chrono::seconds(20), [&] { return most_waiting >= answer_together; });
        --waiting_;
    }
    CollectorReport collect(bool dry_run = false) {
        LockingStore locking(store, *this);
        const RepositoryContext context{locking, pruner->ring, pruner->trust, clock, random, {}};
        settings.dry_run = dry_run;
        Progress progress;
        return collect_garbage(context, settings, progress);
    }

    std::set<std::string> locked;
    bool refuses = false;
    unsigned answer_together = 1;
    unsigned most_waiting = 0;

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    unsigned waiting_ = 0;
};

TEST_F(LockedCollectorTest, NoPackIsCopiedForWhatIsDeadInLockedOnes) {
    const Snapshot one = back_up("home", {1, 2, 3, 4});
    const Snapshot two = back_up("home", {5, 6, 7, 8});
    const Snapshot kept = back_up("home", {1, 5, 6, 7});
    forget_snapshot(writer(), one.id, false);
    forget_snapshot(writer(), two.id, false);
    settings.tolerated_dead_part = 1;
    const CollectorReport all = collect(true);
    const auto dead = static_cast<double>(all.dead_bytes_kept);
    settings.tolerated_dead_part = 0.9 * dead / (static_cast<double>(all.live_bytes) + dead);
    // Three quarters of all that is dead.
    locked = {known[1].pack.name()};
    CollectorReport report = collect();
    EXPECT_EQ(report.rewritten_packs, 0u);
    EXPECT_EQ(report.dead_bytes_kept, all.dead_bytes_kept);
    EXPECT_TRUE(store.objects.contains(known[5].pack.name()));

    settings.tolerated_dead_part = 0;
    report = collect();
    EXPECT_EQ(report.rewritten_packs, 1u);
    EXPECT_TRUE(store.objects.contains(known[1].pack.name()));
    EXPECT_FALSE(store.objects.contains(known[5].pack.name()));
    EXPECT_GT(report.dead_bytes_kept, 0u);
    locked.clear();
    report = collect();
    EXPECT_EQ(report.rewritten_packs, 1u);
    EXPECT_EQ(report.dead_bytes_kept, 0u);
    EXPECT_EQ(read(kept), (std::vector<tiny::Content>{1, 5, 6, 7}));
}

TEST_F(LockedCollectorTest, ADryRunCountsNoSnapshotThatStays) {
    const Snapshot free = back_up("home", {1});
    const Snapshot held = back_up("home", {2});
    back_up("home", {3});
    for (const Snapshot& snapshot : {free, held}) forget_snapshot(writer(), snapshot.id, false);
    locked = {commit_name(held.id)};
    EXPECT_EQ(collect(true).deleted_snapshots, 1u);
    EXPECT_EQ(collect().deleted_snapshots, 1u);
    EXPECT_TRUE(store.objects.contains(commit_name(held.id)));
    EXPECT_FALSE(store.objects.contains(commit_name(free.id)));
}

// Where no lock is told of, the store may refuse all the same.
TEST_F(CollectorTest, LockedPacksGoWhenTheyCan) {
    const Snapshot gone = back_up("home", {1});
    back_up("home", {2});
    forget_snapshot(writer(), gone.id, false);
    store.before_write = [&](std::string_view verb, const std::string& name) {
        if (verb == "remove" && name == known[1].pack.name()) throw Error(ErrorCode::access_denied, "locked");
    };
    const CollectorReport report = collect();
    EXPECT_EQ(report.deleted_packs, 1u);
    EXPECT_EQ(report.locked_packs, 1u);
    EXPECT_TRUE(store.objects.contains(known[1].pack.name()));
    const RepositoryContext context = writer();
    RunContext run = admin->ring.begin_run(random);
    const auto session = WriterSession::begin(context, run, "test", Duration::zero());
    EXPECT_FALSE(session->may_refer(known[1]));
    session->leave();
    store.before_write = {};
    EXPECT_EQ(collect().deleted_packs, 1u);
    EXPECT_FALSE(store.objects.contains(known[1].pack.name()));
}

TEST_F(LockedCollectorTest, AsksForSeveralLocksAtOnce) {
    std::vector<Snapshot> gone;
    for (tiny::Content content = 1; content <= 10; ++content) gone.push_back(back_up("home", {content}));
    back_up("home", {11});
    for (const Snapshot& snapshot : gone) forget_snapshot(writer(), snapshot.id, false);
    locked = {known[3].pack.name(), gone[6].root.location.frame.pack.name(), commit_name(gone[8].id)};
    settings.requests_at_once = 4;
    answer_together = 4;
    const CollectorReport report = collect();
    EXPECT_EQ(most_waiting, 4u);
    EXPECT_EQ(report.locked_packs, 2u);
    EXPECT_EQ(report.deleted_packs, 18u);
    EXPECT_EQ(report.deleted_snapshots, 9u);
    for (const std::string& name : locked) EXPECT_TRUE(store.objects.contains(name)) << name;
}

TEST_F(LockedCollectorTest, WhatMayNotBeAskedStaysAndIsToldOnce) {
    std::vector<Snapshot> gone;
    for (tiny::Content content = 1; content <= 10; ++content) gone.push_back(back_up("home", {content}));
    back_up("home", {11});
    for (const Snapshot& snapshot : gone) forget_snapshot(writer(), snapshot.id, false);
    refuses = true;
    const CollectorReport report = collect();
    EXPECT_EQ(report.deleted_packs, 0u);
    EXPECT_EQ(report.locked_packs, 20u);
    EXPECT_EQ(report.problems.size(), 1u);
}

} // namespace
} // namespace holdfast
