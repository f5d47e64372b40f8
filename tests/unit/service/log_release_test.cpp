// Up to where policies with a window let the log of a source go.
#include "service/log_release.h"
#include "service/log_stretches.h"
#include "support/made_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using postgres::TimelineHistory;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;
using testing::UnorderedElementsAre;

// A window of a minute over a log with a mebibyte and a commit a second.
class LogReleaseTest : public testing::Test, protected test::MadeSource {
  protected:
    LogReleaseTest() { policy.retention.window = Period::parse("1min", "window"); }

    // As retention sees it.
    SourceSnapshots seen() {
        SourceSnapshots of;
        of.source = source.name;
        const auto log = std::make_shared<const postgres::RecoverySource>(source);
        for (const Snapshot& snapshot : source.snapshots) {
            of.snapshots.push_back({snapshot, {}});
            RetentionSubject subject;
            subject.id = snapshot.id.hex();
            subject.sequence = snapshot.sequence;
            subject.time = snapshot.time;
            subject.end = snapshot.end;
            subject.damaged = damaged.contains(snapshot.id);
            of.subjects.push_back(subject);
        }
        add_stretches(of, log, true);
        return of;
    }
    std::vector<ReleasedLog> released_of(int now) {
        return released_logs(seen(), policy, {{source.archive, test::mebibyte}}, time(now));
    }
    // By timeline, in mebibytes.
    std::map<std::uint32_t, std::uint64_t> released(int now) {
        std::map<std::uint32_t, std::uint64_t> found;
        for (const ReleasedLog& released : released_of(now)) {
            EXPECT_EQ(released.log.archive, source.archive);
            found.emplace(released.log.branch, released.position / test::mebibyte);
        }
        return found;
    }
    void log_to(int end, postgres::TimelineId timeline = 1, int begin = 0) {
        for (int i = begin; i < end; i += 16) slice(i, i + 16, i, i + 15, timeline);
    }

    Policy policy;
    std::set<RunId> damaged;
};

TEST_F(LogReleaseTest, IsWhatLiesBeforeTheSnapshotThatTheWindowBeginsWith) {
    snapshot(16, 18, 18);
    snapshot(48, 50, 50);
    snapshot(112, 114, 114);
    log_to(160);
    EXPECT_THAT(released(100), UnorderedElementsAre(Pair(1, 16)));
    EXPECT_THAT(released(115), UnorderedElementsAre(Pair(1, 48)));
    EXPECT_THAT(released(173), UnorderedElementsAre(Pair(1, 48)));
    EXPECT_THAT(released(174), UnorderedElementsAre(Pair(1, 112)));
}

TEST_F(LogReleaseTest, TheSegmentInWhichTheWindowBeginsStaysWhole) {
    snapshot(16.5, 18, 18);
    snapshot(48.5, 50, 50);
    log_to(160);
    const std::vector<ReleasedLog> released = released_of(115);
    ASSERT_THAT(released, SizeIs(1));
    EXPECT_EQ(released[0].position, at(48).value);
    EXPECT_EQ(released[0].from, time(50));
    EXPECT_EQ(released[0].window, "1min");
}

TEST_F(LogReleaseTest, ADamagedSnapshotBeginsNoWindow) {
    snapshot(16, 18, 18);
    damaged.insert(snapshot(48, 50, 50));
    log_to(160);
    EXPECT_THAT(released(150), UnorderedElementsAre(Pair(1, 16)));
}

TEST_F(LogReleaseTest, WhereNoSnapshotIsAsOldAsTheWindowAllStays) {
    snapshot(32, 34, 34);
    snapshot(48, 50, 50);
    log_to(96);
    EXPECT_THAT(released(60), IsEmpty()); // not even what lies before the first snapshot
}

// What was written last counts as the present: a server that rests has the same right to its window.
TEST_F(LogReleaseTest, TheNewestStretchNeverGrowsOld) {
    snapshot(16, 18, 18);
    snapshot(48, 50, 50);
    log_to(96);
    EXPECT_THAT(released(100'000), UnorderedElementsAre(Pair(1, 48)));
}

TEST_F(LogReleaseTest, AStretchBehindAGapNeedsWhatItBeginsWithOnceTheOlderOneIsOver) {
    snapshot(16, 18, 18);
    log_to(32);
    log_to(160, 1, 48);
    snapshot(64, 66, 66);
    EXPECT_THAT(released(80), UnorderedElementsAre(Pair(1, 16)));
    EXPECT_THAT(released(140), UnorderedElementsAre(Pair(1, 64)));
}

TEST_F(LogReleaseTest, ATimelineThatWasLeftGoesOnceItsOwnMomentsAreOver) {
    snapshot(16, 18, 18);
    log_to(64);
    log_to(256, 2, 48);
    source.histories.emplace(2, TimelineHistory(1).branch(2, at(56), "promoted"));
    snapshot(96, 98, 98, 2);
    // Both lead from the first snapshot.
    EXPECT_THAT(released(100), UnorderedElementsAre(Pair(1, 16), Pair(2, 16)));
    EXPECT_THAT(released(200), UnorderedElementsAre(Pair(1, 64), Pair(2, 96)));
}

// What is still being written on a timeline without a snapshot may be of use with the next one.
TEST_F(LogReleaseTest, ATimelineWithACommitWithinTheWindowStays) {
    snapshot(16, 18, 18);
    log_to(32);
    slice(96, 112, 90, 105, 3);
    source.histories.emplace(3, TimelineHistory(3));
    EXPECT_THAT(released(120), UnorderedElementsAre(Pair(1, 16)));
    EXPECT_THAT(released(166), UnorderedElementsAre(Pair(1, 16), Pair(3, 112)));
}

TEST_F(LogReleaseTest, NothingGoesWhereNobodyKnowsWhichTimelineLeadsWhere) {
    snapshot(16, 18, 18);
    snapshot(48, 50, 50);
    log_to(160);
    slice(160, 176, 160, 175, 2);
    EXPECT_THAT(released(170), IsEmpty());
    EXPECT_THAT(seen().staying_logs.at(source.archive), HasSubstr("history file of timeline 2 is missing"));
}

// A clock that was behind, or a thief: what says that it is old, and has log of the window before it.
TEST_F(LogReleaseTest, TheLogTellsWhenASnapshotWasMade) {
    snapshot(16, 18, 18);
    snapshot(112, 114, 20);
    log_to(160);
    EXPECT_THAT(released(150), UnorderedElementsAre(Pair(1, 16)));
    // Its slice goes on behind it, with its first commit at second 112.
    EXPECT_THAT(released(171), UnorderedElementsAre(Pair(1, 16)));
    EXPECT_THAT(released(172), UnorderedElementsAre(Pair(1, 112)));
}

// By its number it was made last, and by its time first.
TEST_F(LogReleaseTest, WhatWasMadeBehindTheOneThatTheWindowBeginsWithStaysWhole) {
    snapshot(16, 18, 18);
    snapshot(48, 50, 50);
    snapshot(32, 34, 34);
    log_to(160);
    EXPECT_THAT(released(150), UnorderedElementsAre(Pair(1, 32)));
    source.snapshots[2].sequence = 1;
    EXPECT_THAT(released(150), UnorderedElementsAre(Pair(1, 48)));
}

TEST_F(LogReleaseTest, NoSliceWithACommitOfTheWindowGoes) {
    snapshot(16, 18, 18);
    snapshot(112, 114, 114);
    log_to(160);
    slice(64, 80, 64, 155); // what the server's clock said
    EXPECT_THAT(released(180), UnorderedElementsAre(Pair(1, 64)));
}

// Two servers may have written one timeline, and who cannot read contents cannot tell.
TEST_F(LogReleaseTest, WhereRunsOverlapOnlyWhoComparesThemLetsGo) {
    snapshot(16, 18, 18);
    snapshot(48, 50, 50);
    log_to(96);
    EXPECT_THAT(released(150), UnorderedElementsAre(Pair(1, 48)));
    LogSliceId other = source.slices.back();
    other.run.bytes[0] = 9;
    details[other] = details.at(source.slices.back());
    source.slices.push_back(other);
    std::ranges::sort(source.slices);
    EXPECT_THAT(released(150), IsEmpty());
    EXPECT_THAT(seen().staying_logs.at(source.archive), HasSubstr("several runs have stored log"));
    source.part = [](const LogSliceId&, postgres::Lsn begin, postgres::Lsn end) {
        return Bytes(end - begin, 1);
    };
    source.digest = [](const LogSliceId&) { return std::nullopt; };
    EXPECT_THAT(released(150), UnorderedElementsAre(Pair(1, 48)));
}

TEST_F(LogReleaseTest, WithoutAUnitNothingGoes) {
    snapshot(16, 18, 18);
    snapshot(48, 50, 50);
    log_to(96);
    EXPECT_THAT(released_logs(seen(), policy, {}, time(150)), IsEmpty());
}

} // namespace
} // namespace holdfast
