// A collection that is killed anywhere leaves what the next one finishes, and never touches what a snapshot
// needs.
#include "support/bad_day.h"
#include "support/hook_store.h"

#include <filesystem>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace holdfast::test {
namespace {

class KilledCollection : public testing::Test {
  protected:
    // Three snapshots, of which the middle one is forgotten, with packs that are dead, alive and mixed.
    KilledCollection() {
        day.make_tree();
        first = day.back_up();
        first_tree = day.tree();
        for (unsigned i = 0; i < 6; ++i) day.write_random(fmt::format("passing/{}", i), 120'000, 50 + i);
        day.change_tree();
        const Snapshot middle = day.back_up();
        std::filesystem::remove_all(day.source() + "/passing");
        day.write_random("passing", 90'000, 50);
        BadDay::let_times_settle();
        last = day.back_up();
        last_tree = day.tree();
        forget_snapshot(day.open()->context(), middle.id, false);
    }

    void expect_nothing_lost() {
        EXPECT_EQ(day.restore_differs(first, first_tree), "");
        EXPECT_EQ(day.restore_differs(last, last_tree), "");
        EXPECT_EQ(day.damages(), "");
    }

    std::uint64_t kill_everywhere(FaultKind kind) {
        const BadDay::Objects before = day.save();
        const CollectorReport whole = day.prune(day.store);
        EXPECT_GT(whole.deleted_packs, 0u);
        EXPECT_GT(whole.rewritten_packs, 0u);
        const std::size_t packs_left = day.names("packs/").size();
        for (std::uint64_t operation = 0;; ++operation) {
            day.load(before);
            auto faults = std::make_shared<FaultStore>(day.store);
            faults->die_at(operation, kind);
            if (!was_killed([&] { day.prune(faults); })) return operation;
            SCOPED_TRACE(fmt::format("killed at operation {}: {} {}", operation,
                                     to_string(faults->operations().back().verb),
                                     faults->operations().back().name));
            EXPECT_TRUE(faults->unfired().empty());
            expect_nothing_lost();
            // The next one finishes; what the killed one had copied may go with the one behind it.
            EXPECT_FALSE(day.prune(day.store).postponed);
            day.prune(day.store);
            EXPECT_LE(day.names("packs/").size(), packs_left);
            EXPECT_TRUE(day.names("condemned/").empty());
            expect_nothing_lost();
            const Snapshot next = day.back_up();
            EXPECT_EQ(day.restore_differs(next, last_tree), "");
            if (HasFailure()) return operation;
        }
    }

    BadDay day;
    Snapshot first, last;
    TreeListing first_tree, last_tree;
};

TEST_F(KilledCollection, BeforeEachOperation) { EXPECT_GT(kill_everywhere(FaultKind::die_before), 40u); }

TEST_F(KilledCollection, BehindEachOperation) { EXPECT_GT(kill_everywhere(FaultKind::die_after), 40u); }

TEST_F(KilledCollection, WhileABackupGoesOnBesideIt) {
    day.write_random("photos/new.jpg", 150'000, 77);
    day.write_file("notes/8.txt", "changed\n");
    BadDay::let_times_settle();
    const BadDay::Objects before = day.save();
    bool all = false;
    for (std::uint64_t operation = 0; !all; operation += 3) {
        SCOPED_TRACE(operation);
        day.load(before);
        auto faults = std::make_shared<FaultStore>(day.store);
        faults->die_at(operation);
        CollectorSettings patient = BadDay::collection();
        patient.patience = std::chrono::hours(1);
        // The backup has read what is condemned before the collection begins, and puts packs behind it.
        bool collected = false;
        auto beside = std::make_shared<HookStore>(day.store, [&](const StoreCall& call) {
            if (collected || call.verb != StoreVerb::put || !call.name.starts_with("packs/")) return;
            collected = true;
            all = !was_killed([&] { day.prune(faults, patient); });
        });
        const Snapshot made = day.back_up(beside, day.request()).report.snapshot;
        EXPECT_TRUE(collected);
        expect_nothing_lost();
        EXPECT_EQ(day.restore_differs(made, day.tree()), "");
        day.prune(day.store);
        EXPECT_EQ(day.restore_differs(made, day.tree()), "");
        expect_nothing_lost();
        if (HasFailure()) break;
    }
}

} // namespace
} // namespace holdfast::test
