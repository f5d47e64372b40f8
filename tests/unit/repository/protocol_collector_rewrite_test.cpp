// Packs that a collection rewrites, and which.

#include "support/collector_fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using testing::IsEmpty;
using testing::Not;

TEST_F(CollectorTest, RewritesPacksThatAreMostlyDeadWithoutAContentKey) {
    const Snapshot gone = back_up("home", {1, 2, 3, 4});
    const Snapshot kept = back_up("home", {2});
    PackReader reader(store, admin->ring);
    ASSERT_NO_THROW(reader.read_frame(known[2])); // and its table is cached from now on
    forget_snapshot(writer(), gone.id, false);
    const CollectorReport report = collect();
    EXPECT_EQ(report.rewritten_packs, 1u);
    EXPECT_GT(report.copied_bytes, 0u);
    EXPECT_FALSE(store.objects.contains(known[2].pack.name()));
    EXPECT_TRUE(store.objects.contains(moved_name(known[2].pack)));
    EXPECT_EQ(read(kept), std::vector<tiny::Content>{2});
    EXPECT_EQ(reader.read_frame(known[2]), tiny::bytes_of(2))
        << "a reader that had the old table finds it too";

    // A frame keeps its address: later snapshots may refer to it, and when nobody does, it goes like any
    // other.
    const RepositoryContext context = writer();
    RunContext run = admin->ring.begin_run(random);
    const auto session = WriterSession::begin(context, run, "test", Duration::zero());
    EXPECT_TRUE(session->may_refer(known[2]));
    EXPECT_FALSE(session->may_refer(known[1]));
    session->commit(store_tree(run, "home", {2, 5}));
    forget_snapshot(writer(), kept.id, false);
    collect();
    EXPECT_EQ(reader.read_frame(known[2]), tiny::bytes_of(2));
    forget_snapshot(writer(), run.id(), true);
    collect();
    EXPECT_THAT(names(packs_prefix), IsEmpty());
    EXPECT_THAT(names(moved_prefix), IsEmpty());
}

TEST_F(CollectorTest, LeavesAloneWhatIsNotWorthRewriting) {
    const Snapshot gone = back_up("home", {1, 2, 3, 4});
    back_up("home", {1, 2, 3});
    forget_snapshot(writer(), gone.id, false);
    settings.tolerated_dead_part = 0.9;
    EXPECT_EQ(collect().rewritten_packs, 0u);
    settings.tolerated_dead_part = 0.1;
    settings.rewrite_budget_bytes = 1;
    const CollectorReport report = collect();
    EXPECT_EQ(report.rewritten_packs, 0u);
    EXPECT_GT(report.dead_bytes_kept, 0u);
}

TEST_F(CollectorTest, RewritesTheDeadestUntilLittleEnoughIsDead) {
    const Snapshot one = back_up("home", {1, 2, 3, 4});
    const Snapshot two = back_up("home", {5, 6, 7, 8});
    back_up("home", {1, 5, 6, 7});
    forget_snapshot(writer(), one.id, false);
    forget_snapshot(writer(), two.id, false);
    settings.tolerated_dead_part = 1;
    settings.dry_run = true;
    const CollectorReport before = collect();
    settings.dry_run = false;
    const auto live = static_cast<double>(before.live_bytes);
    const auto half_of_dead = static_cast<double>(before.dead_bytes_kept) / 2;
    settings.tolerated_dead_part =
        half_of_dead / (live + half_of_dead); // the deadest pack has three quarters
    const CollectorReport report = collect();
    EXPECT_EQ(report.rewritten_packs, 1u);
    EXPECT_FALSE(store.objects.contains(known[1].pack.name()));
    EXPECT_TRUE(store.objects.contains(known[5].pack.name()));
    EXPECT_GT(report.dead_bytes_kept, 0u);
    settings.tolerated_dead_part = 0;
    EXPECT_EQ(collect().rewritten_packs, 1u);
    EXPECT_FALSE(store.objects.contains(known[5].pack.name()));
}

TEST_F(CollectorTest, ADamagedPackIsNotCopied) {
    const Snapshot gone = back_up("home", {1, 2});
    back_up("home", {2});
    forget_snapshot(writer(), gone.id, false);
    store.objects[known[1].pack.name()][300] ^= 1; // in a frame
    const CollectorReport report = collect();
    EXPECT_EQ(report.rewritten_packs, 0u);
    EXPECT_THAT(report.problems, Not(IsEmpty()));
    EXPECT_TRUE(store.objects.contains(known[1].pack.name()));
    EXPECT_GT(report.dead_bytes_kept, 0u) << "the dead frame in it";
}

} // namespace
} // namespace holdfast
