#include "policy/cron_expression.h"
#include "support/error_matchers.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using test::expect_error;

std::string next_of(const char* cron, const char* after, const char* zone = "UTC") {
    const auto run = CronExpression::parse(cron).next(from_rfc3339(after), TimeZone::named(zone));
    return run ? to_rfc3339(*run) : "never";
}

std::string previous_of(const char* cron, const char* time, const char* zone = "UTC") {
    const auto run = CronExpression::parse(cron).previous(from_rfc3339(time), TimeZone::named(zone));
    return run ? to_rfc3339(*run) : "never";
}

TEST(CronExpression, FindsTheNextRun) {
    EXPECT_EQ(next_of("30 2 * * *", "2026-11-20T02:29:59Z"), "2026-11-20T02:30:00Z");
    EXPECT_EQ(next_of("30 2 * * *", "2026-11-20T02:30:00Z"), "2026-11-21T02:30:00Z");
    EXPECT_EQ(next_of("*/15 * * * *", "2026-11-20T23:46:00Z"), "2026-11-21T00:00:00Z");
    EXPECT_EQ(next_of("0 8-18/5 * * mon-fri", "2026-11-20T13:00:01Z"), "2026-11-20T18:00:00Z");
    EXPECT_EQ(next_of("0 8-18/5 * * mon-fri", "2026-11-20T18:00:00Z"), "2026-11-23T08:00:00Z");
    EXPECT_EQ(next_of("5/20 0 1,15 jan,JUL *", "2026-11-20T00:00:00Z"), "2027-01-01T00:05:00Z");
    EXPECT_EQ(next_of("0 0 29 2 *", "2026-11-20T00:00:00Z"), "2028-02-29T00:00:00Z");
    EXPECT_EQ(next_of("0 0 29 2 *", "2096-03-01T00:00:00Z"), "2104-02-29T00:00:00Z");
    EXPECT_EQ(next_of("0 0 * * 7", "2026-11-20T00:00:00Z"), "2026-11-22T00:00:00Z");
    EXPECT_EQ(next_of("0 0 * * 5-7", "2026-11-20T00:00:00Z"), "2026-11-21T00:00:00Z");
}

TEST(CronExpression, FindsTheLastRun) {
    EXPECT_EQ(previous_of("30 2 * * *", "2026-11-20T02:30:00Z"), "2026-11-20T02:30:00Z");
    EXPECT_EQ(previous_of("30 2 * * *", "2026-11-20T02:29:59Z"), "2026-11-19T02:30:00Z");
    EXPECT_EQ(previous_of("0 0 29 2 *", "2026-11-20T00:00:00Z"), "2024-02-29T00:00:00Z");
}

TEST(CronExpression, KnowsNicknames) {
    EXPECT_EQ(next_of("@hourly", "2026-11-20T10:00:00Z"), "2026-11-20T11:00:00Z");
    EXPECT_EQ(next_of("@daily", "2026-11-20T10:00:00Z"), "2026-11-21T00:00:00Z");
    EXPECT_EQ(next_of("@weekly", "2026-11-20T10:00:00Z"), "2026-11-22T00:00:00Z");
    EXPECT_EQ(next_of("@monthly", "2026-11-20T10:00:00Z"), "2026-12-01T00:00:00Z");
    EXPECT_EQ(next_of("@Yearly", "2026-11-20T10:00:00Z"), "2027-01-01T00:00:00Z");
}

TEST(CronExpression, KnowsTheNthAndTheLastDay) {
    EXPECT_EQ(next_of("0 3 * * mon#1", "2026-11-20T00:00:00Z"), "2026-12-07T03:00:00Z");
    EXPECT_EQ(next_of("0 3 * * fri#5", "2026-11-20T00:00:00Z"), "2027-01-29T03:00:00Z");
    EXPECT_EQ(next_of("0 3 * * sunL", "2026-11-20T00:00:00Z"), "2026-11-29T03:00:00Z");
    EXPECT_EQ(next_of("0 3 * * 7#2", "2026-11-20T00:00:00Z"), "2026-12-13T03:00:00Z");
    EXPECT_EQ(next_of("0 3 L * *", "2026-11-20T00:00:00Z"), "2026-11-30T03:00:00Z");
    EXPECT_EQ(next_of("0 3 L feb *", "2027-03-01T00:00:00Z"), "2028-02-29T03:00:00Z");
    EXPECT_EQ(next_of("0 3 1,L * *", "2026-11-30T03:00:00Z"), "2026-12-01T03:00:00Z");
}

// crontab(5): either makes a match when both are restricted.
TEST(CronExpression, TakesEitherKindOfDay) {
    EXPECT_EQ(next_of("0 0 13 * fri", "2026-11-20T00:00:00Z"), "2026-11-27T00:00:00Z");
    EXPECT_EQ(next_of("0 0 13 * fri", "2026-12-11T00:00:00Z"), "2026-12-13T00:00:00Z");
    // "*/2" is restricted in what it matches, but begins with a star: both must fit.
    EXPECT_EQ(next_of("0 0 */2 * fri", "2026-11-20T00:00:00Z"), "2026-11-27T00:00:00Z");
    EXPECT_EQ(next_of("0 0 */2 * fri", "2026-11-27T00:00:00Z"), "2026-12-11T00:00:00Z");
}

// Berlin leaves out 02:00 to 03:00 on 28 March 2027.
TEST(CronExpression, StatedHoursRunOnceWhenTheClockIsPutForward) {
    EXPECT_EQ(next_of("30 2 * * *", "2027-03-27T12:00:00Z", "Europe/Berlin"), "2027-03-28T01:00:00Z");
    EXPECT_EQ(next_of("0,15,30 2 * * *", "2027-03-28T01:00:00Z", "Europe/Berlin"), "2027-03-29T00:00:00Z");
    EXPECT_EQ(previous_of("30 2 * * *", "2027-03-28T12:00:00Z", "Europe/Berlin"), "2027-03-28T01:00:00Z");
}

TEST(CronExpression, AnyHourRunsOnThroughIt) {
    EXPECT_EQ(next_of("*/30 * * * *", "2027-03-28T00:30:00Z", "Europe/Berlin"), "2027-03-28T01:00:00Z");
    EXPECT_EQ(next_of("*/30 * * * *", "2027-03-28T01:00:00Z", "Europe/Berlin"), "2027-03-28T01:30:00Z");
}

// Berlin has 02:00 to 03:00 twice on 31 October 2027.
TEST(CronExpression, StatedHoursRunInTheFirstOfTwo) {
    EXPECT_EQ(next_of("30 2 * * *", "2027-10-30T12:00:00Z", "Europe/Berlin"), "2027-10-31T00:30:00Z");
    EXPECT_EQ(next_of("30 2 * * *", "2027-10-31T00:30:00Z", "Europe/Berlin"), "2027-11-01T01:30:00Z");
}

TEST(CronExpression, AnyHourRunsInBoth) {
    EXPECT_EQ(next_of("30 * * * *", "2027-10-31T00:30:00Z", "Europe/Berlin"), "2027-10-31T01:30:00Z");
    EXPECT_EQ(previous_of("30 * * * *", "2027-10-31T01:29:59Z", "Europe/Berlin"), "2027-10-31T00:30:00Z");
}

// Samoa had no 30 December 2011.
TEST(CronExpression, RunsLaterWhereADayIsLeftOut) {
    EXPECT_EQ(next_of("0 12 30 12 *", "2011-12-01T00:00:00Z", "Pacific/Apia"), "2011-12-30T10:00:00Z");
}

// Every minute of a year against what the fields say, by a way of its own.
TEST(CronExpression, RunsExactlyWhereTheFieldsFit) {
    const CronExpression cron = CronExpression::parse("7-59/13 */5 1-10,20 */3 1,3");
    const TimeZone utc;
    const Timestamp begin = from_rfc3339("2027-01-01T00:00:00Z"), end = from_rfc3339("2028-01-01T00:00:00Z");
    std::vector<Timestamp> expected;
    for (Timestamp time = begin; time < end; time += std::chrono::minutes(1)) {
        const auto day = std::chrono::floor<std::chrono::days>(time);
        const std::chrono::year_month_day date{day};
        const auto of_day = std::chrono::floor<std::chrono::minutes>(time - day).count();
        const auto minute = of_day % 60, hour = of_day / 60;
        const auto month = static_cast<unsigned>(date.month()), of_month = static_cast<unsigned>(date.day());
        const unsigned of_week = std::chrono::weekday{day}.c_encoding();
        if (minute < 7 || (minute - 7) % 13 != 0 || hour % 5 != 0 || (month - 1) % 3 != 0) continue;
        if (of_month <= 10 || of_month == 20 || of_week == 1 || of_week == 3) expected.push_back(time);
    }
    ASSERT_GT(expected.size(), 1000u);
    std::vector<Timestamp> found;
    for (auto run = cron.next(begin - std::chrono::nanoseconds(1), utc); run && *run < end;
         run = cron.next(*run, utc))
        found.push_back(*run);
    EXPECT_EQ(found, expected);
    std::vector<Timestamp> backwards;
    for (auto run = cron.previous(end, utc); run && *run >= begin;
         run = cron.previous(*run - std::chrono::nanoseconds(1), utc))
        backwards.insert(backwards.begin(), *run);
    EXPECT_EQ(backwards, expected);
}

TEST(CronExpression, NamesTheFieldThatIsWrong) {
    const auto refused = [](const char* text, const char* why) {
        expect_error(ErrorCode::usage, [&] { CronExpression::parse(text); }, why);
    };
    refused("", "is no cron expression");
    refused("* * * *", "is no cron expression");
    refused("* * * * * *", "is no cron expression");
    refused("60 * * * *", "minute '60'");
    refused("* 24 * * *", "hour '24'");
    refused("* * 0 * *", "day of the month '0'");
    refused("* * * 13 *", "month '13'");
    refused("* * * * 8", "day of the week '8'");
    refused("* * * foo *", "month 'foo'");
    refused("5-1 * * * *", "ends before it begins");
    refused("*/0 * * * *", "step");
    refused("1, * * * *", "minute ''");
    refused("* * * * mon#6", "1 to 5");
    refused("99999999999 * * * *", "minute");
    refused("0 0 30 2 *", "never comes");
    refused(std::string(5000, '1').c_str(), "is no cron expression");
}

} // namespace
} // namespace holdfast
