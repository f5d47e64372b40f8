#include "policy/policy_change.h"
#include "policy/policy_form.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

Policy policy(const std::string& members, const std::string& name = "p") {
    return parse_policy(name, R"({"sources": ["orders"], )" + members + "}");
}
Policy keeping(const std::string& retention) { return policy(R"("retention": )" + retention); }

std::vector<std::string> less(const std::string& before, const std::string& after) {
    const Policy then = keeping(before), now = keeping(after);
    return keeps_less(&then, &now);
}

TEST(KeepsLess, WhatIsNotShorterKeepsNothingLess) {
    EXPECT_THAT(less(R"({"daily": 7})", R"({"daily": 7})"), IsEmpty());
    EXPECT_THAT(less(R"({"daily": 7})", R"({"daily": 8, "weekly": 4})"), IsEmpty());
    EXPECT_THAT(less(R"({"within": "7d", "window": "5d"})", R"({"within": "8d", "window": "5d"})"),
                IsEmpty());
    EXPECT_THAT(less(R"({"daily": "30d"})", R"({"daily": "1mo"})"), ElementsAre(HasSubstr("1mo")))
        << "February has 28 days";
    EXPECT_THAT(less(R"({"daily": "28d"})", R"({"daily": "1mo"})"), IsEmpty());
    // Without rules all stay.
    EXPECT_THAT(less(R"({"daily": 7, "window": "5d"})", "{}"), IsEmpty());
}

TEST(KeepsLess, EachRuleIsLookedAt) {
    EXPECT_THAT(less(R"({"last": 3, "daily": 7})", R"({"last": 2, "daily": 7})"),
                ElementsAre("last: 2, and 3 before"));
    EXPECT_THAT(less(R"({"within": "7d", "daily": 7})", R"({"daily": 7})"),
                ElementsAre("within: none, and 7d before"));
    EXPECT_THAT(less(R"({"daily": 7})", R"({"weekly": 100})"), ElementsAre("daily: none, and 7 before"));
    EXPECT_THAT(less(R"({"hourly": 24, "monthly": 12, "yearly": "7y"})",
                     R"({"hourly": 23, "monthly": 11, "yearly": "6y"})"),
                SizeIs(3));
    EXPECT_THAT(less(R"({"daily": 7, "window": "5d"})", R"({"daily": 7})"),
                ElementsAre("window: none, and 5d before"));
    EXPECT_THAT(less(R"({"daily": 7})", R"({"daily": 7, "window": "5d"})"),
                ElementsAre("window: 5d, and the log of all snapshots before"));
    // A number and a time cannot be compared: that hangs on how many there are.
    EXPECT_THAT(less(R"({"daily": 7})", R"({"daily": "70d"})"), SizeIs(1));
}

TEST(KeepsLess, ThanEverything) {
    EXPECT_THAT(less("{}", R"({"daily": 1000})"), ElementsAre(HasSubstr("all stayed")));
    const Policy rules = keeping(R"({"daily": 1000})"), none = keeping("{}");
    EXPECT_THAT(keeps_less(nullptr, &rules), ElementsAre(HasSubstr("all stayed")));
    EXPECT_THAT(keeps_less(nullptr, &none), IsEmpty());
    EXPECT_THAT(keeps_less(&rules, nullptr), IsEmpty());
    EXPECT_THAT(keeps_less(nullptr, nullptr), IsEmpty());
    // A window lets go of what has a log alone.
    EXPECT_THAT(less(R"({"window": "5d"})", R"({"window": "5d", "daily": 7})"),
                ElementsAre(HasSubstr("no log")));
}

TEST(KeepsLess, ClassesAreComparedByTheRulesThatHoldForThem) {
    // Full ones went by the rules for all before.
    EXPECT_THAT(less(R"({"daily": 7})", R"({"daily": 7, "class": {"full": {"daily": 7}}})"), IsEmpty());
    EXPECT_THAT(less(R"({"daily": 7})", R"({"daily": 7, "class": {"full": {"daily": 6}}})"),
                ElementsAre("class full: daily: 6, and 7 before"));
    EXPECT_THAT(less(R"({"daily": 7, "class": {"full": {"daily": 8}}})", R"({"daily": 7})"),
                ElementsAre("class full: daily: 7, and 8 before"));
    // Manual ones stayed.
    EXPECT_THAT(less(R"({"daily": 7})", R"({"daily": 7, "class": {"manual": {"within": "10y"}}})"),
                ElementsAre(HasSubstr("class manual: all stayed")));
    EXPECT_THAT(less(R"({"daily": 7, "class": {"manual": {"within": "1d"}}})", R"({"daily": 7})"), IsEmpty());
}

TEST(KeepsLess, DaysThatBeginElsewhereAndTimesToLive) {
    const Policy here = policy(R"("time_zone": "Europe/Berlin", "retention": {"daily": 7})"),
                 there = policy(R"("time_zone": "UTC", "retention": {"daily": 7})"),
                 last = policy(R"("time_zone": "UTC", "retention": {"last": 7})"),
                 last_here = policy(R"("time_zone": "Europe/Berlin", "retention": {"last": 7})");
    EXPECT_THAT(keeps_less(&here, &there), ElementsAre(HasSubstr("time zone")));
    EXPECT_THAT(keeps_less(&last, &last_here), IsEmpty());
    const auto backups = [](const std::string& more) {
        return policy(R"("backup": [{"name": "a", "every": "1h")" + more + "}]");
    };
    const Policy none = backups(""), week = backups(R"(, "keep": "7d")"), day = backups(R"(, "keep": "1d")");
    EXPECT_THAT(keeps_less(&week, &day), ElementsAre(HasSubstr("live 1d, and 7d before")));
    EXPECT_THAT(keeps_less(&none, &week), SizeIs(1));
    EXPECT_THAT(keeps_less(&day, &week), IsEmpty());
}

TEST(PolicyChanges, AreToldByName) {
    const std::vector<Policy> before{policy(R"("retention": {"daily": 7})", "a"),
                                     policy(R"("retention": {"daily": "1mo"})", "b"),
                                     policy(R"("maintenance": [])", "c")};
    EXPECT_THAT(policy_changes(before, before), IsEmpty());
    const std::vector<Policy> after{policy(R"("retention": {"daily": 8})", "a"),
                                    policy(R"("retention": {"daily": "1mo"})", "b"),
                                    policy(R"("maintenance": [])", "d")};
    EXPECT_THAT(policy_changes(before, after), ElementsAre(PolicyChange{"a", PolicyChangeKind::changed},
                                                           PolicyChange{"c", PolicyChangeKind::removed},
                                                           PolicyChange{"d", PolicyChangeKind::added}));
}

TEST(BackupChanges, TellWhichRunsThereWouldBe) {
    const Timestamp from = from_rfc3339("2026-11-20T12:00:00Z");
    const auto nightly = [](const char* cron) {
        return policy(std::string(R"("backup": [{"name": "nightly", "cron": ")") + cron + R"("}])");
    };
    const std::vector<std::string> sources{"orders", "others"};
    EXPECT_THAT(backup_changes({nightly("0 2 * * *")}, {nightly("0 2 * * *")}, sources, from, 2), IsEmpty());
    const auto moved = backup_changes({nightly("0 2 * * *")}, {nightly("0 3 * * *")}, sources, from, 2);
    ASSERT_THAT(moved, SizeIs(1));
    EXPECT_EQ(moved[0].kind, PolicyChangeKind::changed);
    EXPECT_EQ(moved[0].source, "orders");
    ASSERT_THAT(moved[0].before, SizeIs(2));
    EXPECT_EQ(moved[0].before[0].nominal, from_rfc3339("2026-11-21T02:00:00Z"));
    EXPECT_EQ(moved[0].after[1].nominal, from_rfc3339("2026-11-22T03:00:00Z"));
    const auto gone = backup_changes({nightly("0 2 * * *")}, {}, sources, from, 2);
    ASSERT_THAT(gone, SizeIs(1));
    EXPECT_EQ(gone[0].kind, PolicyChangeKind::removed);
    EXPECT_THAT(gone[0].after, IsEmpty());
    EXPECT_EQ(backup_changes({}, {nightly("0 2 * * *")}, sources, from, 2).at(0).kind,
              PolicyChangeKind::added);
    // Of two that contradict each other none makes backups.
    EXPECT_EQ(backup_changes({nightly("0 2 * * *")},
                             {nightly("0 2 * * *"), policy(R"("maintenance": [])", "q")}, sources, from, 2)
                  .at(0)
                  .kind,
              PolicyChangeKind::removed);
}

TEST(MaintenanceOverlaps, AreToldWithTheirFirstTime) {
    const Policy one = policy(R"("maintenance": ["sun 02:00-04:00", "mon 12:00-13:00"],
        "backup": [{"name": "nightly", "cron": "30 2 * * *"}, {"name": "often", "window": "03:00-05:00"}])");
    const Timestamp from = from_rfc3339("2026-11-20T12:00:00Z"); // a Friday
    for (const BackupPlan& plan : one.backups) {
        const auto overlaps = maintenance_overlaps(one, one.schedule_of(plan, "orders"), from);
        ASSERT_THAT(overlaps, SizeIs(1)) << plan.name;
        EXPECT_EQ(overlaps[0].window, "sun 02:00-04:00");
        EXPECT_EQ(to_rfc3339(overlaps[0].first.begin).substr(0, 10), "2026-11-22");
    }
}

} // namespace
} // namespace holdfast
