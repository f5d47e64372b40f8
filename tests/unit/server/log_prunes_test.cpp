#include "server/log_prunes.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using std::chrono::hours;

TEST(LogPrunes, FollowOnceADay) {
    const Timestamp begun = from_rfc3339("2026-11-20T12:00:00Z");
    LogPrunes prunes;
    EXPECT_TRUE(prunes.follows("a", begun));
    EXPECT_FALSE(prunes.follows("b", begun + hours(1)));
    EXPECT_TRUE(prunes.follows("c", begun + hours(23)));
    EXPECT_FALSE(prunes.follows("d", begun + hours(24)));
    // A clock that was ahead keeps nothing for long.
    EXPECT_TRUE(prunes.follows("e", begun));
}

// A transaction that was rolled back has asked for none.
TEST(LogPrunes, TheSameEndToldAgainIsFollowedByTheSame) {
    const Timestamp begun = from_rfc3339("2026-11-20T12:00:00Z");
    LogPrunes prunes;
    EXPECT_TRUE(prunes.follows("a", begun));
    EXPECT_TRUE(prunes.follows("a", begun + hours(1)));
    EXPECT_FALSE(prunes.follows("b", begun + hours(1)));
    EXPECT_FALSE(prunes.follows("b", begun + hours(2)));
}

} // namespace
} // namespace holdfast
