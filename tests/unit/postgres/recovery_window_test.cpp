// The times that can be recovered, over archives that are made up.
#include "postgres/recovery/log_exposure.h"
#include "postgres/recovery/recovery_window.h"
#include "support/made_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class RecoveryWindowTest : public testing::Test, protected test::MadeSource {};

TEST_F(RecoveryWindowTest, SnapshotsOnUnbrokenLogMakeOneRange) {
    const RunId first = snapshot(16, 20, 4), second = snapshot(40, 42, 26);
    slice(16, 32, 0, 15);
    slice(32, 48, 16, 31);
    slice(48, 64, 32, 47);
    const RecoveryWindow window = recovery_window(source);
    ASSERT_THAT(window.ranges, SizeIs(1));
    EXPECT_EQ(window.ranges[0].begin, at(20));
    EXPECT_EQ(window.ranges[0].end, at(64));
    EXPECT_EQ(window.ranges[0].from, time(4));
    EXPECT_EQ(window.ranges[0].until, time(47));
    EXPECT_THAT(window.ranges[0].snapshots, ElementsAre(first, second));
    EXPECT_THAT(window.gaps, IsEmpty());
    EXPECT_EQ(window.earliest(), time(4));
    EXPECT_EQ(window.latest(), time(47));
    EXPECT_EQ(describe_times(window), "2026-11-20T10:00:04Z to 2026-11-20T10:00:47Z");
}

TEST_F(RecoveryWindowTest, AGapEndsWhereASnapshotLiesBehindIt) {
    snapshot(16, 20, 4);
    slice(16, 32, 0, 15);
    slice(48, 64, 32, 47);
    snapshot(50, 51, 36);
    const RecoveryWindow window = recovery_window(source);
    ASSERT_THAT(window.ranges, SizeIs(2));
    EXPECT_EQ(window.ranges[0].until, time(15));
    EXPECT_EQ(window.ranges[1].from, time(36));
    ASSERT_THAT(window.gaps, SizeIs(1));
    EXPECT_EQ(window.gaps[0].begin, at(32));
    EXPECT_EQ(window.gaps[0].end, at(48));
    EXPECT_EQ(window.gaps[0].after, time(15));
    EXPECT_EQ(window.gaps[0].before, time(36));
}

TEST_F(RecoveryWindowTest, BehindTheLastGapNothingCanBeHad) {
    snapshot(16, 20, 4);
    slice(16, 32, 0, 15);
    slice(48, 64, 32, 47);
    const RecoveryWindow window = recovery_window(source);
    EXPECT_EQ(window.latest(), time(15));
    ASSERT_THAT(window.gaps, SizeIs(1));
    EXPECT_EQ(window.gaps[0].after, time(15));
    EXPECT_EQ(window.gaps[0].before, std::nullopt);
}

TEST_F(RecoveryWindowTest, ASnapshotWithoutItsLogCountsForNothing) {
    const RunId broken = snapshot(16, 40, 4);
    slice(16, 32, 0, 15);
    slice(48, 64, 32, 47);
    const RecoveryWindow window = recovery_window(source);
    EXPECT_THAT(window.ranges, IsEmpty());
    EXPECT_THAT(window.without_log, ElementsAre(broken));
    EXPECT_EQ(window.earliest(), std::nullopt);
    EXPECT_EQ(describe_times(window), "nothing");
    ASSERT_THAT(window.gaps, SizeIs(1));
    EXPECT_EQ(window.gaps[0].after, std::nullopt);
}

TEST_F(RecoveryWindowTest, WithoutCommitsItIsAMoment) {
    snapshot(16, 20, 4);
    slice(16, 32, 0, 0);
    const RecoveryWindow window = recovery_window(source);
    ASSERT_THAT(window.ranges, SizeIs(1));
    EXPECT_EQ(window.ranges[0].from, window.ranges[0].until);
}

TEST_F(RecoveryWindowTest, OfAnAbandonedTimelineThatIsToldWhichOnlyItHas) {
    snapshot(16, 20, 4);
    slice(16, 32, 0, 15);
    slice(32, 48, 16, 31);
    slice(32, 48, 16, 40, 2);
    source.histories.emplace(2, TimelineHistory(1).branch(2, at(40), "promoted"));
    const RecoveryWindow both = recovery_window(source);
    ASSERT_THAT(both.ranges, SizeIs(2));
    EXPECT_EQ(both.ranges[0].timeline, 2U);
    EXPECT_EQ(both.ranges[0].until, time(40));
    EXPECT_EQ(both.ranges[1].timeline, 1U);
    EXPECT_EQ(both.ranges[1].until, time(31));
    // When it was left where its log ends, it has nothing of its own.
    source.histories.clear();
    source.histories.emplace(2, TimelineHistory(1).branch(2, at(48), "promoted"));
    EXPECT_THAT(recovery_window(source).ranges, SizeIs(1));
}

TEST_F(RecoveryWindowTest, WhatWasReleasedIsNoGap) {
    const RunId first = snapshot(16, 20, 4), second = snapshot(50, 51, 36);
    slice(16, 32, 0, 15);
    slice(48, 64, 32, 47);
    source.released[1] = at(47);
    EXPECT_THAT(recovery_window(source).gaps, SizeIs(1)) << "a part of it is missing all the same";
    source.released[1] = at(50);
    const RecoveryWindow window = recovery_window(source);
    EXPECT_TRUE(window.unbroken());
    ASSERT_THAT(window.released, SizeIs(1));
    EXPECT_EQ(window.released[0].begin, at(32));
    EXPECT_EQ(window.released[0].end, at(48));
    EXPECT_EQ(window.released[0].after, time(15));
    EXPECT_EQ(window.released[0].before, time(36));
    EXPECT_EQ(window.released[0].again_from, second);
    EXPECT_THAT(window.without_log, IsEmpty());
    EXPECT_EQ(window.earliest(), time(4));
    EXPECT_EQ(window.continuous_from(), time(36));
    // Its own log is never released.
    source.slices.erase(source.slices.begin());
    EXPECT_THAT(recovery_window(source).without_log, ElementsAre(first));
}

// On the way from one timeline to the next, each has to be released as far as the way goes on it.
TEST_F(RecoveryWindowTest, WhatWasReleasedMayReachOverASwitch) {
    snapshot(16, 20, 4);
    slice(16, 32, 0, 15);
    slice(64, 80, 48, 63, 2);
    snapshot(66, 67, 50, 2);
    source.histories.emplace(2, TimelineHistory(1).branch(2, at(56), "promoted"));
    source.released[2] = at(66);
    EXPECT_THAT(recovery_window(source).gaps, SizeIs(1));
    source.released[1] = at(56);
    const RecoveryWindow window = recovery_window(source);
    EXPECT_THAT(window.gaps, IsEmpty());
    ASSERT_THAT(window.released, SizeIs(1));
    EXPECT_EQ(window.released[0].timeline, 2U);
}

class LogExposureTest : public RecoveryWindowTest {
  protected:
    LogExposure of(TimelineId timeline, Lsn position) {
        return log_exposure(source, recovery_window(source), timeline, position).value();
    }
};

TEST_F(LogExposureTest, IsWhatTheServerHasBehindTheNewestThatCanBeRecovered) {
    EXPECT_FALSE(log_exposure(source, recovery_window(source), 1, at(50)));
    snapshot(16, 20, 4);
    slice(16, 32, 0, 15);
    slice(32, 48, 16, 31);
    EXPECT_EQ(of(1, at(48)).bytes, 0U);
    EXPECT_EQ(of(1, at(50)).bytes, 2 * test::mebibyte);
    EXPECT_EQ(of(1, at(50)).begin, at(48));
    EXPECT_EQ(of(1, at(50)).last_stored, time(31));
    slice(56, 64, 40, 50); // behind a gap it is of no use
    EXPECT_EQ(of(1, at(64)).bytes, 16 * test::mebibyte);
}

// The window tells the newest timeline first, and of the older ones what only they have.
TEST_F(LogExposureTest, IsOfTheTimelineThatTheServerIsOn) {
    snapshot(16, 20, 4);
    slice(16, 32, 0, 15);
    slice(32, 48, 16, 31);
    slice(32, 48, 16, 40, 2);
    slice(48, 64, 41, 60, 2);
    source.histories.emplace(2, TimelineHistory(1).branch(2, at(40), "promoted"));
    ASSERT_EQ(recovery_window(source).ranges.size(), 2U);
    EXPECT_EQ(of(2, at(64)).bytes, 0U);
    EXPECT_EQ(of(2, at(65)).last_stored, time(60));
    EXPECT_EQ(of(1, at(48)).bytes, 0U);
    EXPECT_EQ(of(1, at(49)).bytes, test::mebibyte);
    // Promoted from 2, and nothing of it is stored yet.
    source.histories.emplace(3, TimelineHistory(1).branch(2, at(40), "").branch(3, at(60), ""));
    EXPECT_EQ(of(3, at(61)).bytes, test::mebibyte);
}

} // namespace
} // namespace holdfast::postgres
