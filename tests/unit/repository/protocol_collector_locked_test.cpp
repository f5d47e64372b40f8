// Collections where the store locks objects.

#include "support/collector_fixture.h"

#include <set>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

class LockedCollectorTest : public CollectorTest {
  protected:
    // Says of some names that they are locked for good.
    class LockingStore final : public StoreDecorator {
      public:
        LockingStore(Store& inner, const std::set<std::string>& locked)
            : StoreDecorator({&inner, [](Store*) {}}), locked_(locked) {}
        StoreCapabilities capabilities() const override {
            StoreCapabilities capabilities = inner().capabilities();
            capabilities.object_lock = true;
            return capabilities;
        }
        std::optional<Retention> retention(const std::string& name, const CallOptions&) override {
            if (!locked_.contains(name)) return std::nullopt;
            return Retention{.mode = RetentionMode::compliance, .until = Timestamp::max()};
        }

      protected:
        void around(StoreCall&, const std::function<void()>& body) override { body(); }

      private:
        const std::set<std::string>& locked_;
    };
    CollectorReport collect(bool dry_run = false) {
        LockingStore locking(store, locked);
        const RepositoryContext context{locking, pruner->ring, pruner->trust, clock, random, {}};
        settings.dry_run = dry_run;
        Progress progress;
        return collect_garbage(context, settings, progress);
    }

    std::set<std::string> locked;
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

} // namespace
} // namespace holdfast
