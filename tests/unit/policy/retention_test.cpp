#include "policy/retention_decision.h"
#include "policy/retention_forecast.h"
#include "support/error_matchers.h"

#include <algorithm>
#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using std::chrono::days;
using std::chrono::hours;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

Timestamp at(const std::string& text) { return from_rfc3339(text); }

RetentionSubject made(const std::string& time, const std::string& class_name = {}) {
    RetentionSubject subject;
    subject.id = time;
    subject.time = subject.end = at(time);
    subject.class_name = class_name;
    return subject;
}

Period period(const char* text) { return Period::parse(text, "test"); }

// The ids of those that stay, oldest first.
std::vector<std::string> kept(const RetentionPolicy& policy, const std::vector<RetentionSubject>& snapshots,
                              const std::string& now) {
    const auto decisions = decide_retention(policy, snapshots, at(now));
    EXPECT_EQ(decisions.size(), snapshots.size());
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < decisions.size(); ++i) {
        EXPECT_FALSE(decisions[i].reasons.empty());
        if (decisions[i].keep) ids.push_back(snapshots[i].id);
    }
    std::ranges::sort(ids);
    return ids;
}

std::vector<RetentionSubject> daily(const std::string& first, int count) {
    std::vector<RetentionSubject> snapshots;
    for (int day = 0; day < count; ++day) snapshots.push_back(made(to_rfc3339(at(first) + days(day))));
    return snapshots;
}

TEST(Retention, KeepsTheLast) {
    RetentionPolicy policy;
    policy.rules.last = 2;
    EXPECT_THAT(kept(policy, daily("2026-11-01T03:00:00Z", 5), "2026-11-20T00:00:00Z"),
                ElementsAre("2026-11-04T03:00:00Z", "2026-11-05T03:00:00Z"));
}

TEST(Retention, ADamagedOneUsesUpNoNumber) {
    RetentionPolicy policy;
    policy.rules.last = 2;
    auto snapshots = daily("2026-11-01T03:00:00Z", 5);
    snapshots[3].damaged = true;
    EXPECT_THAT(kept(policy, snapshots, "2026-11-20T00:00:00Z"),
                ElementsAre("2026-11-03T03:00:00Z", "2026-11-05T03:00:00Z"));
}

TEST(Retention, TheNewestAndTheNewestGoodStayWithoutAnyRule) {
    auto snapshots = daily("2026-11-01T03:00:00Z", 5);
    EXPECT_THAT(kept({}, snapshots, "2036-11-20T00:00:00Z"), ElementsAre("2026-11-05T03:00:00Z"));
    snapshots[4].complete = false;
    snapshots[3].damaged = true;
    EXPECT_THAT(kept({}, snapshots, "2036-11-20T00:00:00Z"),
                ElementsAre("2026-11-03T03:00:00Z", "2026-11-05T03:00:00Z"));
    const auto decisions = decide_retention({}, snapshots, at("2036-11-20T00:00:00Z"));
    EXPECT_THAT(decisions[2].reasons, ElementsAre("the newest good one"));
    EXPECT_THAT(decisions[4].reasons, ElementsAre("the newest"));
    EXPECT_THAT(decisions[0].reasons, ElementsAre("no rule keeps it"));
}

TEST(Retention, WithinCountsFromTheSnapshot) {
    RetentionPolicy policy;
    policy.rules.within = period("7d");
    EXPECT_THAT(kept(policy, daily("2026-11-01T03:00:00Z", 10), "2026-11-15T03:00:00Z"),
                ElementsAre("2026-11-09T03:00:00Z", "2026-11-10T03:00:00Z"));
}

TEST(Retention, OfADayTheNewestGoodOneCounts) {
    RetentionPolicy policy;
    policy.rules.daily = 2u;
    std::vector<RetentionSubject> snapshots{made("2026-11-18T03:00:00Z"), made("2026-11-18T15:00:00Z"),
                                            made("2026-11-19T03:00:00Z"), made("2026-11-19T15:00:00Z"),
                                            made("2026-11-20T03:00:00Z")};
    EXPECT_THAT(kept(policy, snapshots, "2026-11-20T12:00:00Z"),
                ElementsAre("2026-11-19T15:00:00Z", "2026-11-20T03:00:00Z"));
    snapshots[3].complete = false;
    EXPECT_THAT(kept(policy, snapshots, "2026-11-20T12:00:00Z"),
                ElementsAre("2026-11-19T03:00:00Z", "2026-11-20T03:00:00Z"));
    // A partial one counts where there is no better one.
    snapshots[2].damaged = true;
    EXPECT_THAT(kept(policy, snapshots, "2026-11-20T12:00:00Z"),
                ElementsAre("2026-11-19T15:00:00Z", "2026-11-20T03:00:00Z"));
    // A day of which all are damaged does not count, and neither goes for it.
    snapshots[3].damaged = true;
    EXPECT_THAT(kept(policy, snapshots, "2026-11-20T12:00:00Z"),
                ElementsAre("2026-11-18T15:00:00Z", "2026-11-19T15:00:00Z", "2026-11-20T03:00:00Z"));
}

TEST(Retention, DaysBeginInTheZoneOfThePolicy) {
    RetentionPolicy policy;
    policy.rules.daily = 1u;
    const std::vector<RetentionSubject> snapshots{made("2026-11-19T22:30:00Z"), made("2026-11-19T23:30:00Z")};
    // Both on the 19th by UTC: one stays; in Berlin the second is of the 20th.
    EXPECT_EQ(kept(policy, snapshots, "2026-11-20T12:00:00Z").size(), 1u);
    policy.rules.daily = 2u;
    policy.zone = TimeZone::named("Europe/Berlin");
    EXPECT_EQ(kept(policy, snapshots, "2026-11-20T12:00:00Z").size(), 2u);
}

TEST(Retention, GrandfathersFathersAndSons) {
    RetentionPolicy policy;
    policy.rules.daily = 7u;
    policy.rules.weekly = 4u;
    policy.rules.monthly = 12u;
    policy.rules.yearly = 3u;
    const auto ids = kept(policy, daily("2022-01-01T03:00:00Z", 1500), "2026-02-09T00:00:00Z");
    EXPECT_THAT(ids, ElementsAre("2024-12-31T03:00:00Z", // 2024; 2025 is among the months
                                 "2025-03-31T03:00:00Z", "2025-04-30T03:00:00Z", "2025-05-31T03:00:00Z",
                                 "2025-06-30T03:00:00Z", "2025-07-31T03:00:00Z", "2025-08-31T03:00:00Z",
                                 "2025-09-30T03:00:00Z", "2025-10-31T03:00:00Z", "2025-11-30T03:00:00Z",
                                 "2025-12-31T03:00:00Z", // a year, too
                                 "2026-01-18T03:00:00Z", "2026-01-25T03:00:00Z", "2026-01-31T03:00:00Z",
                                 "2026-02-01T03:00:00Z", "2026-02-02T03:00:00Z", "2026-02-03T03:00:00Z",
                                 "2026-02-04T03:00:00Z", "2026-02-05T03:00:00Z", "2026-02-06T03:00:00Z",
                                 "2026-02-07T03:00:00Z", "2026-02-08T03:00:00Z"));
}

TEST(Retention, LengthsOfTimeInsteadOfNumbers) {
    RetentionPolicy policy;
    policy.rules.weekly = period("3w");
    // Sundays are the newest of their weeks.
    EXPECT_THAT(kept(policy, daily("2026-10-01T03:00:00Z", 50), "2026-11-20T00:00:00Z"),
                ElementsAre("2026-11-01T03:00:00Z", "2026-11-08T03:00:00Z", "2026-11-15T03:00:00Z",
                            "2026-11-19T03:00:00Z"));
}

TEST(Retention, ClassesHaveRulesOfTheirOwn) {
    RetentionPolicy policy;
    policy.rules.within = period("30d");
    policy.classes["incremental"].within = period("7d");
    const std::vector<RetentionSubject> snapshots{
        made("2026-11-01T03:00:00Z", "full"), made("2026-11-02T03:00:00Z", "incremental"),
        made("2026-11-14T03:00:00Z", "incremental"), made("2026-11-15T03:00:00Z", "full")};
    EXPECT_THAT(kept(policy, snapshots, "2026-11-20T00:00:00Z"),
                ElementsAre("2026-11-01T03:00:00Z", "2026-11-14T03:00:00Z", "2026-11-15T03:00:00Z"));
    const auto decisions = decide_retention(policy, snapshots, at("2026-11-20T00:00:00Z"));
    EXPECT_THAT(decisions[1].reasons, ElementsAre("no rule for incremental keeps it"));
}

TEST(Retention, WhatWasMadeForAReasonNeedsARuleOfItsOwnToGo) {
    RetentionPolicy policy;
    policy.rules.last = 1;
    std::vector<RetentionSubject> snapshots{
        made("2020-01-01T00:00:00Z", "manual"), made("2020-01-02T00:00:00Z", "pre-maintenance"),
        made("2020-01-03T00:00:00Z", "forensic"), made("2020-01-04T00:00:00Z", "other"),
        made("2026-01-01T00:00:00Z")};
    EXPECT_THAT(kept(policy, snapshots, "2026-11-20T00:00:00Z"),
                ElementsAre("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z", "2020-01-03T00:00:00Z",
                            "2026-01-01T00:00:00Z"));
    policy.classes["manual"].within = period("30d");
    EXPECT_THAT(kept(policy, snapshots, "2026-11-20T00:00:00Z"),
                ElementsAre("2020-01-02T00:00:00Z", "2020-01-03T00:00:00Z", "2026-01-01T00:00:00Z"));
}

TEST(Retention, ATimeToLiveGoesBeforeRules) {
    RetentionPolicy policy;
    policy.rules.within = period("30d");
    auto snapshots = daily("2026-11-10T03:00:00Z", 3);
    snapshots[0].expires = at("2026-11-11T00:00:00Z");
    EXPECT_THAT(kept(policy, snapshots, "2026-11-20T00:00:00Z"),
                ElementsAre("2026-11-11T03:00:00Z", "2026-11-12T03:00:00Z"));
    snapshots[0].expires = at("2028-11-11T00:00:00Z");
    EXPECT_THAT(kept(policy, snapshots, "2028-11-10T00:00:00Z"),
                ElementsAre("2026-11-10T03:00:00Z", "2026-11-12T03:00:00Z"));
    // Not even that takes the last good one.
    snapshots[2].expires = at("2026-11-12T12:00:00Z");
    EXPECT_THAT(kept(policy, snapshots, "2029-11-10T00:00:00Z"), ElementsAre("2026-11-12T03:00:00Z"));
}

TEST(Retention, HoldsStayWhateverElse) {
    auto snapshots = daily("2026-11-10T03:00:00Z", 3);
    snapshots[0].holds = {"case 4711 (legal)"};
    snapshots[0].expires = at("2026-11-11T00:00:00Z");
    snapshots[0].damaged = true;
    EXPECT_THAT(kept({}, snapshots, "2036-11-20T00:00:00Z"),
                ElementsAre("2026-11-10T03:00:00Z", "2026-11-12T03:00:00Z"));
    EXPECT_THAT(decide_retention({}, snapshots, at("2036-11-20T00:00:00Z"))[0].reasons,
                ElementsAre("held: case 4711 (legal)"));
}

TEST(Retention, AWindowKeepsWhatItBeginsWith) {
    RetentionPolicy policy;
    policy.window = period("35d");
    auto snapshots = daily("2026-10-01T03:00:00Z", 51);
    for (RetentionSubject& snapshot : snapshots) {
        snapshot.has_log = true;
        snapshot.end += hours(2);
    }
    // At 04:00 the one of 16 October has not ended 35 days ago; that of the 15th has.
    EXPECT_THAT(kept(policy, snapshots, "2026-11-20T04:00:00Z"),
                ElementsAre("2026-10-15T03:00:00Z", "2026-11-20T03:00:00Z"));
    // One that cannot be carried forward, or is not good, is no beginning.
    snapshots[14].has_log = false;
    snapshots[13].complete = false;
    EXPECT_THAT(kept(policy, snapshots, "2026-11-20T04:00:00Z"),
                ElementsAre("2026-10-13T03:00:00Z", "2026-11-20T03:00:00Z"));
    // What follows a gap is reached from behind it only.
    snapshots[40].log_gap_before = true;
    EXPECT_THAT(kept(policy, snapshots, "2026-11-20T04:00:00Z"),
                ElementsAre("2026-10-13T03:00:00Z", "2026-11-10T03:00:00Z", "2026-11-20T03:00:00Z"));
}

TEST(Retention, AWindowThatIsNotFullGrowsFromTheOldest) {
    RetentionPolicy policy;
    policy.window = period("35d");
    auto snapshots = daily("2026-11-10T03:00:00Z", 5);
    for (RetentionSubject& snapshot : snapshots) snapshot.has_log = true;
    EXPECT_THAT(kept(policy, snapshots, "2026-11-20T00:00:00Z"),
                ElementsAre("2026-11-10T03:00:00Z", "2026-11-14T03:00:00Z"));
}

// What must hold of any policy and any snapshots, over ten thousand of them.
TEST(Retention, Laws) {
    std::mt19937_64 random(20261121);
    const auto below = [&](std::uint64_t limit) { return random() % limit; };
    const Timestamp base = at("2026-01-01T00:00:00Z");
    const std::vector<std::string> classes{"", "", "", "full", "incremental", "manual", "forensic"};
    std::size_t went = 0;
    for (int round = 0; round < 10'000; ++round) {
        RetentionPolicy policy;
        const auto keep_for = [&]() -> std::optional<KeepFor> {
            if (below(2) == 0) return std::nullopt;
            if (below(2) == 0) return static_cast<std::uint32_t>(1 + below(5));
            return Period{0, static_cast<std::int64_t>(3600 * (1 + below(24 * 40)))};
        };
        if (below(2) == 0) policy.rules.last = static_cast<std::uint32_t>(below(4));
        policy.rules.daily = keep_for();
        policy.rules.weekly = keep_for();
        policy.rules.hourly = keep_for();
        if (below(3) == 0) policy.classes["incremental"].last = 1;
        if (below(3) == 0) policy.window = Period{0, static_cast<std::int64_t>(86'400 * (1 + below(30)))};
        std::vector<RetentionSubject> snapshots(1 + below(20));
        for (std::size_t i = 0; i < snapshots.size(); ++i) {
            RetentionSubject& one = snapshots[i];
            one.id = std::to_string(i);
            one.time = base + hours(below(24 * 60));
            one.end = one.time + std::chrono::minutes(below(180));
            one.complete = below(4) != 0;
            one.damaged = below(6) == 0;
            one.class_name = classes[below(classes.size())];
            one.has_log = below(3) != 0;
            if (below(10) == 0) one.expires = base + hours(below(24 * 90));
            if (below(15) == 0) one.holds = {"why"};
        }
        const Timestamp now = base + hours(24 * 60 + below(24 * 30));
        const auto decisions = decide_retention(policy, snapshots, now);
        ASSERT_EQ(decisions.size(), snapshots.size());
        std::vector<RetentionSubject> left;
        const RetentionSubject *newest_good = nullptr, *anchor = nullptr;
        for (std::size_t i = 0; i < snapshots.size(); ++i) {
            const RetentionSubject& one = snapshots[i];
            ASSERT_FALSE(decisions[i].reasons.empty());
            ASSERT_TRUE(decisions[i].keep || one.holds.empty()) << round;
            ASSERT_TRUE(decisions[i].keep || !one.expires || *one.expires <= now) << round;
            ASSERT_TRUE(decisions[i].keep || one.expires ||
                        (one.class_name != "manual" && one.class_name != "forensic"))
                << round;
            if (decisions[i].keep) left.push_back(one);
            went += !decisions[i].keep;
            if (!one.good()) continue;
            if (newest_good == nullptr || one.time > newest_good->time) newest_good = &one;
            if (policy.window && one.has_log && policy.window->after(one.end, policy.zone) <= now &&
                (anchor == nullptr || one.time > anchor->time))
                anchor = &one;
        }
        const auto stays = [&](const RetentionSubject& which) {
            return std::ranges::any_of(left,
                                       [&](const auto& one) { return one.time == which.time && one.good(); });
        };
        ASSERT_TRUE(newest_good == nullptr || stays(*newest_good)) << round;
        ASSERT_TRUE(anchor == nullptr || stays(*anchor)) << round;
        // Once decided, nothing more goes: a second look at the same time keeps all that is left.
        for (const RetentionDecision& decision : decide_retention(policy, left, now))
            ASSERT_TRUE(decision.keep) << round;
    }
    EXPECT_GT(went, 10'000u);
}

TEST(RetentionForecast, TellsWhenEachGoes) {
    RetentionPolicy policy;
    policy.rules.daily = period("3d");
    policy.rules.weekly = 2u;
    const Schedule nightly(CronExpression::parse("0 3 * * *"), TimeZone(), "orders");
    const Schedule enforcement(CronExpression::parse("0 1 * * *"), TimeZone(), "retention");
    Forecast forecast{.backups = {{nightly, ""}},
                      .enforcement = enforcement,
                      .now = at("2026-11-20T12:00:00Z"), // a Friday
                      .horizon = at("2027-11-20T12:00:00Z")};
    auto snapshots = daily("2026-11-15T03:00:00Z", 6);
    snapshots.push_back(made("2026-01-01T00:00:00Z", "forensic"));
    const auto fates = forecast_retention(policy, snapshots, forecast);
    const auto goes = [&](std::size_t i) { return fates[i].goes ? to_rfc3339(*fates[i].goes) : "stays"; };
    EXPECT_EQ(goes(0), "2026-11-24T01:00:00Z"); // a Sunday: until two newer weeks have one
    EXPECT_EQ(goes(1), "2026-11-20T12:00:00Z"); // at once
    EXPECT_EQ(goes(3), "2026-11-22T01:00:00Z");
    EXPECT_EQ(goes(5), "2026-11-24T01:00:00Z");
    EXPECT_EQ(goes(6), "stays");
    EXPECT_THAT(fates[0].reasons,
                ElementsAre(HasSubstr("weekly, the last 2: that of the week of 2026-11-09")));
    EXPECT_THAT(fates[5].reasons, Contains("the newest"));
    EXPECT_THAT(fates[5].last_reasons, ElementsAre(HasSubstr("daily, 3d")));
}

TEST(RetentionForecast, WithoutBackupsToComeTheLastStays) {
    RetentionPolicy policy;
    policy.rules.daily = period("3d");
    const Schedule enforcement(CronExpression::parse("0 1 * * *"), TimeZone(), "retention");
    const Forecast forecast{.backups = {},
                            .enforcement = enforcement,
                            .now = at("2026-11-20T12:00:00Z"),
                            .horizon = at("2036-11-20T12:00:00Z")};
    const auto fates = forecast_retention(policy, daily("2026-11-19T03:00:00Z", 2), forecast);
    ASSERT_TRUE(fates[0].goes);
    EXPECT_EQ(to_rfc3339(*fates[0].goes), "2026-11-23T01:00:00Z");
    EXPECT_FALSE(fates[1].goes);
    EXPECT_THAT(fates[1].last_reasons, ElementsAre("the newest"));
}

TEST(RetentionForecast, CanBeStopped) {
    std::stop_source stop;
    stop.request_stop();
    const Schedule enforcement(CronExpression::parse("0 1 * * *"), TimeZone(), "retention");
    const Forecast forecast{.backups = {},
                            .enforcement = enforcement,
                            .now = at("2026-11-20T12:00:00Z"),
                            .horizon = at("2036-11-20T12:00:00Z")};
    test::expect_error(ErrorCode::cancelled, [&] {
        forecast_retention({}, daily("2026-11-19T03:00:00Z", 2), forecast, stop.get_token());
    });
}

} // namespace
} // namespace holdfast
