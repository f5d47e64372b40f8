// Collections where something is damaged, missing, or was written by somebody who does not count.

#include "support/collector_fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using testing::SizeIs;

TEST_F(CollectorTest, ADamagedSnapshotStopsEverything) {
    const Snapshot gone = back_up("home", {1});
    const Snapshot damaged = back_up("home", {2});
    back_up("home", {3});
    forget_snapshot(writer(), gone.id, false);
    const std::string name = commit_name(damaged.id);
    store.objects[name].back() ^= 1;
    EXPECT_EQ(code_of([&] { collect(); }), ErrorCode::corrupt);
    EXPECT_THAT(names(packs_prefix), SizeIs(6));
    // Whoever knows that it cannot be had back may say so.
    EXPECT_EQ(code_of([&] { forget_snapshot(writer(), damaged.id, false); }), ErrorCode::usage);
    forget_snapshot(writer(), damaged.id, true);
    EXPECT_EQ(collect().deleted_packs, 4u) << "the one that failed is not waited for";
}

TEST_F(CollectorTest, SnapshotsOfALostKeySlotAreNotTakenForNothing) {
    back_up("home", {1});
    add(Role::full, 7, "second");
    const SlotId second = open(7).ring.slot();
    *admin = open(7);
    back_up("elsewhere", {2});
    const Bytes slot = store.objects.at(slot_name(second));
    store.objects.erase(slot_name(second));
    *pruner = open(9);
    EXPECT_EQ(code_of([&] { collect(); }), ErrorCode::corrupt);
    EXPECT_THAT(names(packs_prefix), SizeIs(4));
    store.objects[slot_name(second)] = slot;
    *pruner = open(9);
    EXPECT_EQ(collect().deleted_packs, 0u);
}

TEST_F(CollectorTest, OfARemovedSlotCountsWhatWasLeftToIt) {
    back_up("home", {1});
    add(Role::full, 7, "second");
    Unlocked second = open(7);
    std::swap(*admin, second);
    const Snapshot counts = back_up("elsewhere", {2});
    const Snapshot distrusted = back_up("elsewhere", {3});
    std::swap(*admin, second);
    slots->remove(second.ring.slot(), {.distrusted = {distrusted.id}});
    // Written by a program of the removed holder that was still running.
    std::swap(*admin, second);
    const Snapshot late = back_up("elsewhere", {4});
    std::swap(*admin, second);
    *pruner = open(9);
    const CollectorReport report = collect();
    EXPECT_EQ(report.problems.size(), 2u) << "both are named";
    EXPECT_EQ(report.deleted_packs, 4u);
    EXPECT_EQ(read(counts), std::vector<tiny::Content>{2});
    EXPECT_FALSE(store.objects.contains(late.root.location.frame.pack.name()));
    EXPECT_FALSE(store.objects.contains(distrusted.root.location.frame.pack.name()));
}

TEST_F(CollectorTest, AMissingNodeStopsEverything) {
    const Snapshot gone = back_up("home", {1});
    const Snapshot broken = back_up("home", {2});
    forget_snapshot(writer(), gone.id, false);
    store.objects.erase(broken.root.location.frame.pack.name());
    EXPECT_EQ(code_of([&] { collect(); }), ErrorCode::corrupt);
    EXPECT_TRUE(store.objects.contains(known[1].pack.name()));
}

} // namespace
} // namespace holdfast
