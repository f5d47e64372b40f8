// A store that takes no more, or nothing: a clear error, nothing half-committed, and the next backup is fine.
#include "base/error.h"
#include "store/retry_store.h"
#include "support/bad_day.h"
#include "support/error_matchers.h"

#include <gtest/gtest.h>

namespace holdfast::test {
namespace {

class RefusedWrites : public testing::Test {
  protected:
    RefusedWrites() {
        day.make_tree();
        first = day.back_up();
        first_tree = day.tree();
        day.change_tree();
        tree = day.tree();
    }
    void expect_only_the_first() {
        const std::vector<Snapshot> all = day.snapshots();
        ASSERT_EQ(all.size(), 1u);
        EXPECT_EQ(all.front().id, first.id);
        EXPECT_EQ(day.restore_differs(first, first_tree), "");
        EXPECT_EQ(day.damages(), "");
    }

    BadDay day;
    Snapshot first;
    TreeListing first_tree, tree;
};

TEST_F(RefusedWrites, TheDiskIsFullFromAnyPutOn) {
    const BadDay::Objects before = day.save();
    std::uint64_t put = 0;
    for (;; ++put) {
        SCOPED_TRACE(put);
        day.load(before);
        auto faults = std::make_shared<FaultStore>(day.store);
        faults->plan({.kind = FaultKind::disk_full, .skip = put, .times = 1'000'000});
        try {
            day.back_up(std::make_shared<RetryStore>(faults, RetrySettings{}), day.request());
            EXPECT_FALSE(faults->unfired().empty());
            break;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::no_space) << error.message();
            EXPECT_NE(error.message().find("no space left"), std::string::npos);
            EXPECT_FALSE(error.hint().empty());
        }
        expect_only_the_first();
        const Snapshot next = day.back_up();
        EXPECT_EQ(day.restore_differs(next, tree), "");
        EXPECT_EQ(day.damages(), "");
        if (HasFailure()) break;
    }
    EXPECT_GE(put, 5u);
}

TEST_F(RefusedWrites, TheStoreIsReadOnly) {
    auto faults = std::make_shared<FaultStore>(day.store);
    faults->plan({.kind = FaultKind::read_only, .times = 1'000'000});
    EXPECT_EQ(code_of([&] { day.back_up(faults, day.request()); }), "read_only");
    EXPECT_EQ(code_of([&] { day.prune(faults); }), "read_only");
    EXPECT_EQ(code_of([&] { forget_snapshot(day.open(faults)->context(), first.id, true); }), "read_only");
    expect_only_the_first();
    // Reading is all that restoring takes.
    EXPECT_EQ(difference(first_tree, list_tree(day.restore(faults, first).directory)), "");
    EXPECT_EQ(day.restore_differs(day.back_up(), tree), "");
}

TEST_F(RefusedWrites, TheDiskIsFullWhileACollectionRewrites) {
    const Snapshot second = day.back_up();
    forget_snapshot(day.open()->context(), first.id, false);
    const BadDay::Objects before = day.save();
    std::uint64_t put = 0;
    for (;; ++put) {
        SCOPED_TRACE(put);
        day.load(before);
        auto faults = std::make_shared<FaultStore>(day.store);
        faults->plan({.kind = FaultKind::disk_full, .skip = put, .times = 1'000'000});
        bool done = true;
        try {
            day.prune(faults);
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::no_space) << error.message();
            done = false;
        }
        EXPECT_EQ(day.restore_differs(second, tree), "");
        EXPECT_GT(day.prune(day.store).packs_before, 0u);
        EXPECT_EQ(day.restore_differs(second, tree), "");
        EXPECT_EQ(day.damages(), "");
        if (done || HasFailure()) break;
    }
    EXPECT_GE(put, 5u);
}

} // namespace
} // namespace holdfast::test
