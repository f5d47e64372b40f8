// What a machine remembers of its clock: a leap while it runs, a gap over a restart, and who says otherwise.

#include "service/clock_memory.h"
#include "support/error_matchers.h"
#include "unit/service/retention_fixture.h"

#include <optional>
#include <thread>

#include <gmock/gmock.h>

namespace holdfast {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using test::expect_error;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const Timestamp start = from_rfc3339("2026-11-01T03:00:00Z");

class ClockMemoryTest : public testing::Test {
  protected:
    std::string look(std::optional<Timestamp> witness = std::nullopt) {
        return ClockMemory(file, *clock).look(witness);
    }
    void believe() { ClockMemory(file, *clock).believe(); }
    void leap(Duration by) { clock->set_time_of_day(clock->now() + by); }
    // A machine that was started again knows nothing of how long that took.
    void restart_after(Duration time) { clock.emplace(clock->now() + time); }

    test::ScratchDirectory scratch;
    const std::string file = scratch.file("cache/clock");
    std::optional<FakeClock> clock{std::in_place, start};
};

TEST_F(ClockMemoryTest, TimeThatPassesIsNoLeapHoweverLongNobodyLooks) {
    EXPECT_THAT(look(), IsEmpty());
    clock->advance(days(100));
    EXPECT_THAT(look(), IsEmpty());
    leap(minutes(50));
    EXPECT_THAT(look(), IsEmpty()) << "as a clock that is set right";
}

TEST_F(ClockMemoryTest, ALeapIsDoubtedUntilItIsTakenBack) {
    look();
    leap(hours(2));
    EXPECT_THAT(look(), HasSubstr("leapt forward by 2.0 hours"));
    clock->advance(days(30));
    EXPECT_THAT(look(), HasSubstr("leapt forward by 2.0 hours"));
    leap(-hours(2));
    EXPECT_THAT(look(), IsEmpty());
}

TEST_F(ClockMemoryTest, LeapsAddUp) {
    look();
    leap(minutes(40));
    EXPECT_THAT(look(), IsEmpty());
    leap(minutes(40));
    EXPECT_THAT(look(), HasSubstr("leapt forward by 1.3 hours"));
}

TEST_F(ClockMemoryTest, OneThatFallsBackMayComeBack) {
    look();
    leap(-days(20));
    EXPECT_THAT(look(), IsEmpty());
    leap(days(20));
    EXPECT_THAT(look(), IsEmpty());
    leap(days(20));
    EXPECT_THAT(look(), HasSubstr("leapt forward by 20.0 days"));
}

TEST_F(ClockMemoryTest, WhatSomebodySaysIsRightIsWhatLeapsAreMeasuredAgainst) {
    look();
    leap(days(20));
    EXPECT_THAT(look(), HasSubstr("leapt"));
    believe();
    EXPECT_THAT(look(), IsEmpty());
    leap(hours(2));
    EXPECT_THAT(look(), HasSubstr("leapt forward by 2.0 hours"));
}

TEST_F(ClockMemoryTest, AShortRestartIsNoMatter) {
    clock->advance(hours(1));
    look();
    restart_after(days(2));
    EXPECT_THAT(look(), IsEmpty());
    leap(hours(2));
    EXPECT_THAT(look(), HasSubstr("leapt forward by 2.0 hours"))
        << "from then on it is the new start that counts";
}

TEST_F(ClockMemoryTest, ALongGapOverARestartIsDoubtedForADay) {
    clock->advance(hours(1));
    look();
    restart_after(days(20));
    EXPECT_THAT(look(), HasSubstr("20.0 days have passed since it was last looked at"));
    clock->advance(hours(23));
    EXPECT_THAT(look(), HasSubstr("it is believed from 2026-11-22T04:00:00Z on"));
    restart_after(minutes(5));
    EXPECT_THAT(look(), HasSubstr("20.0 days")) << "a restart is no end of it";
    clock->advance(hours(1));
    EXPECT_THAT(look(), IsEmpty());
}

TEST_F(ClockMemoryTest, ADoubtEndsWithTheClockSetBack) {
    clock->advance(hours(1));
    look();
    restart_after(days(20));
    EXPECT_THAT(look(), HasSubstr("20.0 days"));
    leap(-days(20));
    EXPECT_THAT(look(), IsEmpty());
    leap(days(20));
    EXPECT_THAT(look(), HasSubstr("leapt forward by 20.0 days"));
    clock->advance(hours(1));
    restart_after(-days(20));
    EXPECT_THAT(look(), IsEmpty());
}

TEST_F(ClockMemoryTest, ALeapIsNotForgottenInARestart) {
    clock->advance(hours(1));
    look();
    leap(days(20));
    look();
    restart_after(minutes(1));
    EXPECT_THAT(look(), HasSubstr("leapt forward by 20.0 days"));
    clock->advance(hours(25));
    EXPECT_THAT(look(), IsEmpty()) << "now it is a day that nobody has set it back";
}

TEST_F(ClockMemoryTest, WhereNothingIsRememberedTheNewestSnapshotCounts) {
    EXPECT_THAT(look(start - days(2)), IsEmpty());
    std::filesystem::remove(file);
    EXPECT_THAT(look(start - days(4)), HasSubstr("4.0 days have passed since the newest snapshot"));
    clock->advance(days(1));
    EXPECT_THAT(look(start - days(4)), IsEmpty());
}

TEST_F(ClockMemoryTest, RubbishInItsFileCountsAsNothing) {
    for (const char* text :
         {"", "[]", "{", R"({"seen": "yesterday"})",
          R"({"seen": -9223372036854775808, "boot": "", "uptime": 1, "ahead": 1, "doubt": "",
                                 "doubted_until": null})",
          R"({"seen": 1, "boot": 7, "uptime": 1, "ahead": 1, "doubt": "", "doubted_until": null})"}) {
        look();
        std::ofstream(file) << text;
        EXPECT_THAT(look(start - days(4)), HasSubstr("the newest snapshot")) << text;
    }
}

TEST_F(ClockMemoryTest, ManyMayLookAtOnce) {
    look();
    leap(days(20));
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 4; ++i)
            threads.emplace_back([&] {
                for (int n = 0; n < 20; ++n) EXPECT_THAT(look(), HasSubstr("20.0 days"));
            });
    }
    believe();
    EXPECT_THAT(look(), IsEmpty());
}

TEST(UptimeTest, OfTheMachineGrowsAndKnowsItsStart) {
    const Uptime first = uptime_of(system_clock());
    const Uptime second = uptime_of(system_clock());
    EXPECT_FALSE(first.boot.empty());
    EXPECT_EQ(first.boot, second.boot);
    EXPECT_GE(second.time, first.time);
    EXPECT_GT(first.time, Duration{});
}

// The store is on the same machine, and its clock leaps along.
TEST_F(RetentionTest, RefusesToDeleteByAClockThatLeapt) {
    back_up_daily("documents", 3);
    policies = policy(R"({"within": "7d"})");
    EXPECT_EQ(enforce().forgotten(), 0u);
    const auto leap = [&](Duration by) {
        clock.set_time_of_day(clock.now() + by);
        store_clock.set_time_of_day(store_clock.now() + by);
    };
    leap(days(20));
    expect_error(ErrorCode::unavailable, [&] { enforce(); }, "leapt forward by 20.0 days");
    // A backup that the wrong clock dates makes it no better.
    back_up("documents");
    expect_error(ErrorCode::unavailable, [&] { enforce(); }, "leapt forward by 20.0 days");
    EXPECT_EQ(enforce(true).forgotten(), 3u);
    EXPECT_THAT(left(), SizeIs(4));
    EXPECT_EQ(
        enforce_retention(*repository, policies, {.source = {}, .dry_run = false, .trust_clock = true}, {})
            .forgotten(),
        3u);
    pass(days(8));
    back_up("documents");
    EXPECT_EQ(enforce().forgotten(), 1u) << "what was said once is remembered";
}

} // namespace
} // namespace holdfast
