// What a collection deletes, and what it leaves in order.

#include "support/collector_fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

TEST_F(CollectorTest, DeletesWhatAForgottenSnapshotAloneNeeded) {
    ASSERT_FALSE(pruner->ring.reads_content());
    const Snapshot gone = back_up("home", {1, 2});
    const Snapshot kept = back_up("home", {3});
    forget_snapshot(writer(), gone.id, false);
    const CollectorReport report = collect();
    EXPECT_FALSE(report.postponed);
    EXPECT_EQ(report.packs_before, 4u);
    EXPECT_EQ(report.deleted_packs, 2u);
    EXPECT_GT(report.deleted_bytes, 0u);
    EXPECT_EQ(report.deleted_snapshots, 1u);
    EXPECT_THAT(names(packs_prefix), SizeIs(2));
    EXPECT_THAT(names(commits_prefix), SizeIs(1));
    EXPECT_THAT(names(forgets_prefix), SizeIs(1)) << "a repeated put of the commit must stay forgotten";
    EXPECT_THAT(names(intents_prefix), IsEmpty());
    EXPECT_THAT(names(condemned_prefix), IsEmpty());
    EXPECT_EQ(read(kept), std::vector<tiny::Content>{3});
}

TEST_F(CollectorTest, ADryRunWritesNothing) {
    const Snapshot gone = back_up("home", {1, 2});
    back_up("home", {2});
    forget_snapshot(writer(), gone.id, false);
    const auto before = store.objects;
    settings.dry_run = true;
    const CollectorReport said = collect();
    EXPECT_EQ(store.objects, before);
    settings.dry_run = false;
    const CollectorReport done = collect();
    EXPECT_EQ(said.deleted_packs, done.deleted_packs);
    EXPECT_EQ(said.rewritten_packs, done.rewritten_packs);
    EXPECT_EQ(said.deleted_snapshots, done.deleted_snapshots);
    EXPECT_EQ(done.deleted_packs, 2u);
}

TEST_F(CollectorTest, RefusesAStoreThatCannotDecide) {
    store.has_put_if_absent = false;
    EXPECT_EQ(code_of([&] { collect(); }), ErrorCode::unsupported);
    EXPECT_THAT(names(intents_prefix), IsEmpty());
}

TEST_F(CollectorTest, OldVerdictsAreUnitedAndThenRemoved) {
    std::vector<Snapshot> snapshots;
    for (tiny::Content content = 1; content <= 4; ++content) snapshots.push_back(back_up("home", {content}));
    for (std::size_t i = 0; i < 3; ++i) {
        forget_snapshot(writer(), snapshots[i].id, false);
        collect();
    }
    // The second has united the first, and the third could remove it.
    EXPECT_THAT(names(verdicts_prefix), SizeIs(2));
    const StandingVerdicts standing = read_verdicts(writer());
    for (tiny::Content content = 1; content <= 3; ++content)
        EXPECT_TRUE(standing.decided().dooms(known[content]));
    EXPECT_FALSE(standing.decided().dooms(known[4]));
}

} // namespace
} // namespace holdfast
