#include "support/error_matchers.h"
#include "support/scripted_server.h"
#include "support/smtp_server.h"
#include "watch/channels/channel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

const Environment environment = [](const std::string& name) {
    return name == "MAIL_PASSWORD" ? std::optional<std::string>("s3cr3t-password\n") : std::nullopt;
};

Notice notice() {
    return {.id = "0001-000001-mail",
            .dedup_key = "holdfast-key",
            .event = NoticeEvent::trigger,
            .alert = "0001",
            .rule = "backup_failed",
            .title = "Backup failed",
            .subject = "Aufträge-日本 of a rather long name that does not fit into a single encoded word",
            .subject_kind = "source",
            .severity = Severity::p1,
            .summary = "die Platte ist voll: „/srv“\n.\nQUIT",
            .runbook = "do something\n",
            .since = from_rfc3339("2026-11-20T12:00:00Z"),
            .time = from_rfc3339("2026-11-20T12:00:00Z"),
            .level = 1,
            .actor = {},
            .origin = "test"};
}

std::unique_ptr<Channel> channel(const std::string& server, const std::string& more) {
    return make_channel(parse_channel("mail", R"({"type": "smtp", "server": ")" + server +
                                                  R"(", "from": "holdfast@example.org", "timeout": "10s", )" +
                                                  more + "}"),
                        system_clock(), environment);
}

TEST(SmtpTest, ASuccessIsToldWithoutASeverity) {
    const test::SmtpServer server;
    Notice good = notice();
    good.event = NoticeEvent::success;
    good.rule = "backup_succeeded";
    good.title = "Backup succeeded";
    good.subject = "orders";
    good.severity = Severity::p4;
    good.summary = "The backup of orders is done; it took 2 min.";
    channel(server.address(), R"("tls": "none", "to": "anna@example.org", "successes": "backup")")
        ->send(good, {});
    const auto mails = server.mails();
    ASSERT_THAT(mails, SizeIs(1));
    EXPECT_EQ(mails[0].header("Subject"), "[done] Backup succeeded: orders");
    EXPECT_THAT(mails[0].text(), HasSubstr("it took 2 min."));
    EXPECT_THAT(mails[0].text(), HasSubstr("Operation: 0001\r\n"));
    EXPECT_THAT(mails[0].text(), Not(HasSubstr("Severity")));
    EXPECT_THAT(mails[0].text(), Not(HasSubstr("do something")));
}

TEST(SmtpTest, MailArrivesAsItWasMeant) {
    const test::SmtpServer server;
    channel(server.address(), R"("tls": "none", "to": ["anna@example.org", "bert@example.org"])")
        ->send(notice(), {});
    const auto mails = server.mails();
    ASSERT_THAT(mails, SizeIs(1));
    const auto& mail = mails[0];
    EXPECT_EQ(mail.from, "holdfast@example.org");
    EXPECT_THAT(mail.to, ElementsAre("anna@example.org", "bert@example.org"));
    EXPECT_EQ(mail.header("Date"), "Fri, 20 Nov 2026 12:00:00 +0000");
    EXPECT_EQ(mail.header("Message-ID"), "<0001-000001-mail@example.org>");
    EXPECT_EQ(mail.header("References"), "<holdfast-key@example.org>");
    EXPECT_EQ(mail.header("Content-Type"), "text/plain; charset=utf-8");
    EXPECT_THAT(mail.header("Subject"), HasSubstr("=?UTF-8?B?"));
    EXPECT_THAT(mail.text(), HasSubstr("die Platte ist voll: „/srv“\r\n.\r\nQUIT\r\n"));
    EXPECT_THAT(mail.text(), HasSubstr("Severity: P1 (critical)"));
    EXPECT_THAT(mail.text(), HasSubstr("do something"));
    for (const char c : mail.data) EXPECT_LT(static_cast<unsigned char>(c), 0x80);
    // What Python makes of the subject is what was meant.
    const auto decoded = test::run_program(
        {"/usr/bin/python3", "-c",
         "import sys, email.header; print(email.header.make_header(email.header.decode_header(sys.argv[1])))",
         mail.header("Subject")},
        {.environment = {{"PYTHONIOENCODING", "utf-8"}}});
    EXPECT_EQ(decoded.out, "[P1] Backup failed: " + notice().subject + "\n");
}

TEST(SmtpTest, LogsInOverStartTls) {
    const test::SmtpServer server({.tls = true, .user = "holdfast", .password = "s3cr3t-password"});
    const std::string login =
        R"("user": "holdfast", "password_env": "MAIL_PASSWORD", "to": "anna@example.org")";
    channel(server.address(), login + R"(, "ca_file": ")" + server.ca_file() + "\"")->send(notice(), {});
    const auto mails = server.mails();
    ASSERT_THAT(mails, SizeIs(1));
    EXPECT_TRUE(mails[0].tls);
    EXPECT_EQ(mails[0].user, "holdfast");

    // Without the CA nobody knows whether it is the right server.
    const auto stranger = test::error_of([&] { channel(server.address(), login)->send(notice(), {}); });
    ASSERT_TRUE(stranger);
    EXPECT_FALSE(stranger->retryable());
    EXPECT_THAT(stranger->hint(), HasSubstr("ca_file"));
    EXPECT_THAT(server.mails(), SizeIs(1));
}

TEST(SmtpTest, AWrongPasswordIsToldWithoutThePassword) {
    const test::SmtpServer server({.tls = true, .user = "holdfast", .password = "another"});
    const auto error = test::error_of([&] {
        channel(
            server.address(),
            R"("user": "holdfast", "password_env": "MAIL_PASSWORD", "to": "anna@example.org", "ca_file": ")" +
                server.ca_file() + "\"")
            ->send(notice(), {});
    });
    ASSERT_TRUE(error);
    EXPECT_EQ(to_string(error->code()), "access_denied") << error->message();
    EXPECT_FALSE(error->retryable());
    EXPECT_THAT(error->message(), Not(HasSubstr("s3cr3t")));
    EXPECT_THAT(server.mails(), IsEmpty());
}

TEST(SmtpTest, NeverFallsBackToPlainText) {
    const test::SmtpServer server;
    const auto error =
        test::error_of([&] { channel(server.address(), R"("to": "anna@example.org")")->send(notice(), {}); });
    ASSERT_TRUE(error);
    EXPECT_THAT(error->message(), HasSubstr("TLS"));
    EXPECT_THAT(server.mails(), IsEmpty());
}

TEST(SmtpTest, NotNowIsTriedAgainAndNeverIsNot) {
    const test::SmtpServer server({.greylist = 1});
    const auto mail = channel(server.address(), R"("tls": "none", "to": "anna@example.org")");
    const auto later = test::error_of([&] { mail->send(notice(), {}); });
    ASSERT_TRUE(later);
    EXPECT_TRUE(later->retryable()) << later->message();
    EXPECT_NO_THROW(mail->send(notice(), {}));
    EXPECT_THAT(server.mails(), SizeIs(1));

    const auto never = test::error_of([&] {
        channel(server.address(), R"("tls": "none", "to": "nobody@example.org")")->send(notice(), {});
    });
    ASSERT_TRUE(never);
    EXPECT_FALSE(never->retryable()) << never->message();
    // One address that is wrong does not keep the mail from the others.
    channel(server.address(), R"("tls": "none", "to": ["nobody@example.org", "anna@example.org"])")
        ->send(notice(), {});
    ASSERT_THAT(server.mails(), SizeIs(2));
    EXPECT_THAT(server.mails()[1].to, ElementsAre("anna@example.org"));
}

TEST(SmtpTest, AServerThatHangsOrIsNotThereIsLeft) {
    const test::ScriptedServer silent([](const std::string&) { return test::Answer{}; });
    const std::string address = silent.endpoint().substr(7);
    const auto hung = test::error_of([&] {
        make_channel(parse_channel(
                         "mail", R"({"type": "smtp", "server": ")" + address +
                                     R"(", "from": "a@b.c", "to": "a@b.c", "timeout": "1s", "tls": "none"})"),
                     system_clock(), environment)
            ->send(notice(), {});
    });
    ASSERT_TRUE(hung);
    EXPECT_EQ(to_string(hung->code()), "timed_out") << hung->message();
    EXPECT_TRUE(hung->retryable());
    const auto gone = test::error_of(
        [&] { channel("127.0.0.1:1", R"("tls": "none", "to": "a@b.c")")->send(notice(), {}); });
    ASSERT_TRUE(gone);
    EXPECT_TRUE(gone->retryable());
}

} // namespace
} // namespace holdfast
