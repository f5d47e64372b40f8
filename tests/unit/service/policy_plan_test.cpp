// What other policies would do, to snapshots that were never made.
#include "policy/policy_form.h"
#include "service/policy_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using std::chrono::days;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const Timestamp now = from_rfc3339("2026-11-20T12:00:00Z");

std::vector<Policy> keeping(const std::string& retention, const std::string& sources = "\"*\"") {
    return {parse_policy("p", R"({"sources": [)" + sources +
                                  R"(], "backup": {"cron": "0 2 * * *"}, "retention": )" + retention + "}")};
}

// One a day, the newest of today.
RetentionSource daily(const std::string& name, int count) {
    RetentionSource source{.source = name, .domain = "d", .blocked = {}, .subjects = {}};
    for (int day = 0; day < count; ++day) {
        RetentionSubject subject;
        subject.id = name + std::to_string(day);
        subject.sequence = static_cast<std::uint64_t>(day + 1);
        subject.time = subject.end = from_rfc3339("2026-11-20T02:00:00Z") - days(count - 1 - day);
        source.subjects.push_back(subject);
    }
    return source;
}

PolicyPlan plan(const std::vector<Policy>& before, const std::vector<Policy>& after,
                const std::vector<RetentionSource>& stored) {
    return plan_policies(before, after, stored,
                         {.now = now, .horizon = now + days(400), .sources = {"orders"}}, {});
}

TEST(PolicyPlan, TellsWhichSnapshotsGoAndWhichGoSooner) {
    const PolicyPlan planned =
        plan(keeping(R"({"daily": 5})"), keeping(R"({"daily": 3})"), {daily("orders", 5)});
    EXPECT_THAT(planned.policies, ElementsAre(PolicyChange{"p", PolicyChangeKind::changed}));
    EXPECT_THAT(planned.backups, IsEmpty());
    EXPECT_THAT(planned.later, IsEmpty());
    ASSERT_THAT(planned.sooner, SizeIs(5));
    const PolicyPlan::Effect& oldest = planned.sooner[0];
    EXPECT_EQ(oldest.snapshot, "orders0");
    EXPECT_EQ(oldest.source, "orders");
    EXPECT_TRUE(oldest.goes_now);
    EXPECT_EQ(oldest.after, now);
    // The backup of tomorrow pushed it out the day after, at 01:00.
    EXPECT_EQ(oldest.before, from_rfc3339("2026-11-22T01:00:00Z"));
    EXPECT_THAT(oldest.why_after, ElementsAre("no rule keeps it"));
    EXPECT_TRUE(planned.sooner[1].goes_now);
    EXPECT_FALSE(planned.sooner[2].goes_now);
    EXPECT_EQ(planned.sooner[2].after, from_rfc3339("2026-11-22T01:00:00Z"));
    EXPECT_THAT(planned.losses,
                ElementsAre("orders: daily: 3, and 5 before", "orders: 2 of 5 snapshots would go at once"));
}

TEST(PolicyPlan, TellsWhatIsKeptLonger) {
    const PolicyPlan planned =
        plan(keeping(R"({"daily": 3})"), keeping(R"({"daily": 5})"), {daily("orders", 3)});
    EXPECT_THAT(planned.sooner, IsEmpty());
    ASSERT_THAT(planned.later, SizeIs(3));
    EXPECT_EQ(*planned.later[0].after - *planned.later[0].before, days(2));
    EXPECT_THAT(planned.losses, IsEmpty());
}

TEST(PolicyPlan, AFirstPolicyMayLetGoAndTheLastOneDoesNot) {
    const PolicyPlan first = plan({}, keeping(R"({"last": 1})"), {daily("orders", 3)});
    ASSERT_THAT(first.sooner, SizeIs(3));
    EXPECT_FALSE(first.sooner[0].before);
    EXPECT_THAT(first.sooner[0].why_before, ElementsAre("no policy covers it"));
    EXPECT_THAT(first.losses, Contains(HasSubstr("all stayed")));
    ASSERT_THAT(first.backups, SizeIs(1));
    EXPECT_EQ(first.backups[0].kind, PolicyChangeKind::added);
    const PolicyPlan last = plan(keeping(R"({"last": 1})"), {}, {daily("orders", 3)});
    EXPECT_THAT(last.sooner, IsEmpty());
    EXPECT_THAT(last.losses, IsEmpty());
    EXPECT_EQ(last.backups.at(0).kind, PolicyChangeKind::removed);
}

// What is covered by another policy than before is compared with what held for it before.
TEST(PolicyPlan, LooksAtEachSourceByTheRulesThatHoldForIt) {
    std::vector<Policy> before = keeping(R"({"daily": 30})"), after = before;
    after.push_back(parse_policy("q", R"({"sources": ["orders"], "retention": {"daily": 1}})"));
    const std::vector<RetentionSource> stored{daily("orders", 3), daily("others", 3)};
    const PolicyPlan planned = plan(before, after, stored);
    for (const PolicyPlan::Effect& effect : planned.sooner) EXPECT_EQ(effect.source, "orders");
    EXPECT_THAT(planned.sooner, SizeIs(2)) << "the newest stays, and nothing backs up any more";
    EXPECT_THAT(policy_losses(before, after, stored, {}, now), SizeIs(2));
    // A source without snapshots has nothing to lose, one that is not known may.
    EXPECT_THAT(policy_losses(before, after, {}, {}, now), IsEmpty());
    EXPECT_THAT(policy_losses(before, after, {}, {"orders", "others"}, now), SizeIs(1));
}

// More backups push others out where numbers count: by the rules nothing changed.
TEST(PolicyPlan, WhatMoreBackupsPushOutIsTold) {
    std::vector<Policy> before = keeping(R"({"last": 5})");
    std::vector<Policy> after{parse_policy(
        "p", R"({"sources": ["*"], "backup": {"cron": "0 2,14 * * *"}, "retention": {"last": 5}})")};
    const PolicyPlan planned = plan(before, after, {daily("orders", 5)});
    EXPECT_FALSE(planned.sooner.empty());
    EXPECT_THAT(planned.losses, IsEmpty());
    EXPECT_EQ(planned.backups.at(0).kind, PolicyChangeKind::changed);
}

} // namespace
} // namespace holdfast
