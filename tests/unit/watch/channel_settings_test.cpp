#include "base/error.h"
#include "watch/channels/channel_settings.h"
#include "watch/channels/message.h"
#include "watch/channels/mime.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using testing::ElementsAre;

TEST(ChannelSettingsTest, AreRead) {
    const ChannelSettings mail = parse_channel("ops", R"({"type": "smtp", "server": "mail.example.org:587",
        "user": "holdfast", "password_file": "/etc/holdfast/mail", "from": "a@example.org",
        "to": ["b@example.org", "c@example.org"], "severities": ["P1", "high"], "rules": "backup_*",
        "sources": ["orders"], "step": 2, "tells_end": false, "timeout": "10s"})");
    EXPECT_EQ(mail.type, ChannelType::smtp);
    EXPECT_EQ(mail.tls, ChannelSettings::Tls::starttls);
    EXPECT_THAT(mail.to, ElementsAre("b@example.org", "c@example.org"));
    EXPECT_EQ(mail.secret.file, "/etc/holdfast/mail");
    EXPECT_EQ(mail.timeout, std::chrono::seconds(10));
    EXPECT_EQ(mail.route.step, 2);
    EXPECT_FALSE(mail.takes_success("backup", "orders")) << "unless it asks for it";
    EXPECT_FALSE(mail.route.tells_end);
    EXPECT_TRUE(mail.route.takes("backup_old", "orders", Severity::p2));
    EXPECT_FALSE(mail.route.takes("backup_old", "orders", Severity::p3));
    EXPECT_FALSE(mail.route.takes("exposure", "orders", Severity::p1));
    EXPECT_FALSE(mail.route.takes("backup_old", "invoices", Severity::p1));
    EXPECT_EQ(parse_channel("s", R"({"type": "sns", "topic_arn": "arn:aws:sns:eu-west-3:1:x"})").region,
              "eu-west-3");
    EXPECT_TRUE(
        parse_channel("x", R"({"type": "slack", "url_env": "SLACK"})").route.takes("a", "b", Severity::p4));
}

TEST(ChannelSettingsTest, TakeSuccessesOfKindsAndSources) {
    const std::string begin = R"({"type": "slack", "url_env": "SLACK", )";
    const auto some = parse_channel("x", begin + R"("successes": ["backup", "verify"], "sources": "ord*"})");
    EXPECT_TRUE(some.takes_success("backup", "orders"));
    EXPECT_TRUE(some.takes_success("verify", "orders"));
    EXPECT_FALSE(some.takes_success("restore", "orders"));
    EXPECT_FALSE(some.takes_success("backup", "invoices"));
    EXPECT_FALSE(some.takes_success("backup", ""));
    EXPECT_TRUE(parse_channel("x", begin + R"("successes": "*"})").takes_success("retention", ""));
}

void expect_refused(const char* json, const char* field, const char* name = "x") {
    try {
        parse_channel(name, json);
        ADD_FAILURE() << json << " was taken";
    } catch (const Error& error) {
        EXPECT_EQ(error.field(), field) << error.message();
    }
}

TEST(ChannelSettingsTest, AreReadStrictly) {
    expect_refused("{}", "channel.x.type");
    expect_refused(R"({"type": "slack", "url_file": "a", "successes": ["backups"]})", "channel.x.successes");
    expect_refused(R"({"type": "pagerduty", "routing_key_file": "a", "successes": "backup"})",
                   "channel.x.successes");
    expect_refused(R"({"type": "pigeon"})", "channel.x.type");
    expect_refused(R"({"type": "slack"})", "channel.x.url_file");
    expect_refused(R"({"type": "slack", "url_file": "a", "url_env": "b"})", "channel.x.url_env");
    expect_refused(R"({"type": "slack", "url": "https://hooks.slack.com/x", "url_file": "a"})",
                   "channel.x.url");
    expect_refused(R"({"type": "webhook", "secret_file": "a"})", "channel.x.url");
    expect_refused(R"({"type": "webhook", "url": "ftp://a", "secret_file": "a"})", "channel.x.url");
    expect_refused(R"({"type": "webhook", "url": "https://u:p@a/", "secret_file": "a"})", "channel.x.url");
    expect_refused(R"({"type": "webhook", "url": "https://a/"})", "channel.x.secret_file");
    expect_refused(R"({"type": "webhook", "url": "https://a/", "secret_file": "a", "step": 0})",
                   "channel.x.step");
    expect_refused(R"({"type": "webhook", "url": "https://a/", "secret_file": "a", "severities": "P9"})",
                   "channel.x.severities");
    expect_refused(R"({"type": "sns", "topic_arn": "nonsense"})", "channel.x.topic_arn");
    expect_refused(R"({"type": "smtp", "server": "smtp://m", "from": "a@b", "to": "a@b"})",
                   "channel.x.server");
    expect_refused(R"({"type": "smtp", "server": "m", "from": "a@b\r\nBcc: c@d", "to": "a@b"})",
                   "channel.x.from");
    expect_refused(R"({"type": "smtp", "server": "m", "from": "a@b"})", "channel.x.to");
    expect_refused(R"({"type": "smtp", "server": "m", "from": "a@b", "to": "a@b", "user": "u"})",
                   "channel.x.password_file");
    expect_refused(
        R"({"type": "smtp", "server": "m", "from": "a@b", "to": "a@b", "user": "u", "password_env": "P", "tls": "none"})",
        "channel.x.tls");
    expect_refused(R"({"type": "slack", "url_env": "S"})", "channel.a b", "a b");
}

TEST(RoutingTest, PatternsMatch) {
    EXPECT_TRUE(matches_pattern("*", ""));
    EXPECT_TRUE(matches_pattern("a*c", "abbc"));
    EXPECT_TRUE(matches_pattern("*b*", "abc"));
    EXPECT_FALSE(matches_pattern("a*c", "abcd"));
    EXPECT_FALSE(matches_pattern("", "a"));
    EXPECT_TRUE(matches_pattern("a*b*c", "axxbyybzzc"));
}

TEST(RoutingTest, ChainsGoFromStepToStep) {
    const Routing routing({{.channel = "a", .step = 1},
                           {.channel = "b", .severities = {Severity::p1}, .step = 3},
                           {.channel = "c", .step = 7},
                           {.channel = "d", .step = 1}});
    EXPECT_THAT(routing.channels("r", "s", Severity::p2, 1), ElementsAre("a", "d"));
    EXPECT_EQ(routing.step_after("r", "s", Severity::p1, 1), 3);
    EXPECT_EQ(routing.step_after("r", "s", Severity::p2, 1), 7);
    EXPECT_EQ(routing.step_after("r", "s", Severity::p2, 7), std::nullopt);
}

TEST(MessageTest, IsCutBetweenCharactersAndWithoutWhatIsNoText) {
    EXPECT_EQ(bounded_utf8("häß", 3), "hä");
    EXPECT_EQ(bounded_utf8("hä", 2), "h");
    EXPECT_EQ(bounded_utf8("a\xff\xc3", 10), "a??");
    EXPECT_EQ(notice_subject({.title = "No\r\nbackup", .subject = "x"}), "[P3] No  backup: x");
}

TEST(MimeTest, HeadersAreEncodedWhenTheyMustBe) {
    EXPECT_EQ(encoded_header("plain text"), "plain text");
    EXPECT_EQ(encoded_header("grün"), "=?UTF-8?B?Z3LDvG4=?=");
    EXPECT_EQ(encoded_header("=?x?="), "=?UTF-8?B?PT94Pz0=?=");
    std::string line;
    for (const char c : encoded_header(std::string(300, 'x'))) {
        line = c == '\n' ? std::string() : line + c;
        EXPECT_LE(line.size(), 78u);
    }
    EXPECT_EQ(mail_date(from_rfc3339("2024-02-29T23:59:59Z")), "Thu, 29 Feb 2024 23:59:59 +0000");
}

} // namespace
} // namespace holdfast
