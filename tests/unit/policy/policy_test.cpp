#include "policy/policy.h"
#include "policy/policy_form.h"
#include "support/error_matchers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using test::error_of;
using test::expect_error;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* whole = R"({
    "sources": ["orders", "billing-*"], "time_zone": "Europe/Berlin", "maintenance": ["sun 04:00-05:00"],
    "objectives": {"rpo": "5min", "rto": "1h", "backup_age": "26h", "window": "30d", "smallest_bytes": 1000},
    "backup": [{"name": "nightly", "window": "02:00-03:00", "type": "full", "class": "full", "time_limit": "30min",
                "tags": {"environment": "production"}},
               {"name": "often", "every": "15min", "jitter": "1min", "class": "incremental", "keep": "24h",
                "catch_up": false},
               {"name": "monthly", "cron": "0 3 1 * *", "type": "incremental"},
               {"name": "sharp", "window": "02:00-03:00", "jitter": "0s"}],
    "verify": {"cron": "0 5 * * sun", "depth": "5%"},
    "retention": {"last": 3, "within": "2d", "hourly": 24, "daily": "30d", "weekly": "12w", "monthly": "12mo",
                  "yearly": "7y", "window": "35d", "class": {"incremental": {"within": "7d"}}}})";

TEST(PolicyForm, ReadsTheWhole) {
    const Policy policy = parse_policy("production", whole);
    EXPECT_EQ(policy.name, "production");
    EXPECT_EQ(policy.zone.name(), "Europe/Berlin");
    EXPECT_EQ(policy.retention.zone, policy.zone);
    ASSERT_EQ(policy.backups.size(), 4u);
    EXPECT_TRUE(std::holds_alternative<WeeklyWindow>(policy.backups[0].rhythm));
    EXPECT_EQ(policy.backups[0].time_limit, std::chrono::minutes(30));
    EXPECT_FALSE(policy.backups[0].jitter);
    EXPECT_EQ(policy.backups[1].jitter, std::chrono::minutes(1));
    EXPECT_EQ(policy.backups[1].type, "auto");
    EXPECT_FALSE(policy.backups[1].catch_up);
    EXPECT_EQ(policy.backups[3].jitter, Duration::zero());
    ASSERT_EQ(policy.verifications.size(), 1u);
    EXPECT_EQ(policy.verifications[0].name, "verify");
    EXPECT_EQ(policy.retention.rules.last, 3u);
    EXPECT_EQ(policy.retention.rules.hourly, KeepFor(24u));
    EXPECT_EQ(policy.retention.rules.yearly, KeepFor(Period{84, 0}));
    EXPECT_EQ(policy.retention.classes.at("incremental").within, (Period{0, 7 * 86'400}));
    EXPECT_EQ(policy.objectives.smallest_bytes, 1000u);
}

TEST(PolicyForm, WritesWhatItReads) {
    const std::string json = policy_json(parse_policy("production", whole));
    EXPECT_EQ(policy_json(parse_policy("production", json)), json);
    for (const char* part :
         {"Europe/Berlin", "\"every\":\"15min\"", "\"jitter\":\"0s\"", "\"weekly\":\"12w\"",
          "\"incremental\":{\"within\":\"7d\"}", "\"keep\":\"1d\"", "sun 04:00-05:00", "\"5%\""})
        EXPECT_THAT(json, HasSubstr(part));
}

TEST(PolicyForm, NamesTheFieldAtFault) {
    const auto refused = [](const char* json, const char* field) {
        const auto error = error_of([&] { parse_policy("p", json); });
        ASSERT_TRUE(error);
        EXPECT_EQ(error->code(), ErrorCode::usage);
        EXPECT_EQ(error->field(), field) << error->message();
        EXPECT_THAT(error->message(), HasSubstr(field));
    };
    refused("{}", "policy.p.sources");
    refused(R"({"sources": "*", "sorces": 1})", "policy.p.sorces");
    refused(R"({"sources": "*", "time_zone": "Mars"})", "policy.p.time_zone");
    refused(R"({"sources": "*", "maintenance": "noon"})", "policy.p.maintenance");
    refused(R"({"sources": "*", "backup": [{"cron": "@daily"}, {"cron": "61 * * * *", "name": "x"}]})",
            "policy.p.backup[1].cron");
    refused(R"({"sources": "*", "backup": [{"cron": "@daily"}, {"cron": "@weekly"}]})", "policy.p.backup");
    refused(R"({"sources": "*", "backup": {}})", "policy.p.backup.cron");
    refused(R"({"sources": "*", "backup": {"cron": "@daily", "every": "1h"}})", "policy.p.backup.cron");
    refused(R"({"sources": "*", "backup": {"every": "1mo"}})", "policy.p.backup.every");
    refused(R"({"sources": "*", "backup": {"every": "1h", "jitter": "2h"}})", "policy.p.backup.jitter");
    refused(R"({"sources": "*", "backup": {"cron": "@daily", "type": "differential"}})",
            "policy.p.backup.type");
    refused(R"({"sources": "*", "backup": {"cron": "@daily", "time_limit": 30}})",
            "policy.p.backup.time_limit");
    refused(R"({"sources": "*", "backup": {"cron": "@daily", "tags": {"class": "x"}}})",
            "policy.p.backup.tags");
    refused(R"({"sources": "*", "backup": {"window": "02:00-03:00", "jitter": "5h"}})",
            "policy.p.backup.jitter");
    refused(R"({"sources": "*", "verify": {"cron": "@daily", "depth": "101%"}})", "policy.p.verify.depth");
    refused(R"({"sources": "*", "retention": {"daily": "30m"}})", "policy.p.retention.daily");
    refused(R"({"sources": "*", "retention": {"daily": 0}})", "policy.p.retention.daily");
    refused(R"({"sources": "*", "retention": {"daily": true}})", "policy.p.retention.daily");
    refused(R"({"sources": "*", "retention": {"class": {"manual": {"dayly": 1}}}})",
            "policy.p.retention.class.manual.dayly");
    refused(R"({"sources": "*", "objectives": {"rpo": "soon"}})", "policy.p.objectives.rpo");
}

TEST(Policy, IsFoundByNameBeforePattern) {
    std::vector<Policy> policies{parse_policy("all", R"({"sources": "*"})"),
                                 parse_policy("orders", R"({"sources": ["orders", "bill*-eu"]})")};
    EXPECT_EQ(policy_for(policies, "orders"), &policies[1]);
    EXPECT_EQ(policy_for(policies, "other"), &policies[0]);
    expect_error(ErrorCode::usage, [&] { policy_for(policies, "billing-eu"); }, "both cover");
    policies.erase(policies.begin());
    EXPECT_EQ(policy_for(policies, "billing-eu"), &policies[0]);
    EXPECT_EQ(policy_for(policies, "bill-e"), nullptr);
    EXPECT_EQ(policy_for(policies, "billing-eu-2"), nullptr);
}

std::vector<std::string> doubts(const char* json) {
    return doubts_about(parse_policy("p", json), from_rfc3339("2026-11-20T00:00:00Z"));
}

TEST(Policy, OverlapsWithMaintenanceAreTold) {
    EXPECT_THAT(doubts(R"({"sources": "*", "maintenance": "sun 02:30-03:30", "retention": {"last": 1},
                           "backup": {"name": "nightly", "window": "02:00-03:00"}})"),
                ElementsAre(HasSubstr("'nightly' run in the maintenance window 'sun 02:30-03:30', first at "
                                      "2026-11-22T02:30:00Z")));
    EXPECT_THAT(doubts(R"({"sources": "*", "maintenance": "sun 02:30-03:30", "retention": {"last": 1},
                           "backup": {"name": "monthly", "cron": "0 3 13 * *"}})"),
                ElementsAre(HasSubstr("first at 2026-12-13T03:00:00Z")));
    EXPECT_THAT(doubts(R"({"sources": "*", "maintenance": "sun 03:00-03:30", "retention": {"last": 1},
                           "backup": {"name": "nightly", "window": "02:00-03:00"}})"),
                IsEmpty());
}

TEST(Policy, PromisesThatItsRulesCannotKeepAreTold) {
    EXPECT_THAT(doubts(R"({"sources": "*", "objectives": {"window": "30d"}, "retention": {"window": "7d"}})"),
                ElementsAre(HasSubstr("any second of 30d is promised")));
    EXPECT_THAT(doubts(R"({"sources": "*", "objectives": {"window": "30d"}})"),
                ElementsAre(HasSubstr("none is")));
    EXPECT_THAT(doubts(R"({"sources": "*", "objectives": {"backup_age": "24h"}, "retention": {"last": 1},
                           "backup": [{"name": "a", "cron": "@weekly"}, {"name": "b", "window": "02:00-03:00"}]})"),
                ElementsAre(HasSubstr("not older than 1d is promised, and they lie up to 25 hours apart")));
    // Together they are often enough.
    EXPECT_THAT(doubts(R"({"sources": "*", "objectives": {"backup_age": "13h"}, "retention": {"last": 1},
                           "backup": [{"name": "a", "cron": "0 0 * * *"}, {"name": "b", "cron": "0 12 * * *"}]})"),
                IsEmpty());
    // Not at night; and not where autumn adds an hour.
    EXPECT_THAT(doubts(R"({"sources": "*", "objectives": {"backup_age": "1h"}, "retention": {"last": 1},
                           "backup": {"cron": "*/5 8-18 * * *"}})"),
                ElementsAre(HasSubstr("up to 14 hours apart")));
    EXPECT_THAT(doubts(R"({"sources": "*", "objectives": {"backup_age": "24h"}, "retention": {"last": 1},
                           "time_zone": "Europe/Berlin", "backup": {"cron": "0 4 * * *"}})"),
                ElementsAre(HasSubstr("up to 25 hours apart")));
    EXPECT_THAT(doubts(R"({"sources": "*", "objectives": {"backup_age": "24h"}, "retention": {"last": 1}})"),
                ElementsAre(HasSubstr("none is made")));
    EXPECT_THAT(doubts(R"({"sources": "*", "objectives": {"backup_age": "26h", "window": "4w"},
                           "retention": {"window": "35d"}, "backup": {"window": "02:00-03:00"}})"),
                IsEmpty());
    EXPECT_THAT(doubts(R"({"sources": "*", "backup": {"cron": "@daily"}})"),
                ElementsAre(HasSubstr("no rules")));
}

TEST(Policy, ClassesAreThoseThatMeanSomethingOrAPolicyNames) {
    const std::vector<Policy> policies{
        parse_policy("p", R"({"sources": "*", "backup": {"cron": "@daily", "class": "nightly"},
                              "retention": {"class": {"audits": {"within": "10y"}}}})")};
    const auto known = known_classes(policies);
    for (const char* name :
         {"full", "incremental", "manual", "pre-maintenance", "forensic", "nightly", "audits"})
        EXPECT_NO_THROW(require_known_class(name, known)) << name;
    const auto error = error_of([] { require_known_class("forensics", known_classes({})); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), ErrorCode::usage);
    EXPECT_EQ(error->hint(), "did you mean 'forensic'? there are forensic, full, incremental, manual, "
                             "pre-maintenance, and those that policies name");
    EXPECT_THROW(require_known_class("audits", known_classes({})), Error);
}

} // namespace
} // namespace holdfast
