#include "service/alert_sandbox.h"
#include "service/alert_stage.h"
#include "support/error_matchers.h"
#include "support/scratch_directory.h"
#include "support/scripted_server.h"

#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace holdfast {
namespace {

using test::Answer;
using test::http_answer;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using testing::UnorderedElementsAreArray;

class AlertSandboxTest : public testing::TestWithParam<std::string_view> {
  protected:
    AlertSandboxTest() {
        std::ofstream(scratch.file("secret")) << "key";
        std::filesystem::create_directory(scratch.file("sandbox"));
        // As root, a PostgreSQL of the sandbox runs as another user, who must get there.
        for (const std::string& folder : {scratch.file("."), scratch.file("sandbox")})
            std::filesystem::permissions(folder, std::filesystem::perms(0711));
        settings.directory = scratch.file("sandbox");
        settings.channels = {channel("hook", R"("sources": "orders")")};
    }
    ChannelSettings channel(const std::string& name, const std::string& route) const {
        return parse_channel(
            name,
            fmt::format(R"({{"type": "webhook", "url": "{}/{}", "secret_file": "{}", "timeout": "5s", {}}})",
                        server.endpoint(), name, scratch.file("secret"), route));
    }
    // What arrived, as "channel event".
    std::vector<std::string> told() const {
        std::vector<std::string> told;
        for (const std::string& request : server.requests()) {
            const auto json = nlohmann::json::parse(request.substr(request.find("\r\n\r\n") + 4));
            const std::string path = request.substr(request.find('/') + 1);
            told.push_back(
                fmt::format("{} {}", path.substr(0, path.find(' ')), json.at("event").get<std::string>()));
        }
        return told;
    }
    // What arrived, as "event rule".
    std::vector<std::string> arrived() const {
        std::vector<std::string> events;
        for (const std::string& request : server.requests()) {
            const auto json = nlohmann::json::parse(request.substr(request.find("\r\n\r\n") + 4));
            events.push_back(fmt::format("{} {}", json.at("event").get<std::string>(),
                                         json.at("rule").get<std::string>()));
        }
        return events;
    }

    test::ScratchDirectory scratch;
    bool answers = true;
    test::ScriptedServer server{[this](const std::string&) {
        return Answer{http_answer(answers ? "200 OK" : "500 Oh No"), Answer::Then::keep_open};
    }};
    AlertTrialSettings settings;
};

TEST_P(AlertSandboxTest, FiresForItsCauseAndReachesTheChannel) {
    const std::string rule(GetParam());
    const AlertTrial trial = try_alert(*find_rule(rule), settings, silent_logger(), {});
    EXPECT_TRUE(trial.quiet_before);
    EXPECT_TRUE(trial.fired);
    EXPECT_FALSE(trial.summary.empty());
    EXPECT_THAT(trial.reached, ElementsAre("hook"));
    EXPECT_THAT(trial.failed, IsEmpty());
    EXPECT_THAT(arrived(), ElementsAre("trigger " + rule, "resolve " + rule));
    EXPECT_TRUE(std::filesystem::is_empty(settings.directory)) << "something of the sandbox is left";
}

std::vector<std::string_view> rules_with_causes() {
    std::vector<std::string_view> rules;
    for (const AlertCause& cause : alert_causes()) rules.push_back(cause.rule);
    return rules;
}
INSTANTIATE_TEST_SUITE_P(Rules, AlertSandboxTest, testing::ValuesIn(rules_with_causes()),
                         [](const auto& each) { return std::string(each.param); });

using AlertTrialTest = AlertSandboxTest;
INSTANTIATE_TEST_SUITE_P(One, AlertTrialTest, testing::Values("backup_old"));

TEST_P(AlertTrialTest, SaysWhichChannelWasNotReached) {
    answers = false;
    const AlertTrial trial = try_alert(*find_rule("backup_old"), settings, silent_logger(), {});
    EXPECT_TRUE(trial.fired);
    EXPECT_FALSE(trial.passed());
    ASSERT_TRUE(trial.failed.contains("hook"));
    EXPECT_THAT(trial.failed.at("hook"), HasSubstr("500"));
}

TEST_P(AlertTrialTest, TellsThoseWhomTheRoutesMeanAndNobodyElse) {
    settings.channels = {channel("all", R"("step": 1)"), channel("critical", R"("severities": "P1")"),
                         channel("high", R"("severities": ["P1", "P2"], "rules": "backup_*")"),
                         channel("others", R"("rules": "storage_*")"),
                         channel("later", R"("step": 3, "tells_end": false)")};
    const AlertTrial trial = try_alert(*find_rule("backup_old"), settings, silent_logger(), {});
    EXPECT_TRUE(trial.passed());
    EXPECT_THAT(trial.reached, ElementsAre("all", "high", "later"));
    EXPECT_THAT(trial.not_meant, ElementsAre("critical", "others"));
    EXPECT_THAT(told(), UnorderedElementsAre("all trigger", "high trigger", "later trigger", "all resolve",
                                             "high resolve"));
}

TEST_P(AlertTrialTest, ARuleThatReachesNobodyIsToldToReachNobody) {
    settings.channels = {channel("others", R"("rules": "storage_*")")};
    const AlertTrial trial = try_alert(*find_rule("backup_old"), settings, silent_logger(), {});
    EXPECT_TRUE(trial.fired);
    EXPECT_THAT(trial.reached, IsEmpty());
    EXPECT_THAT(trial.not_meant, ElementsAre("others"));
    EXPECT_THAT(told(), IsEmpty());
}

TEST(AlertCauses, AreKnownOfEveryRule) {
    std::vector<std::string_view> rules;
    for (const Rule& rule : all_rules()) rules.push_back(rule.name);
    EXPECT_THAT(rules_with_causes(), UnorderedElementsAreArray(rules));
}

TEST_P(AlertTrialTest, SaysWhenARuleIsOff) {
    settings.rules = RuleBook({{"backup_old", parse_rule_settings("backup_old", R"({"off": true})")}});
    EXPECT_EQ(test::code_of([&] { try_alert(*find_rule("backup_old"), settings, silent_logger(), {}); }),
              "usage");
    settings.rules = RuleBook(
        {{"size_anomaly",
          parse_rule_settings("size_anomaly", R"({"ratio": 10000, "deviations": 100, "history": 3})")}});
    EXPECT_TRUE(try_alert(*find_rule("size_anomaly"), settings, silent_logger(), {}).fired)
        << "200 kB became 10 bytes";
}

} // namespace
} // namespace holdfast
