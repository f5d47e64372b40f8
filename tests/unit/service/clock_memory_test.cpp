// What a machine remembers of its clock: a leap while it runs, a gap over a restart, and who says otherwise.

#include "service/clock_check.h"
#include "service/clock_doubts.h"
#include "support/error_matchers.h"
#include "unit/service/retention_fixture.h"

#include <optional>
#include <thread>

#include <fmt/format.h>
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
    std::string look(std::optional<Timestamp> newest = std::nullopt) {
        std::optional<ClockWitness> witness;
        if (newest) witness.emplace().newest = *newest;
        doubt = ClockMemory(file, *clock).look(witness);
        return doubt.why;
    }
    void believe() { ClockMemory(file, *clock).believe({}); }
    void leap(Duration by) { clock->set_time_of_day(clock->now() + by); }
    // A machine that was started again knows nothing of how long that took.
    void restart_after(Duration time) { clock.emplace(clock->now() + time); }

    test::ScratchDirectory scratch;
    const std::string file = scratch.file("cache/clock");
    std::optional<FakeClock> clock{std::in_place, start};
    ClockDoubt doubt; // of the last look
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
    EXPECT_TRUE(doubt.leapt);
    for (int i = 0; i < 3; ++i) {
        clock->advance(hours(25));
        look();
        restart_after(minutes(1));
        EXPECT_THAT(look(), HasSubstr("leapt forward by 20.0 days")) << "however often, and for how long";
        EXPECT_TRUE(doubt.leapt);
    }
    leap(-days(20));
    EXPECT_THAT(look(), IsEmpty()) << "set back while the machine runs again";
    leap(hours(2));
    EXPECT_THAT(look(), HasSubstr("leapt forward by 2.0 hours"));
}

TEST_F(ClockMemoryTest, ALeapIsOverWithTheClockSetBackInARestart) {
    clock->advance(hours(1));
    look();
    leap(days(20));
    look();
    restart_after(-days(20));
    EXPECT_THAT(look(), IsEmpty());
    clock->advance(days(30));
    EXPECT_THAT(look(), IsEmpty());
}

TEST_F(ClockMemoryTest, AClockThatARestartSetsBackInPartIsBelievedNoSooner) {
    look();
    leap(days(20));
    const auto look_after_restart = [&](Duration by) {
        clock->advance(minutes(1));
        look();
        restart_after(by);
        return look();
    };
    EXPECT_THAT(look_after_restart(-days(2)), HasSubstr("18.0 days have passed since it was last looked at"));
    EXPECT_THAT(look_after_restart(-hours(1)), HasSubstr("18.0 days")) << "nor by a second one";
    EXPECT_THAT(look_after_restart(days(4)), HasSubstr("22.0 days"));
    EXPECT_THAT(look_after_restart(-days(4)), HasSubstr("18.0 days"));
    EXPECT_THAT(look_after_restart(-days(15)), IsEmpty()) << "three days are tolerated";
}

TEST_F(ClockMemoryTest, AClockThatIsSetBackInPartIsStillInDoubt) {
    clock->advance(hours(1));
    look();
    restart_after(days(20));
    EXPECT_THAT(look(), HasSubstr("20.0 days"));
    leap(-hours(2));
    EXPECT_THAT(look(), HasSubstr("19.9 days have passed since it was last looked at"));
    leap(-days(10));
    EXPECT_THAT(look(), HasSubstr("9.9 days"));
    clock->advance(hours(23));
    EXPECT_THAT(look(), HasSubstr("9.9 days"));
    leap(-days(7));
    EXPECT_THAT(look(), HasSubstr("3.9 days"));
    leap(-hours(24));
    EXPECT_THAT(look(), IsEmpty());
}

TEST_F(ClockMemoryTest, ALeapIsNoEndOfADayOfDoubt) {
    clock->advance(hours(1));
    look();
    restart_after(days(20));
    look();
    leap(days(2));
    EXPECT_THAT(look(), HasSubstr("leapt forward by 2.0 days"));
    restart_after(minutes(1));
    EXPECT_THAT(look(), HasSubstr("leapt forward by 2.0 days"));
    leap(-days(2));
    EXPECT_THAT(look(), HasSubstr("20.0 days"));
}

TEST_F(ClockMemoryTest, OfASnapshotThatIsOldTheSameIsTolerated) {
    const auto look_at = [&](Timestamp newest) {
        doubt = ClockMemory(file, *clock).look(ClockWitness{.newest = newest, .tolerated = days(14)});
        return doubt.why;
    };
    EXPECT_THAT(look_at(start - days(20)), HasSubstr("20.0 days have passed since the newest snapshot"));
    leap(-days(5));
    EXPECT_THAT(look_at(start), HasSubstr("15.0 days have passed since the newest snapshot"))
        << "whatever was made meanwhile";
    EXPECT_TRUE(doubt.is_first);
    leap(-days(2));
    EXPECT_THAT(look_at(start), IsEmpty());
}

TEST_F(ClockMemoryTest, SomebodyCanSayItIsRightAlsoBehindARestart) {
    clock->advance(hours(1));
    look();
    leap(days(20));
    look();
    restart_after(minutes(1));
    look();
    believe();
    EXPECT_THAT(look(), IsEmpty());
    restart_after(minutes(1));
    EXPECT_THAT(look(), IsEmpty());
}

TEST_F(ClockMemoryTest, WhereNothingIsRememberedTheNewestSnapshotCounts) {
    EXPECT_THAT(look(start - days(2)), IsEmpty());
    std::filesystem::remove(file);
    EXPECT_THAT(look(start - days(4)), HasSubstr("4.0 days have passed since the newest snapshot"));
    EXPECT_TRUE(doubt.is_first);
    EXPECT_FALSE(doubt.leapt);
    clock->advance(hours(1));
    EXPECT_THAT(look(start - days(4)), HasSubstr("the newest snapshot"));
    EXPECT_TRUE(doubt.is_first);
    clock->advance(hours(23));
    EXPECT_THAT(look(start - days(4)), IsEmpty());
}

TEST_F(ClockMemoryTest, RubbishInItsFileCountsAsNothing) {
    const auto memory = [](const char* seen, const char* boot, const char* uptime, const char* ahead) {
        return fmt::format("{{\"seen\": {}, \"boot\": {}, \"uptime\": {}, \"ahead\": {}, \"doubt\": \"\", "
                           "\"doubted_until\": null, \"doubted_from\": 0, \"tolerated\": 0, "
                           "\"is_first\": false, \"stated\": \"\", \"of_others\": []}}",
                           seen, boot, uptime, ahead);
    };
    look();
    std::ofstream(file) << memory("1", "\"other\"", "1", "1");
    EXPECT_THAT(look(start - days(4)), HasSubstr("since it was last looked at")) << "this is none";
    const char* huge = "4611686018427387900";
    for (const std::string& text :
         {std::string(), std::string("[]"), std::string("{"), memory("\"yesterday\"", "\"other\"", "1", "1"),
          memory("-9223372036854775808", "\"other\"", "1", "1"), memory("1", "7", "1", "1"),
          memory("1", "\"other\"", huge, "1"), memory("1", "\"other\"", "1", "-4611686018427387900"),
          memory("1e300", "\"other\"", "1", "1"), memory("1", "\"other\"", "1", "18446744073709551615"),
          std::string(1 << 20, ' ') + memory("1", "\"other\"", "1", "1")}) {
        std::ofstream(file) << text;
        EXPECT_THAT(look(start - days(4)), HasSubstr("the newest snapshot")) << text.substr(0, 200);
    }
}

TEST_F(ClockMemoryTest, ManyMayLookAtOnce) {
    look();
    leap(days(20));
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 4; ++i)
            threads.emplace_back([&] {
                for (int n = 0; n < 20; ++n)
                    EXPECT_THAT(ClockMemory(file, *clock).look({}).why, HasSubstr("20.0 days"));
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
class ClockLeaps : public RetentionTest {
  protected:
    ClockLeaps() { policies = policy(R"({"within": "7d"})"); }
    void leap(Duration by) {
        clock.set_time_of_day(clock.now() + by);
        store_clock.set_time_of_day(store_clock.now() + by);
    }
    // Another user, or a container, whose cache knows nothing of this clock.
    void use_other_cache(const char* name) {
        repository = std::make_unique<Repository>(store, unlock(*store, passphrase(), {}),
                                                  LocalDirectories{scratch.file(name), scratch.path()}, clock,
                                                  random, silent_logger());
    }
    std::vector<StatedClockDoubt> stated() {
        return stated_clock_doubts(*repository, list_statements(repository->context()));
    }
    // As the server does each minute.
    ClockDoubt look() {
        const AnnotatedList list = list_annotated(*repository);
        return clock_doubt(*repository, clock_witness(list.snapshots), list.statements);
    }
    void expect_refused(const char* why = "leapt forward by 20.0 days") {
        const auto before = left();
        expect_error(ErrorCode::unavailable, [&] { enforce(); }, why);
        EXPECT_EQ(left(), before);
    }
};

TEST_F(ClockLeaps, NothingIsDeletedByThem) {
    back_up_daily("documents", 3);
    EXPECT_EQ(enforce().forgotten(), 0u);
    leap(days(20));
    expect_refused();
    // A backup that the wrong clock dates makes it no better.
    back_up("documents");
    expect_refused();
    EXPECT_EQ(enforce(true).forgotten(), 3u);
    expect_error(ErrorCode::unavailable, [&] { enforce_with({.idle = true}); }, "leapt forward");
    EXPECT_THAT(left(), SizeIs(4));
    EXPECT_EQ(enforce_with({.clock = true}).forgotten(), 3u);
    pass(days(8));
    back_up("documents");
    EXPECT_EQ(enforce().forgotten(), 1u) << "what was said once is remembered";
}

TEST_F(ClockLeaps, AreSeenByAllWhoUseTheRepository) {
    back_up_daily("documents", 3);
    EXPECT_THAT(look().why, IsEmpty());
    leap(days(20));
    EXPECT_TRUE(look().leapt);
    look();
    EXPECT_THAT(stated(), SizeIs(1)) << "once";
    back_up("documents");
    use_other_cache("other cache");
    expect_refused();
    back_up("documents");
    expect_refused("found on the machine");
    // Also where it says that it is right, the first believes it.
    EXPECT_EQ(enforce_with({.clock = true}).forgotten(), 3u);
    EXPECT_THAT(stated(), IsEmpty());
    use_other_cache("cache");
    EXPECT_THAT(look().why, IsEmpty());
    pass(days(8));
    back_up("documents");
    EXPECT_EQ(enforce().forgotten(), 2u);
}

TEST_F(ClockLeaps, AreNotOverForThatTheirStatementCannotBeRead) {
    back_up_daily("documents", 3);
    look();
    leap(days(20));
    look();
    const std::string name = store->list_all(std::string(statements_prefix)).front().name;
    Bytes bytes = *store->get(name, {}, {});
    bytes[bytes.size() / 2] ^= 1;
    store->corrupt(name, bytes);
    ASSERT_THAT(stated(), IsEmpty());
    EXPECT_TRUE(look().leapt);
    expect_error(ErrorCode::corrupt, [&] { enforce(); });
    store->remove(name, {});
    ASSERT_THAT(stated(), IsEmpty());
    EXPECT_TRUE(look().leapt);
    expect_refused();
}

TEST_F(ClockLeaps, AreOverForAllOnceTheClockIsSetBack) {
    back_up_daily("documents", 3);
    look();
    leap(days(20));
    look();
    leap(-days(20));
    EXPECT_THAT(look().why, IsEmpty());
    EXPECT_THAT(stated(), IsEmpty());
    use_other_cache("other cache");
    EXPECT_THAT(look().why, IsEmpty());
}

TEST_F(ClockLeaps, AreNotOverForOthersWhereTheClockIsOnlyBelievedNoMore) {
    back_up_daily("documents", 3);
    look();
    leap(days(20));
    look();
    // As behind a restart that sets it back in part.
    ClockMemory memory = clock_memory(*repository);
    std::filesystem::remove(scratch.file("cache/clock"));
    memory.look(ClockWitness{.newest = clock.now() - days(18)});
    memory.remember_stated(clock_doubt_name(*repository));
    EXPECT_THAT(look().why, HasSubstr("18.0 days"));
    EXPECT_THAT(stated(), SizeIs(1));
    pass(hours(25));
    EXPECT_THAT(look().why, IsEmpty());
    EXPECT_THAT(stated(), IsEmpty());
}

TEST_F(ClockLeaps, OfAnotherMachineConcernNoneThatShowsAnEarlierTime) {
    back_up_daily("documents", 3);
    look();
    leap(days(20));
    look();
    use_other_cache("other machine");
    leap(-days(20));
    EXPECT_THAT(look().why, IsEmpty());
    EXPECT_EQ(enforce_with({.clock = true}).forgotten(), 0u);
    EXPECT_THAT(stated(), SizeIs(1)) << "this one's is right, and says nothing of the other's";
    leap(days(20));
    use_other_cache("cache");
    EXPECT_TRUE(look().leapt);
}

// The right clock comes to where the wrong one was.
TEST_F(ClockLeaps, OfAnotherMachineAreNotOverForItWhereAClockIsSaidToBeRight) {
    const auto use_that_machine = [&] { use_other_cache("that machine"); };
    const auto use_this_machine = [&] { use_other_cache("this machine"); };
    const std::string name = "clock that machine";
    back_up_daily("documents", 3);
    use_this_machine();
    look();
    use_that_machine();
    look();
    leap(days(10));
    clock_memory(*repository).remember_stated(name); // every clock that is passed in has the same start
    state_clock_doubt(*repository, list_statements(repository->context()), name, "it leapt");
    ASSERT_TRUE(look().leapt);
    leap(-days(10));
    pass(days(10) + hours(1));
    back_up("documents");
    use_this_machine();
    expect_refused("found on the machine");
    EXPECT_EQ(enforce_with({.clock = true}).forgotten(), 3u);
    EXPECT_THAT(look().why, IsEmpty());
    pass(days(1));
    EXPECT_EQ(enforce().forgotten(), 0u) << "said once";
    EXPECT_THAT(stated(), SizeIs(1));
    leap(days(10));
    use_that_machine();
    expect_refused("leapt forward by 10.0 days");
    EXPECT_EQ(enforce_with({.clock = true}).forgotten(), 0u);
    EXPECT_THAT(stated(), IsEmpty()) << "this one may say so";
    EXPECT_EQ(enforce().forgotten(), 0u);
}

// A store that tells the same time may be on the same machine.
TEST_F(ClockLeaps, AStoreThatAgreesIsNoWitness) {
    back_up_daily("documents", 3);
    look();
    leap(days(20));
    ASSERT_EQ(clock_offset_seconds(*repository), 0);
    EXPECT_TRUE(look().leapt);
    expect_refused();
}

TEST_F(ClockLeaps, BackupsOnceAWeekAreNoReasonToDoubtAClockThatIsNewHere) {
    for (int week = 0; week < 3; ++week) {
        pass(days(7));
        back_up("documents");
    }
    pass(days(6));
    EXPECT_THAT(look().why, IsEmpty());
    EXPECT_EQ(enforce().forgotten(), 2u);
    pass(days(9));
    use_other_cache("never there before");
    expect_refused("since the newest snapshot");
    EXPECT_TRUE(look().is_first);
    use_other_cache("nor this one");
    EXPECT_EQ(enforce_with({.idle = true}).forgotten(), 0u);
}

TEST_F(ClockLeaps, TheNewestSnapshotOfAnySourceTellsHowLateItIs) {
    back_up_daily("documents", 3);
    back_up_daily("others", 12);
    EXPECT_EQ(
        enforce_retention(*repository, policies, {.source = "documents", .dry_run = false, .trust = {}}, {})
            .forgotten(),
        2u);
}

} // namespace
} // namespace holdfast
