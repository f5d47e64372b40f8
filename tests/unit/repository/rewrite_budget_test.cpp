#include "repository/content/rewrite_budget.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(RewriteBudget, IsEarnedByChangesAndOverdrawnByOneFrameAtMost) {
    constexpr std::uint64_t frame = 1u << 20;
    RewriteBudget budget(1.25);
    std::uint64_t changed = 0;
    std::uint64_t taken = 0;
    for (int round = 0; round < 1000; ++round) {
        budget.changed(100'000);
        changed += 100'000;
        while (budget.take(frame)) taken += frame;
        const double earned = 1.25 * static_cast<double>(changed);
        EXPECT_GE(static_cast<double>(taken), earned);
        EXPECT_LT(static_cast<double>(taken), earned + frame);
    }
}

TEST(RewriteBudget, WithoutChangesThereIsNone) {
    RewriteBudget budget(1.25);
    EXPECT_FALSE(budget.take(1));
    budget.changed(1);
    EXPECT_TRUE(budget.take(5'000'000));
    EXPECT_FALSE(budget.take(1));
}

} // namespace
} // namespace holdfast
