#include "policy/schedule.h"
#include "support/error_matchers.h"

#include <set>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using test::expect_error;

Timestamp at(const char* text) { return from_rfc3339(text); }

Schedule nightly(std::optional<Duration> jitter = std::nullopt, const char* name = "orders") {
    return {CronExpression::parse("0 3 * * *"), TimeZone(), name, jitter};
}

TEST(Schedule, RunsAtItsTime) {
    const auto run = nightly().next(at("2026-11-20T03:00:00Z"));
    ASSERT_TRUE(run);
    EXPECT_EQ(to_rfc3339(run->nominal), "2026-11-21T03:00:00Z");
    EXPECT_EQ(run->begin, run->nominal);
}

TEST(Schedule, JitterIsTheSameAtEachEvaluationAndDiffersByName) {
    std::set<Timestamp> begins;
    for (int i = 0; i < 100; ++i) {
        const std::string name = "source-" + std::to_string(i);
        const Schedule schedule = nightly(hours(1), name.c_str());
        const auto run = schedule.next(at("2026-11-20T12:00:00Z"));
        ASSERT_TRUE(run);
        EXPECT_EQ(run, schedule.next(at("2026-11-20T23:00:00Z")));
        EXPECT_GE(run->begin, run->nominal);
        EXPECT_LT(run->begin, run->nominal + hours(1));
        begins.insert(run->begin);
    }
    // Spread over the hour, and not all within a part of it.
    EXPECT_GT(begins.size(), 80u);
    EXPECT_LT(*begins.begin(), at("2026-11-21T03:10:00Z"));
    EXPECT_GT(*begins.rbegin(), at("2026-11-21T03:50:00Z"));
}

TEST(Schedule, AWindowHasItsWholeLengthAsJitter) {
    const Schedule schedule(WeeklyWindow::parse("02:00-03:00", "window"), TimeZone(), "orders");
    std::set<Timestamp> offsets;
    Timestamp after = at("2026-11-20T12:00:00Z");
    for (int day = 0; day < 50; ++day) {
        const auto run = schedule.next(after);
        ASSERT_TRUE(run);
        EXPECT_LT(run->begin - run->nominal, hours(1));
        offsets.insert(Timestamp(run->begin - run->nominal));
        after = run->nominal;
    }
    EXPECT_GT(offsets.size(), 40u);
    EXPECT_EQ(to_rfc3339(after), "2027-01-09T02:00:00Z");
}

TEST(Schedule, MissedRunsBecomeOne) {
    const Schedule schedule = nightly();
    const auto due = schedule.due(at("2026-11-10T03:00:00Z"), at("2026-11-20T12:00:00Z"));
    ASSERT_TRUE(due);
    EXPECT_EQ(to_rfc3339(due->nominal), "2026-11-20T03:00:00Z");
    EXPECT_FALSE(schedule.due(due->nominal, at("2026-11-20T12:00:00Z")));
    EXPECT_TRUE(schedule.due(due->nominal, at("2026-11-21T03:00:00Z")));
}

TEST(Schedule, ADelayedRunIsNotDueBeforeItsDelayHasPassed) {
    const Schedule schedule = nightly(hours(1));
    const auto run = schedule.next(at("2026-11-20T12:00:00Z"));
    ASSERT_TRUE(run);
    ASSERT_GT(run->begin, run->nominal);
    const Timestamp last = at("2026-11-20T03:00:00Z");
    EXPECT_FALSE(schedule.due(last, run->begin - minutes(1)));
    EXPECT_EQ(schedule.due(last, run->begin), run);
    // The one before is found behind one that waits.
    const auto earlier = schedule.due(at("2026-11-19T03:00:00Z"), run->nominal);
    ASSERT_TRUE(earlier);
    EXPECT_EQ(earlier->nominal, last);
}

TEST(Schedule, EqualIntervals) {
    const Schedule schedule(Schedule::Every{minutes(15)}, TimeZone(), "orders");
    EXPECT_EQ(to_rfc3339(schedule.next(at("2026-11-20T12:00:00Z"))->nominal), "2026-11-20T12:15:00Z");
    EXPECT_EQ(to_rfc3339(schedule.due(at("2026-11-20T12:00:00Z"), at("2026-11-20T12:47:00Z"))->nominal),
              "2026-11-20T12:45:00Z");
    EXPECT_EQ(to_rfc3339(schedule.next(at("1969-12-31T23:50:01Z"))->nominal), "1970-01-01T00:00:00Z");
}

TEST(Schedule, RefusesWhatCannotBe) {
    expect_error(ErrorCode::usage, [] { nightly(hours(25)); }, "jitter");
    expect_error(ErrorCode::usage, [] { nightly(-minutes(1)); }, "jitter");
    expect_error(
        ErrorCode::usage, [] { Schedule(Schedule::Every{minutes(5)}, TimeZone(), "x", minutes(6)); },
        "interval");
    expect_error(
        ErrorCode::usage, [] { Schedule(Schedule::Every{Duration::zero()}, TimeZone(), "x"); },
        "once a second");
}

TEST(Period, ReadsAndWritesLengths) {
    for (const char* text : {"90s", "30min", "24h", "30d", "12mo", "7y", "5w"}) {
        const Period period = Period::parse(text, "x");
        EXPECT_EQ(Period::parse(period.text(), "x"), period) << text;
    }
    EXPECT_EQ(Period::parse("24mo", "x").text(), "2y");
    EXPECT_EQ(Period::parse("1d", "x").seconds, 86'400);
    for (const char* text : {"", "d", "-1d", "0d", "1", "1x", "1d2h", "101y", "99999999999999s"})
        expect_error(ErrorCode::usage, [&] { Period::parse(text, "daily"); }, "daily");
    expect_error(ErrorCode::usage, [] { Period::parse("5m", "x"); }, "minutes or months");
}

TEST(Period, GoesByTheCalendar) {
    const TimeZone berlin = TimeZone::named("Europe/Berlin");
    const auto after = [&](const char* period, const char* time) {
        return to_rfc3339(Period::parse(period, "x").after(at(time), berlin));
    };
    EXPECT_EQ(after("1mo", "2027-01-31T11:00:00Z"), "2027-02-28T11:00:00Z");
    EXPECT_EQ(after("1y", "2028-02-29T11:00:00Z"), "2029-02-28T11:00:00Z");
    // At the same local time, an hour nearer to UTC in summer.
    EXPECT_EQ(after("6mo", "2027-01-15T11:00:00Z"), "2027-07-15T10:00:00Z");
    EXPECT_EQ(after("1mo", "2027-02-28T01:30:00.5Z"), "2027-03-28T01:00:00.5Z"); // 02:30 does not exist
    EXPECT_EQ(after("30d", "2027-03-10T11:00:00Z"), "2027-04-09T11:00:00Z");
}

TEST(TimeZone, RefusesWhatTheDatabaseDoesNotHave) {
    expect_error(ErrorCode::usage, [] { TimeZone::named("Europe/Atlantis"); }, "Europe/Atlantis");
}

TEST(WeeklyWindow, Reads) {
    const TimeZone utc;
    const auto next = [&](const char* text, const char* after) {
        const TimeSpan span = WeeklyWindow::parse(text, "window").next(at(after), utc);
        return to_rfc3339(span.begin) + " " + to_rfc3339(span.end);
    };
    EXPECT_EQ(next("02:00-03:00", "2026-11-20T02:00:00Z"), "2026-11-21T02:00:00Z 2026-11-21T03:00:00Z");
    EXPECT_EQ(next("sun 04:00-05:30", "2026-11-20T02:00:00Z"), "2026-11-22T04:00:00Z 2026-11-22T05:30:00Z");
    EXPECT_EQ(next("mon-fri 22:00-02:00", "2026-11-20T23:00:00Z"),
              "2026-11-23T22:00:00Z 2026-11-24T02:00:00Z");
    EXPECT_EQ(next("sat,sun 00:00-24:00", "2026-11-21T00:00:00Z"),
              "2026-11-22T00:00:00Z 2026-11-23T00:00:00Z");
    EXPECT_EQ(next("fri-mon 12:00-13:00", "2026-11-23T12:00:00Z"),
              "2026-11-27T12:00:00Z 2026-11-27T13:00:00Z");
    for (const char* text :
         {"", "02:00", "2:00-3:00", "02:00-02:00", "24:00-01:00", "25:00-26:00", "02:60-03:00",
          "foo 02:00-03:00", "mon- 02:00-03:00", "mon,, 02:00-03:00", "02:00-03:00x"})
        expect_error(
            ErrorCode::usage, [&] { WeeklyWindow::parse(text, "policy.x.window"); }, "policy.x.window");
}

TEST(WeeklyWindow, ContainsItsBeginningAndNotItsEnd) {
    const TimeZone utc;
    const WeeklyWindow window = WeeklyWindow::parse("fri 22:00-02:00", "window");
    EXPECT_FALSE(window.contains(at("2026-11-20T21:59:59Z"), utc));
    EXPECT_TRUE(window.contains(at("2026-11-20T22:00:00Z"), utc));
    EXPECT_TRUE(window.contains(at("2026-11-21T01:59:59Z"), utc));
    EXPECT_FALSE(window.contains(at("2026-11-21T02:00:00Z"), utc));
}

TEST(WeeklyWindow, FollowsTheClock) {
    const TimeZone berlin = TimeZone::named("Europe/Berlin");
    const WeeklyWindow window = WeeklyWindow::parse("01:30-03:30", "window");
    const TimeSpan spring = window.next(at("2027-03-27T12:00:00Z"), berlin);
    EXPECT_EQ(spring.end - spring.begin, hours(1));
    const TimeSpan autumn = window.next(at("2027-10-30T12:00:00Z"), berlin);
    EXPECT_EQ(autumn.end - autumn.begin, hours(3));
    // One within the hour that does not exist does not vanish.
    const TimeSpan gap =
        WeeklyWindow::parse("02:10-02:50", "window").next(at("2027-03-27T12:00:00Z"), berlin);
    EXPECT_EQ(to_rfc3339(gap.begin), "2027-03-28T01:00:00Z");
    EXPECT_GT(gap.end, gap.begin);
}

TEST(WeeklyWindow, OverlapsAreFoundAcrossZones) {
    const TimeZone utc, berlin = TimeZone::named("Europe/Berlin");
    const auto overlap = [&](const char* a, const TimeZone& zone_a, const char* b, const TimeZone& zone_b) {
        return first_overlap(WeeklyWindow::parse(a, "a"), zone_a, WeeklyWindow::parse(b, "b"), zone_b,
                             at("2026-11-20T00:00:00Z"));
    };
    EXPECT_FALSE(overlap("02:00-03:00", utc, "sun 03:00-04:00", utc));
    const auto sunday = overlap("02:00-03:00", utc, "sun 02:30-04:00", utc);
    ASSERT_TRUE(sunday);
    EXPECT_EQ(to_rfc3339(sunday->begin), "2026-11-22T02:30:00Z");
    EXPECT_EQ(to_rfc3339(sunday->end), "2026-11-22T03:00:00Z");
    // Apart in winter, together in summer.
    const auto summer = overlap("01:00-02:00", utc, "03:00-04:00", berlin);
    ASSERT_TRUE(summer);
    EXPECT_EQ(to_rfc3339(summer->begin), "2027-03-28T01:00:00Z");
    EXPECT_TRUE(overlap("23:00-01:00", utc, "00:30-00:45", utc));
}

} // namespace
} // namespace holdfast
