#include "support/error_matchers.h"
#include "watch/rule.h"

#include <fstream>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using testing::HasSubstr;

TEST(RuleTest, EachIsWholeAndHasANameOfItsOwn) {
    std::set<std::string_view> names;
    for (const Rule& rule : all_rules()) {
        EXPECT_TRUE(names.insert(rule.name).second) << rule.name;
        EXPECT_EQ(find_rule(rule.name), &rule);
        EXPECT_FALSE(rule.title.empty()) << rule.name;
        EXPECT_FALSE(rule.meaning.empty()) << rule.name;
        EXPECT_FALSE(rule.action.empty()) << rule.name;
        EXPECT_FALSE(rule.commands.empty()) << rule.name;
        EXPECT_GE(rule.timing.evaluations, 1) << rule.name;
        for (const Threshold& threshold : rule.thresholds) {
            EXPECT_GE(threshold.value, threshold.least) << rule.name << " " << threshold.name;
            EXPECT_LE(threshold.value, threshold.most) << rule.name << " " << threshold.name;
        }
    }
    EXPECT_EQ(find_rule("nonsense"), nullptr);
}

TEST(RuleTest, RunbooksNameTheSubjectAndCommandsThatExist) {
    std::ifstream file(std::string(HOLDFAST_TEST_DATA) + "/../docs/holdfast.1");
    std::stringstream manual;
    manual << file.rdbuf();
    ASSERT_FALSE(manual.str().empty());
    for (const Rule& rule : all_rules()) {
        const std::string text = rule.runbook("orders");
        EXPECT_THAT(text, testing::Not(HasSubstr("{subject}"))) << rule.name;
        for (const std::string_view command : rule.commands) {
            std::istringstream words{std::string(command)};
            std::string program, name;
            words >> program >> name;
            if (program != "holdfast") continue;
            EXPECT_NE(manual.str().find(".Ss " + name), std::string::npos) << command;
        }
    }
    EXPECT_THAT(find_rule("backup_old")->runbook("orders"), HasSubstr("    holdfast backup orders\n"));
}

TEST(RuleTest, SettingsWinOverDefaults) {
    const Rule& rule = *find_rule("storage_low");
    const RuleBook usual;
    EXPECT_TRUE(usual.is_on(rule));
    EXPECT_EQ(usual.threshold(rule, "free"), 10);
    EXPECT_THROW((void)usual.threshold(rule, "nonsense"), Error);
    const RuleBook book({{"storage_low", parse_rule_settings("storage_low", R"({
        "severity": "P3", "free": 20, "hold_for": "0s", "evaluations": 1, "clear_for": "1h", "clear_evaluations": 5})")}});
    EXPECT_EQ(book.severity(rule), Severity::p3);
    EXPECT_EQ(book.threshold(rule, "free"), 20);
    EXPECT_EQ(book.threshold(rule, "clear"), 12);
    EXPECT_EQ(
        book.timing(rule),
        (RuleTiming{
            .hold_for = {}, .evaluations = 1, .clear_for = std::chrono::hours(1), .clear_evaluations = 5}));
    EXPECT_FALSE(
        RuleBook({{"storage_low", parse_rule_settings("storage_low", R"({"off": true})")}}).is_on(rule));
}

void expect_refused(const char* rule, const char* json, const char* field) {
    try {
        parse_rule_settings(rule, json);
        ADD_FAILURE() << json << " was taken";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::usage);
        EXPECT_EQ(error.field(), field) << error.message();
    }
}

TEST(RuleTest, SettingsAreReadStrictly) {
    expect_refused("nonsense", "{}", "alert.nonsense");
    expect_refused("backup_old", R"({"agee": "3h"})", "alert.backup_old.agee");
    expect_refused("backup_old", R"({"age": 3})", "alert.backup_old.age");
    expect_refused("backup_old", R"({"age": "2mo"})", "alert.backup_old.age");
    expect_refused("backup_old", R"({"age": "0s"})", "alert.backup_old.age");
    expect_refused("backup_old", R"({"age": "800d"})", "alert.backup_old.age");
    expect_refused("backup_old", R"({"severity": "P5"})", "alert.backup_old.severity");
    expect_refused("backup_old", R"({"evaluations": 0})", "alert.backup_old.evaluations");
    expect_refused("storage_low", R"({"free": 100})", "alert.storage_low.free");
    expect_refused("storage_low", R"({"age": "3h"})", "alert.storage_low.age");
}

TEST(SeverityTest, IsReadAndWritten) {
    for (const Severity severity : all_severities) {
        EXPECT_EQ(severity_from(to_string(severity)), severity);
        EXPECT_EQ(severity_from(severity_word(severity)), severity);
    }
    EXPECT_EQ(severity_from("p2"), Severity::p2);
    EXPECT_THROW(severity_from("P0"), Error);
    EXPECT_THROW(severity_from(""), Error);
    EXPECT_EQ(escalation_interval(Severity::p1), std::chrono::minutes(15));
    EXPECT_EQ(escalation_interval(Severity::p4), std::chrono::hours(4));
}

} // namespace
} // namespace holdfast
