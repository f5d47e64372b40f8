// What a store did although it answered with an error, with the retries that every program makes.
#include "store/retry_store.h"
#include "support/bad_day.h"

#include <filesystem>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace holdfast::test {
namespace {

class LostAnswers : public testing::Test {
  protected:
    LostAnswers() { day.make_tree(); }

    // What a program sees of `faults`: failed calls are repeated, without waiting.
    std::shared_ptr<RetryStore> with_retries(const std::shared_ptr<FaultStore>& faults) {
        return std::make_shared<RetryStore>(faults, RetrySettings{}, clock, random);
    }

    BadDay day;
    FakeClock clock{from_rfc3339("2026-11-20T10:00:00Z")};
    SeededRandom random{3};
};

TEST_F(LostAnswers, OfEveryPutOfABackup) {
    const Snapshot first = day.back_up();
    const TreeListing first_tree = day.tree();
    day.change_tree();
    const TreeListing tree = day.tree();
    const BadDay::Objects before = day.save();
    for (std::uint64_t put = 0;; ++put) {
        SCOPED_TRACE(put);
        day.load(before);
        auto faults = std::make_shared<FaultStore>(day.store);
        faults->plan({.kind = FaultKind::fail_after, .verb = StoreVerb::put, .skip = put});
        const auto store = with_retries(faults);
        const Snapshot second = day.back_up(store, day.request()).report.snapshot;
        EXPECT_EQ(day.restore_differs(second, tree), "");
        EXPECT_EQ(day.restore_differs(first, first_tree), "");
        EXPECT_EQ(day.damages(), "");
        EXPECT_EQ(day.snapshots().size(), 2u);
        if (!faults->unfired().empty()) {
            EXPECT_GE(put, 5u);
            break;
        }
        EXPECT_EQ(store->retries(), 1u);
        if (HasFailure()) break;
    }
}

TEST_F(LostAnswers, OfEveryOperationOfACollection) {
    day.back_up();
    // Packs of one snapshot alone, and packs that another shares.
    for (unsigned i = 0; i < 6; ++i) day.write_random(fmt::format("passing/{}", i), 120'000, 50 + i);
    day.change_tree();
    const Snapshot passing = day.back_up();
    std::filesystem::remove_all(day.source() + "/passing");
    day.write_random("passing", 90'000, 50);
    BadDay::let_times_settle();
    const Snapshot second = day.back_up();
    const TreeListing tree = day.tree();
    forget_snapshot(day.open()->context(), passing.id, false);
    const BadDay::Objects before = day.save();
    std::uint64_t operation = 0;
    for (;; ++operation) {
        SCOPED_TRACE(operation);
        day.load(before);
        auto faults = std::make_shared<FaultStore>(day.store);
        faults->plan({.kind = FaultKind::fail_after, .skip = operation});
        const CollectorReport report = day.prune(with_retries(faults));
        EXPECT_FALSE(report.postponed);
        EXPECT_GT(report.deleted_packs + report.rewritten_packs, 0u);
        EXPECT_EQ(day.restore_differs(second, tree), "");
        EXPECT_EQ(day.damages(), "");
        if (!faults->unfired().empty() || HasFailure()) break;
    }
    EXPECT_GT(operation, 30u);
}

TEST_F(LostAnswers, AndFailuresByChanceAtATenthOfAllCalls) {
    std::vector<std::pair<Snapshot, TreeListing>> made;
    std::uint64_t failures = 0;
    for (unsigned round = 0; round < 10; ++round) {
        SCOPED_TRACE(round);
        day.write_random(fmt::format("round/{}", round), 60'000, 100 + round);
        day.write_file("notes/0.txt", fmt::format("round {}", round));
        BadDay::let_times_settle();
        auto faults = std::make_shared<FaultStore>(day.store, clock);
        faults->set_chances({.fail_before = 50, .fail_after = 50, .delay = 10}, round);
        made.emplace_back(day.back_up(with_retries(faults), day.request()).report.snapshot, day.tree());
        if (round >= 3) forget_snapshot(day.open()->context(), made[round - 3].first.id, false);
        day.prune(with_retries(faults));
        failures += faults->chance_faults();
    }
    EXPECT_GT(failures, 50u);
    for (unsigned round = 7; round < 10; ++round)
        EXPECT_EQ(day.restore_differs(made[round].first, made[round].second), "");
    EXPECT_EQ(day.damages(), "");
}

} // namespace
} // namespace holdfast::test
