// What a recovery uses, and when it is refused.
#include "base/error.h"
#include "postgres/recovery/recovery_plan.h"
#include "support/made_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class RecoveryPlanTest : public testing::Test, protected test::MadeSource {
  protected:
    // Two snapshots, and log from the first on: slices of 16 MiB, a commit a second.
    void two_snapshots() {
        first = snapshot(16, 20, 4);
        second = snapshot(40, 42, 26);
        for (int i = 1; i <= 4; ++i) slice(16 * i, 16 * (i + 1), 16 * (i - 1), 16 * i - 1);
    }

    RecoveryPlan plan(RecoveryTarget target, bool inclusive = true) {
        request.target = std::move(target);
        request.inclusive = inclusive;
        return plan_recovery(source, request);
    }
    Error refusal(RecoveryTarget target, bool inclusive = true) {
        try {
            plan(std::move(target), inclusive);
        } catch (const Error& error) {
            return error;
        }
        return {ErrorCode::internal, "it was not refused"};
    }
    static std::vector<std::uint64_t> begins(const RecoveryPlan& plan) {
        std::vector<std::uint64_t> all;
        for (const PathStep& step : plan.log.steps) all.push_back(step.begin / test::mebibyte);
        return all;
    }
    template <typename Target>
    static const Target& told(const RecoveryPlan& plan) {
        return std::get<Target>(plan.target);
    }

    RecoveryRequest request;
    RunId first, second;
};

TEST_F(RecoveryPlanTest, TheEndIsReachedFromTheNewestSnapshot) {
    two_snapshots();
    const RecoveryPlan made = plan(RecoverToEnd{});
    EXPECT_EQ(made.snapshot.id, second);
    EXPECT_EQ(made.timeline, 1U);
    EXPECT_THAT(begins(made), ElementsAre(40, 48, 64));
    EXPECT_EQ(made.log_bytes, 40 * test::mebibyte);
    EXPECT_EQ(made.snapshot_bytes, 1000U);
    EXPECT_EQ(made.must_reach, at(79.5));
    EXPECT_EQ(made.last_commit, time(63));
    EXPECT_THAT(made.notes, IsEmpty());
}

TEST_F(RecoveryPlanTest, ATimeTakesTheNewestSnapshotThatWasCompleteAndTheLogUpToIt) {
    two_snapshots();
    EXPECT_EQ(plan(RecoverToTime{time(26)}).snapshot.id, second);
    const RecoveryPlan made = plan(RecoverToTime{time(25)});
    EXPECT_EQ(made.snapshot.id, first);
    EXPECT_THAT(begins(made), ElementsAre(16, 32));
    EXPECT_EQ(told<RecoverToTime>(made).time, time(25));
    EXPECT_THAT(begins(plan(RecoverToTime{time(31)})), ElementsAre(40, 48)) << "what is later is needed too";
}

TEST_F(RecoveryPlanTest, TimesOutsideAreRefusedWithThoseThatCanBeHad) {
    two_snapshots();
    const Error early = refusal(RecoverToTime{time(3)});
    EXPECT_EQ(early.code(), ErrorCode::not_found);
    EXPECT_THAT(early.message(), HasSubstr("no snapshot was complete by then"));
    EXPECT_THAT(early.hint(), HasSubstr("2026-11-20T10:00:04Z to 2026-11-20T10:01:03Z"));
    const Error late = refusal(RecoverToTime{time(64)});
    EXPECT_THAT(late.message(), HasSubstr("the newest commit that is stored is of 2026-11-20T10:01:03Z"));
}

// A server that has seen no later commit fails, though it has all that was asked for.
TEST_F(RecoveryPlanTest, TheTimeOfTheLastCommitIsToldAsAPosition) {
    two_snapshots();
    const RecoveryPlan made = plan(RecoverToTime{time(63)});
    EXPECT_EQ(told<RecoverToLsn>(made).position, at(79.5)) << "a record behind it was stored";
    EXPECT_FALSE(made.inclusive);
    details.rbegin()->second.last = at(79.25);
    details.rbegin()->second.last_commit_end = at(79.3); // it is the last record
    const RecoveryPlan last = plan(RecoverToTime{time(63)});
    EXPECT_EQ(told<RecoverToLsn>(last).position, at(79.25));
    EXPECT_TRUE(last.inclusive);
    EXPECT_EQ(told<RecoverToTime>(plan(RecoverToTime{time(63)}, false)).time, time(63));
}

TEST_F(RecoveryPlanTest, AnIdleSourceCanBeHadAsItsSnapshotIs) {
    snapshot(16, 20, 4);
    slice(16, 32, 0, 0);
    const RecoveryPlan made = plan(RecoverToTime{time(4)});
    EXPECT_TRUE(std::holds_alternative<RecoverToConsistency>(made.target));
    EXPECT_THAT(refusal(RecoverToTime{time(5)}).message(), HasSubstr("no commit is stored that is as late"));
}

TEST_F(RecoveryPlanTest, ASnapshotByAClockThatIsBehindIsNotTakenTooSoon) {
    two_snapshots();
    source.snapshots[1].end = time(10); // it was second 26
    EXPECT_EQ(plan(RecoverToTime{time(12)}).snapshot.id, first);
}

TEST_F(RecoveryPlanTest, PositionsAreHeldAgainstWhereRecordsStart) {
    two_snapshots();
    EXPECT_EQ(plan(RecoverToLsn{at(42)}).snapshot.id, second);
    const RecoveryPlan made = plan(RecoverToLsn{at(41)});
    EXPECT_EQ(made.snapshot.id, first);
    EXPECT_THAT(begins(made), ElementsAre(16, 32));
    EXPECT_EQ(told<RecoverToLsn>(plan(RecoverToLsn{at(79.75)})).position, at(79.75));
    const RecoveryPlan end = plan(RecoverToLsn{at(80)}, false);
    EXPECT_EQ(told<RecoverToLsn>(end).position, at(79.75)) << "no record starts behind this one";
    EXPECT_TRUE(end.inclusive);
    EXPECT_THAT(refusal(RecoverToLsn{at(81)}).message(),
                HasSubstr("the log that is stored ends at 0/5000000"));
    EXPECT_THAT(refusal(RecoverToLsn{at(19)}).message(), HasSubstr("no snapshot is consistent before it"));
    EXPECT_EQ(refusal(RecoverToLsn{}).code(), ErrorCode::usage);
}

TEST_F(RecoveryPlanTest, ACompleteSnapshotIsPreferredWhereTheLogLeadsFromIt) {
    two_snapshots();
    source.snapshots.back().state = SnapshotState::partial;
    const RecoveryPlan made = plan(RecoverToEnd{});
    EXPECT_EQ(made.snapshot.id, first);
    EXPECT_THAT(begins(made), ElementsAre(16, 32, 48, 64));
    ASSERT_THAT(made.notes, SizeIs(1));
    EXPECT_THAT(made.notes[0], HasSubstr(second.hex()));
    EXPECT_EQ(plan(RecoverToTime{time(31)}).snapshot.id, first);
    request.snapshot = second;
    EXPECT_EQ(plan(RecoverToEnd{}).snapshot.id, second) << "it is named";
    request.snapshot.reset();
    // What lies behind a gap can be had from the other one only.
    std::erase_if(source.slices, [](const LogSliceId& slice) { return slice.range.begin == at(16).value; });
    EXPECT_EQ(plan(RecoverToEnd{}).snapshot.id, second);
}

TEST_F(RecoveryPlanTest, AGapIsNamed) {
    two_snapshots();
    details.erase(source.slices[2]);
    source.slices.erase(source.slices.begin() + 2); // 48 to 64 MiB
    const Error latest = refusal(RecoverToEnd{});
    EXPECT_EQ(latest.code(), ErrorCode::not_found);
    EXPECT_THAT(latest.message(), HasSubstr("the log from 0/3000000 to 0/4000000 of timeline 1 is missing"));
    EXPECT_THAT(latest.hint(), HasSubstr("10:00:04Z to 2026-11-20T10:00:31Z"));
    EXPECT_THAT(refusal(RecoverToTime{time(40)}).message(), HasSubstr("is missing"));
    EXPECT_THAT(refusal(RecoverToLsn{at(70)}).message(), HasSubstr("is missing"));
    EXPECT_EQ(plan(RecoverToTime{time(30)}).snapshot.id, second);
}

TEST_F(RecoveryPlanTest, ASnapshotWithoutItsLogIsRefused) {
    snapshot(16, 40, 4);
    slice(16, 32, 0, 15);
    EXPECT_THAT(refusal(RecoverToConsistency{}).message(), HasSubstr("needs the log up to 0/2800000"));
}

TEST_F(RecoveryPlanTest, ANamedSnapshotIsUsed) {
    two_snapshots();
    request.snapshot = first;
    const RecoveryPlan made = plan(RecoverToConsistency{});
    EXPECT_EQ(made.snapshot.id, first);
    EXPECT_THAT(begins(made), ElementsAre(16));
    EXPECT_EQ(plan(RecoverToTime{time(40)}).snapshot.id, first);
    request.snapshot = second;
    EXPECT_THAT(refusal(RecoverToTime{time(20)}).message(), HasSubstr("no snapshot was complete by then"));
    request.snapshot = RunId{};
    EXPECT_EQ(refusal(RecoverToEnd{}).code(), ErrorCode::not_found);
}

// A server that is told to stop when it is consistent does so at the next record, and fails when there is
// none.
TEST_F(RecoveryPlanTest, ASnapshotThatNoRecordFollowsIsToldAsAPosition) {
    snapshot(16, 32, 20);
    WalDetails& its = slice(16, 32, 0, 15);
    const auto expect_position = [&] {
        const RecoveryPlan made = plan(RecoverToConsistency{}, false);
        EXPECT_EQ(told<RecoverToLsn>(made).position, at(31.75));
        EXPECT_TRUE(made.inclusive);
        EXPECT_FALSE(made.last_commit);
        EXPECT_THAT(begins(made), ElementsAre(16));
        EXPECT_EQ(describe(made.requested), "the end of a snapshot");
    };
    expect_position();
    slice(32, 48, 16, 31);
    expect_position(); // of what follows the server gets nothing
    // Not so where it is not known that this is the last one before the end.
    its.records_to = at(31.8);
    EXPECT_TRUE(std::holds_alternative<RecoverToConsistency>(plan(RecoverToConsistency{}).target));
    its.records_to = at(32);
    its.broken = "it is";
    EXPECT_TRUE(std::holds_alternative<RecoverToConsistency>(plan(RecoverToConsistency{}).target));
}

TEST_F(RecoveryPlanTest, ASnapshotThatARecordFollowsIsConsistentThere) {
    snapshot(16, 31, 20);
    slice(16, 32, 0, 15);
    EXPECT_TRUE(std::holds_alternative<RecoverToConsistency>(plan(RecoverToConsistency{}).target));
}

// Its primary was shut down: there is nothing to replay.
TEST_F(RecoveryPlanTest, ASnapshotThatIsACheckpointAloneIsAllThereIs) {
    snapshot(31.75, 32, 20);
    slice(16, 32, 0, 15);
    const RecoveryPlan made = plan(RecoverToConsistency{});
    EXPECT_TRUE(std::holds_alternative<RecoverToEnd>(made.target));
    EXPECT_EQ(made.must_reach, at(32));
}

TEST_F(RecoveryPlanTest, ARecordThatLiesAcrossSlicesIsUsedWhole) {
    snapshot(16, 20, 4);
    slice(16, 32, 0, 15);
    slice(32, 48, 16, 31).last = at(31.9);
    slice(48, 64, 32, 47);
    slice(64, 80, 48, 63);
    EXPECT_THAT(begins(plan(RecoverToLsn{at(31.5)})), ElementsAre(16));
    EXPECT_THAT(begins(plan(RecoverToLsn{at(31.85)})), ElementsAre(16, 32));
    EXPECT_THAT(begins(plan(RecoverToLsn{at(40)})), ElementsAre(16, 32, 48));
}

// To stop earlier without a word would lose what lies between.
TEST_F(RecoveryPlanTest, APositionInLogThatDoesNotSayItsRecordsIsToldAsItIs) {
    snapshot(16, 20, 4);
    slice(16, 32, 0, 15);
    WalDetails& silent = slice(32, 48, 16, 31);
    silent.broken = "damaged";
    EXPECT_EQ(told<RecoverToLsn>(plan(RecoverToLsn{at(47.9)})).position, at(47.9));
    silent = {};
    EXPECT_EQ(told<RecoverToLsn>(plan(RecoverToLsn{at(40)})).position, at(40));
}

TEST_F(RecoveryPlanTest, ATransactionIsLookedForFromTheNewestSnapshot) {
    two_snapshots();
    const RecoveryPlan made = plan(RecoverToXid{777});
    EXPECT_EQ(made.snapshot.id, second);
    EXPECT_THAT(made.notes, ElementsAre(HasSubstr("the newest snapshot is used")));
}

TEST_F(RecoveryPlanTest, OfAReleasedStretchTheNearestMomentsAreTold) {
    first = snapshot(16, 20, 4);
    slice(16, 32, 0, 15);
    second = snapshot(50, 52, 36);
    slice(48, 64, 32, 47);
    source.released[1] = at(50);
    const Error time_within = refusal(RecoverToTime{time(20)});
    EXPECT_THAT(
        time_within.message(),
        HasSubstr("the log from 0/2000000 to 0/3000000 of timeline 1 was released by policy; the nearest "
                  "before it is 2026-11-20T10:00:15Z; the nearest behind it is 2026-11-20T10:00:36Z"));
    EXPECT_THAT(refusal(RecoverToLsn{at(40)}).message(), HasSubstr("was released by policy"));
    EXPECT_EQ(plan(RecoverToTime{time(10)}).snapshot.id, first);
    EXPECT_EQ(plan(RecoverToTime{time(40)}).snapshot.id, second);
    EXPECT_EQ(plan(RecoverToEnd{}).snapshot.id, second);
    request.snapshot = first;
    EXPECT_EQ(plan(RecoverToConsistency{}).snapshot.id, first);
}

TEST_F(RecoveryPlanTest, RestorePointsAreFoundInTheLog) {
    two_snapshots();
    details.at(source.slices[1]).restore_points = {{"before", at(36), micros(20)},
                                                   {"after", at(44), micros(28)}};
    EXPECT_EQ(plan(RecoverToName{"before"}).snapshot.id, first);
    EXPECT_EQ(plan(RecoverToName{"after"}).snapshot.id, second);
    EXPECT_THAT(refusal(RecoverToName{"never"}).message(), HasSubstr("no restore point of this name"));
    details.at(source.slices[2]).restore_points = {{"after", at(50), micros(34)}};
    const Error twice = refusal(RecoverToName{"after"});
    EXPECT_EQ(twice.code(), ErrorCode::usage);
    EXPECT_THAT(twice.message(), HasSubstr("0/2C00000 (2026-11-20T10:00:28Z), 0/3200000"));
}

// Timeline 2 leaves 1 at 40 MiB, in the middle of a slice; 1 goes on for a while.
class TimelinePlanTest : public RecoveryPlanTest {
  protected:
    TimelinePlanTest() {
        snapshot(16, 20, 4);
        slice(16, 32, 0, 15);
        slice(32, 48, 16, 31);
        slice(32, 48, 16, 40, 2); // the first segment of a timeline begins as the last one of its parent
        slice(48, 64, 41, 60, 2);
        source.histories.emplace(2, TimelineHistory(1).branch(2, at(40), "promoted"));
    }
};

TEST_F(TimelinePlanTest, TheNewestTimelineIsFollowedThroughTheSwitch) {
    const RecoveryPlan made = plan(RecoverToEnd{});
    EXPECT_EQ(made.timeline, 2U);
    ASSERT_THAT(made.log.steps, SizeIs(4));
    EXPECT_EQ(made.log.steps[1].end, at(40).value);
    EXPECT_EQ(made.log.steps[2].slice.range.branch, 2U);
    EXPECT_EQ(made.log.end, at(64));
    EXPECT_EQ(made.last_commit, time(60));
}

// What was committed on a timeline behind the point where it was left is seen by no server that goes on to
// the next: a plan that ended with it would have no log behind the target.
TEST_F(TimelinePlanTest, CommitsThatWereAbandonedEndNoPlan) {
    const RecoveryPlan made = plan(RecoverToTime{time(25)});
    EXPECT_EQ(made.timeline, 2U);
    EXPECT_EQ(made.log.end, at(48));
}

TEST_F(TimelinePlanTest, TheEndOfATimelineMayLieInTheNextOne) {
    std::erase_if(source.slices, [](const LogSliceId& slice) {
        return slice.range.branch == 1 && slice.range.begin == at(32).value;
    });
    EXPECT_EQ(plan(RecoverToEnd{}).log.end, at(64));
}

TEST_F(TimelinePlanTest, AnAbandonedTimelineIsFollowedWhenItIsNamed) {
    request.timeline = 1;
    const RecoveryPlan made = plan(RecoverToEnd{});
    EXPECT_EQ(made.timeline, 1U);
    EXPECT_EQ(made.log.end, at(48));
    request.timeline = 7;
    EXPECT_THAT(refusal(RecoverToEnd{}).message(), HasSubstr("leads to timeline 7"));
}

TEST_F(TimelinePlanTest, SnapshotsOfAnAbandonedStretchAreNotUsed) {
    const RunId abandoned = snapshot(41, 44, 29);
    EXPECT_EQ(plan(RecoverToEnd{}).snapshot.id, source.snapshots.front().id);
    request.snapshot = abandoned;
    const RecoveryPlan made = plan(RecoverToConsistency{});
    EXPECT_EQ(made.timeline, 1U);
    EXPECT_EQ(plan(RecoverToEnd{}).timeline, 1U) << "timeline 2 cannot be reached from it";
}

} // namespace
} // namespace holdfast::postgres
