// A backup that is killed at any of its store operations costs nothing but the work since its last
// checkpoint.
#include "support/bad_day.h"

#include <filesystem>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace holdfast::test {
namespace {

struct Earlier {
    Snapshot snapshot;
    TreeListing tree;
};

class KilledBackup : public testing::Test {
  protected:
    KilledBackup() { day.make_tree(); }

    // Kills one backup at each of its operations; returns how many that were.
    std::uint64_t kill_everywhere(const DocumentsBackup& what, FaultKind kind) {
        const BadDay::Objects before = day.save();
        const TreeListing tree = day.tree();
        for (std::uint64_t operation = 0;; ++operation) {
            day.load(before);
            std::filesystem::remove_all(day.scratch.file("cache"));
            auto faults = std::make_shared<FaultStore>(day.store);
            faults->die_at(operation, kind, 1000);
            if (!was_killed([&] { day.back_up(faults, what); })) {
                EXPECT_EQ(faults->unfired().size(), 1u); // there was no such operation
                EXPECT_LE(faults->operation_count(), operation);
                return operation;
            }
            SCOPED_TRACE(fmt::format("killed at operation {}: {} {}", operation,
                                     to_string(faults->operations().back().verb),
                                     faults->operations().back().name));
            EXPECT_TRUE(faults->unfired().empty());
            expect_recovery(what, tree, kind == FaultKind::die_torn);
            if (HasFailure()) return operation;
        }
    }

    void expect_recovery(const DocumentsBackup& what, const TreeListing& tree, bool torn) {
        const DocumentsBackupResult next = day.back_up(day.store, what);
        EXPECT_EQ(next.report.snapshot.state, SnapshotState::complete);
        EXPECT_EQ(day.restore_differs(next.report.snapshot, tree), "");
        for (const Earlier& one : earlier) EXPECT_EQ(day.restore_differs(one.snapshot, one.tree), "");
        if (!torn) {
            EXPECT_EQ(day.damages(), "");
        }
    }

    BadDay day;
    std::vector<Earlier> earlier;
};

TEST_F(KilledBackup, TheFirstOne) { EXPECT_GE(kill_everywhere(day.request(), FaultKind::die_before), 15u); }

TEST_F(KilledBackup, TheFirstOneWithACheckpointBehindEachFile) {
    DocumentsBackup what = day.request();
    what.run.checkpoint_interval = Duration::zero();
    EXPECT_GT(kill_everywhere(what, FaultKind::die_after), 60u);
}

TEST_F(KilledBackup, TheSecondOneAfterChanges) {
    earlier.push_back({day.back_up(), day.tree()});
    day.change_tree();
    EXPECT_GT(kill_everywhere(day.request(), FaultKind::die_before), 20u);
}

TEST_F(KilledBackup, TheSecondOneWithAnswersThatNeverArrive) {
    earlier.push_back({day.back_up(), day.tree()});
    day.change_tree();
    EXPECT_GT(kill_everywhere(day.request(), FaultKind::die_after), 20u);
}

TEST_F(KilledBackup, OneThatDiesAgainAndAgainGetsThere) {
    DocumentsBackup what = day.request();
    what.run.checkpoint_interval = Duration::zero();
    unsigned deaths = 0;
    for (bool killed = true; killed; ++deaths) {
        ASSERT_LT(deaths, 100u) << "it makes no progress";
        auto faults = std::make_shared<FaultStore>(day.store);
        faults->plan(
            {.kind = FaultKind::die_after, .verb = StoreVerb::put, .name_prefix = "checkpoints/", .skip = 1});
        killed = was_killed([&] { day.back_up(faults, what); });
    }
    EXPECT_GT(deaths, 5u);
    ASSERT_EQ(day.snapshots().size(), 1u);
    EXPECT_EQ(day.restore_differs(day.snapshots().front(), day.tree()), "");
    EXPECT_EQ(day.damages(), "");
}

} // namespace
} // namespace holdfast::test
