#include "base/clock.h"
#include "base/random.h"
#include "support/error_matchers.h"

#include <thread>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using namespace std::chrono_literals;
using test::code_of;
using test::error_of;

Timestamp at(std::int64_t seconds, std::int64_t nanoseconds = 0) {
    return Timestamp(std::chrono::seconds(seconds) + std::chrono::nanoseconds(nanoseconds));
}

TEST(Rfc3339, KnownTimes) {
    EXPECT_EQ(to_rfc3339(at(0)), "1970-01-01T00:00:00Z");
    EXPECT_EQ(to_rfc3339(at(951'782'400)), "2000-02-29T00:00:00Z");
    EXPECT_EQ(to_rfc3339(at(1'795'218'861, 123'456'789)), "2026-11-20T23:54:21.123456789Z");
    EXPECT_EQ(to_rfc3339(at(-1)), "1969-12-31T23:59:59Z");
    EXPECT_EQ(from_rfc3339("2000-02-29T00:00:00Z"), at(951'782'400));
    EXPECT_EQ(from_rfc3339("1969-12-31T23:59:59Z"), at(-1));
}

TEST(Rfc3339, FractionsAreShortestAndExact) {
    EXPECT_EQ(to_rfc3339(at(0, 500'000'000)), "1970-01-01T00:00:00.5Z");
    EXPECT_EQ(to_rfc3339(at(0, 1)), "1970-01-01T00:00:00.000000001Z");
    EXPECT_EQ(to_rfc3339(at(-1, 1)), "1969-12-31T23:59:59.000000001Z");
    EXPECT_EQ(from_rfc3339("1970-01-01T00:00:00.5Z"), at(0, 500'000'000));
    EXPECT_EQ(from_rfc3339("1970-01-01T00:00:00.1234567899999Z"), at(0, 123'456'789));
}

TEST(Rfc3339, OffsetsOfEitherSign) {
    EXPECT_EQ(from_rfc3339("2026-11-21T01:54:21+02:00"), from_rfc3339("2026-11-20T23:54:21Z"));
    EXPECT_EQ(from_rfc3339("2026-11-20T18:24:21-05:30"), from_rfc3339("2026-11-20T23:54:21Z"));
    EXPECT_EQ(from_rfc3339("2026-11-20t23:54:21z"), from_rfc3339("2026-11-20 23:54:21-00:00"));
}

TEST(Rfc3339, ALeapSecondIsTheNextDaysFirst) {
    EXPECT_EQ(from_rfc3339("2016-12-31T23:59:60Z"), from_rfc3339("2017-01-01T00:00:00Z"));
    EXPECT_EQ(from_rfc3339("2017-01-01T01:59:60+02:00"), from_rfc3339("2017-01-01T00:00:00Z"));
    EXPECT_EQ(code_of([] { from_rfc3339("2016-12-31T12:00:60Z"); }), "usage");
}

TEST(Rfc3339, RandomTimesReadBack) {
    SeededRandom random(5);
    for (int i = 0; i < 20'000; ++i) {
        // Of all magnitudes, up to a century and a half either way.
        const auto nanoseconds = static_cast<std::int64_t>(random.u64()) >> (1 + random.below(62));
        const Timestamp time{std::chrono::nanoseconds(nanoseconds)};
        EXPECT_EQ(from_rfc3339(to_rfc3339(time)), time) << nanoseconds;
    }
}

TEST(Rfc3339, RefusesTimesThatDoNotFit) {
    for (const char* text : {"0000-01-01T00:00:00Z", "1600-01-01T00:00:00Z", "2262-04-11T23:47:17Z",
                             "2300-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z"}) {
        const auto error = error_of([&] { from_rfc3339(text); });
        ASSERT_TRUE(error) << text;
        EXPECT_EQ(error->code(), ErrorCode::usage);
        EXPECT_NE(error->message().find(text), std::string::npos);
    }
    EXPECT_EQ(to_rfc3339(Timestamp::min()), "1677-09-21T00:12:43.145224192Z");
    EXPECT_EQ(to_rfc3339(Timestamp::max()), "2262-04-11T23:47:16.854775807Z");
    EXPECT_EQ(to_rfc3339(from_rfc3339("2262-04-11T23:47:15Z")), "2262-04-11T23:47:15Z");
    EXPECT_EQ(to_rfc3339(from_rfc3339("1677-09-21T00:12:44Z")), "1677-09-21T00:12:44Z");
}

TEST(Rfc3339, ATimeWithoutZoneIsRefusedAndToldSo) {
    for (const char* text : {"2026-11-20T23:54:21", "2026-11-20 23:54:21.5"}) {
        const auto error = error_of([&] { from_rfc3339(text); });
        ASSERT_TRUE(error) << text;
        EXPECT_EQ(error->code(), ErrorCode::usage);
        EXPECT_NE(error->message().find("no time zone"), std::string::npos) << error->message();
        EXPECT_NE(error->hint().find("+02:00"), std::string::npos);
    }
}

TEST(Rfc3339, RefusesRubbish) {
    for (const char* text : {"",
                             "now",
                             "2026",
                             "2026-11-20",
                             "2026-11-20T23:54:21",
                             "2026-11-20T23:54Z",
                             "2026-11-20T23:54:21.Z",
                             "2026-02-29T00:00:00Z",
                             "2100-02-29T00:00:00Z",
                             "2026-13-01T00:00:00Z",
                             "2026-00-01T00:00:00Z",
                             "2026-04-31T00:00:00Z",
                             "2026-11-20T24:00:00Z",
                             "2026-11-20T23:60:00Z",
                             "2026-11-20T23:54:61Z",
                             "2026-11-20T23:54:21+2:00",
                             "2026-11-20T23:54:21+02",
                             "2026-11-20T23:54:21+24:00",
                             "2026-11-20T23:54:21Zz",
                             " 2026-11-20T23:54:21Z",
                             "2026-11-20T23:54:21Z ",
                             "-026-11-20T23:54:21Z",
                             "2026/11/20T23:54:21Z",
                             "2026-11-20T23:54:21,5Z"}) {
        EXPECT_EQ(code_of([&] { from_rfc3339(text); }), "usage") << text;
    }
}

TEST(FakeClock, StandsStillUntilMoved) {
    FakeClock clock(at(100));
    EXPECT_EQ(clock.now(), at(100));
    EXPECT_EQ(clock.now(), at(100));
    const Duration start = clock.steady();
    clock.advance(5s);
    EXPECT_EQ(clock.now(), at(105));
    EXPECT_EQ(clock.steady() - start, 5s);
}

TEST(FakeClock, SleepingMovesBothTimesAtOnce) {
    FakeClock clock(at(100));
    const Duration start = clock.steady();
    EXPECT_TRUE(clock.sleep_for(24h));
    EXPECT_EQ(clock.now(), at(100 + 86'400));
    EXPECT_EQ(clock.steady() - start, 24h);
    EXPECT_TRUE(clock.sleep_for(-1h));
    EXPECT_EQ(clock.steady() - start, 24h);
}

TEST(FakeClock, AStoppedSleepDoesNotMoveIt) {
    FakeClock clock(at(100));
    std::stop_source stop;
    stop.request_stop();
    EXPECT_FALSE(clock.sleep_for(1h, stop.get_token()));
    EXPECT_EQ(clock.now(), at(100));
}

TEST(FakeClock, TheTimeOfDayMayGoBackButSteadyTimeDoesNot) {
    FakeClock clock(at(1000));
    const Duration start = clock.steady();
    clock.set_time_of_day(at(10));
    EXPECT_EQ(clock.now(), at(10));
    EXPECT_EQ(clock.steady(), start);
}

TEST(SystemClock, SteadyTimeGrowsAndSleepLastsAtLeastItsTime) {
    Clock& clock = system_clock();
    const Duration start = clock.steady();
    EXPECT_TRUE(clock.sleep_for(2ms));
    EXPECT_GE(clock.steady() - start, 2ms);
    EXPECT_GT(clock.now(), from_rfc3339("2020-01-01T00:00:00Z"));
}

TEST(SystemClock, AStopEndsALongSleep) {
    std::stop_source stop;
    bool slept_to_the_end = true;
    std::jthread sleeper([&] { slept_to_the_end = system_clock().sleep_for(24h, stop.get_token()); });
    stop.request_stop();
    sleeper.join();
    EXPECT_FALSE(slept_to_the_end);
}

} // namespace
} // namespace holdfast
