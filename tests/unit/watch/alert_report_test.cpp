#include "watch/alert_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace holdfast {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

Alert alert() {
    Alert alert;
    alert.id = "0001";
    alert.rule = "backup_old";
    alert.subject = "orders";
    alert.subject_kind = "source";
    alert.severity = Severity::p2;
    alert.state = AlertState::acknowledged;
    alert.summary = "it is \xff old";
    alert.value = 100'000.5;
    alert.since = alert.evaluated = from_rfc3339("2026-11-20T12:00:00Z");
    alert.fired = alert.since;
    alert.acknowledged = alert.since;
    alert.acknowledged_by = "anna";
    return alert;
}

TEST(AlertReportTest, OneAlertHasItsHistoryAndItsRunbook) {
    const json value = json::parse(
        alert_json(alert(), {{.time = alert().since, .event = "fired", .actor = "", .text = "it is old"}}));
    EXPECT_EQ(value.at("id"), "0001");
    EXPECT_EQ(value.at("title"), "Backup too old");
    EXPECT_EQ(value.at("severity"), "P2");
    EXPECT_EQ(value.at("severity_word"), "high");
    EXPECT_EQ(value.at("state"), "acknowledged");
    EXPECT_EQ(value.at("acknowledgedBy"), "anna");
    EXPECT_EQ(value.at("value"), 100'000.5);
    EXPECT_TRUE(value.at("threshold").is_null());
    EXPECT_TRUE(value.at("resolved").is_null());
    EXPECT_EQ(value.at("since"), "2026-11-20T12:00:00Z");
    EXPECT_EQ(value.at("history").at(0).at("event"), "fired");
    EXPECT_THAT(value.at("runbook").get<std::string>(), HasSubstr("holdfast backup orders"));
}

TEST(AlertReportTest, ListsHaveCountsAndTheNextPage) {
    const std::map<Severity, std::int64_t> counts{
        {Severity::p1, 1}, {Severity::p2, 2}, {Severity::p3, 0}, {Severity::p4, 4}};
    json value = json::parse(alerts_json({alert()}, counts, 1));
    EXPECT_EQ(value.at("items").size(), 1u);
    EXPECT_EQ(value.at("counts"),
              json::parse(R"({"critical": 1, "high": 2, "medium": 0, "low": 4, "total": 7})"));
    EXPECT_EQ(value.at("next"), "0001");
    value = json::parse(alerts_json({alert()}, counts, 2));
    EXPECT_TRUE(value.at("next").is_null());
    EXPECT_TRUE(json::parse(alerts_json({}, counts, 0)).at("next").is_null());
}

TEST(AlertReportTest, RulesAreAsTheyAreInForce) {
    const RuleBook book({{"backup_old", parse_rule_settings("backup_old", R"({"age": "8h", "off": true})")}});
    const json value = json::parse(rules_json(book));
    EXPECT_EQ(value.size(), all_rules().size());
    for (const json& rule : value) {
        const bool changed = rule.at("name") == "backup_old";
        EXPECT_EQ(rule.at("on"), !changed);
        if (!changed) continue;
        EXPECT_EQ(rule.at("thresholds").at("age").at("value"), 8 * 3600);
    }
}

TEST(AlertReportTest, ChannelsAreToldWithoutTheirSecrets) {
    const std::string text = channels_json(
        {parse_channel("hook",
                       R"({"type": "webhook", "url": "https://example.org/t0ken", "secret_env": "KEY"})")},
        {{.channel = "hook", .waiting = 2, .last_error = "refused"}});
    const json value = json::parse(text);
    EXPECT_EQ(value.at(0).at("name"), "hook");
    EXPECT_EQ(value.at(0).at("type"), "webhook");
    EXPECT_EQ(value.at(0).at("waiting"), 2);
    EXPECT_EQ(value.at(0).at("last_error"), "refused");
    EXPECT_THAT(text, Not(HasSubstr("t0ken")));
}

TEST(AlertReportTest, SilencesSayWhoWhyAndHowLong) {
    Silence silence;
    silence.id = "0002";
    silence.rule = "*";
    silence.subject = "orders";
    silence.owner = "anna";
    silence.reason = "we move";
    silence.ends = from_rfc3339("2026-11-20T12:00:00Z");
    const json value = json::parse(silences_json({silence}));
    EXPECT_EQ(value.at(0).at("owner"), "anna");
    EXPECT_EQ(value.at(0).at("reason"), "we move");
    EXPECT_EQ(value.at(0).at("ends"), "2026-11-20T12:00:00Z");
    EXPECT_TRUE(value.at(0).at("ended_by").is_null());
}

} // namespace
} // namespace holdfast
