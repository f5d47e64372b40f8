#include "base/sha256.h"
#include "support/error_matchers.h"
#include "support/scratch_directory.h"
#include "support/scripted_server.h"
#include "watch/channels/channel.h"

#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace holdfast {
namespace {

using test::Answer;
using test::http_answer;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

constexpr const char* secret = "xoxb-very-secret";

Notice notice(NoticeEvent event = NoticeEvent::trigger) {
    return {.id = "0001-000001-hook",
            .dedup_key = "holdfast-key",
            .event = event,
            .alert = "0001",
            .rule = "backup_failed",
            .title = "Backup failed",
            .subject = "orders <&> \"日本\"",
            .subject_kind = "source",
            .severity = Severity::p1,
            .summary = "the disk is full",
            .runbook = "do something\n",
            .since = from_rfc3339("2026-11-20T12:00:00Z"),
            .time = from_rfc3339("2026-11-20T12:00:00Z"),
            .level = 1,
            .actor = {},
            .origin = "test"};
}

// What a request said.
struct Request {
    std::string first_line, body;
    std::map<std::string, std::string> headers; // names in lower case
};

Request parsed(const std::string& text) {
    Request request;
    const std::size_t end = text.find("\r\n\r\n");
    request.body = text.substr(end + 4);
    std::size_t at = text.find("\r\n");
    request.first_line = text.substr(0, at);
    while (at < end) {
        const std::size_t begin = at + 2;
        at = text.find("\r\n", begin);
        const std::string line = text.substr(begin, at - begin);
        const std::size_t colon = line.find(':');
        std::string name = line.substr(0, colon);
        for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        request.headers[name] = line.substr(line.find_first_not_of(' ', colon + 1));
    }
    return request;
}

class HttpChannelsTest : public testing::Test {
  protected:
    test::ScratchDirectory scratch;
    FakeClock clock{from_rfc3339("2026-11-20T12:34:56Z")};
    Answer answer{http_answer("200 OK", "", "ok"), Answer::Then::keep_open};
    test::ScriptedServer server{[this](const std::string&) { return answer; }};

    std::string secret_file(const std::string& content = secret) {
        const std::string file = scratch.file("secret");
        std::ofstream(file) << content << "\n";
        return file;
    }
    std::unique_ptr<Channel> make(const std::string& json) {
        return make_channel(parse_channel("hook", json), clock,
                            [](const std::string&) { return std::optional<std::string>(); });
    }
    std::unique_ptr<Channel> webhook(const std::string& more = "") {
        return make(fmt::format(R"({{"type": "webhook", "url": "{}/hook?x=1", "secret_file": "{}"{}}})",
                                server.endpoint(), secret_file(), more));
    }
    Request last() { return parsed(server.requests().back()); }
};

TEST_F(HttpChannelsTest, WebhooksAreSigned) {
    webhook()->send(notice(), {});
    ASSERT_THAT(server.requests(), SizeIs(1));
    const Request request = last();
    EXPECT_EQ(request.first_line, "POST /hook?x=1 HTTP/1.1");
    EXPECT_EQ(request.headers.at("content-type"), "application/json");
    EXPECT_EQ(request.headers.at("holdfast-delivery"), "0001-000001-hook");
    EXPECT_EQ(request.headers.at("holdfast-timestamp"), "1795178096");
    // As docs/alerts.md tells receivers to compute it.
    const std::string signature = hmac_sha256(as_bytes(secret), "1795178096." + request.body).hex();
    EXPECT_EQ(request.headers.at("holdfast-signature"), "v1=" + signature);
    const auto json = nlohmann::json::parse(request.body);
    EXPECT_EQ(json.at("event"), "trigger");
    EXPECT_EQ(json.at("rule"), "backup_failed");
    EXPECT_EQ(json.at("severity"), "P1");
    EXPECT_EQ(json.at("subject"), "orders <&> \"日本\"");
    EXPECT_EQ(json.at("dedup_key"), "holdfast-key");
    EXPECT_EQ(json.at("id"), "0001-000001-hook");
    EXPECT_THAT(request.body, Not(HasSubstr(secret)));
    // Sent again later it has another signature, and is the same delivery.
    clock.advance(std::chrono::seconds(60));
    webhook()->send(notice(), {});
    EXPECT_EQ(last().headers.at("holdfast-delivery"), "0001-000001-hook");
    EXPECT_NE(last().headers.at("holdfast-signature"), "v1=" + signature);
}

TEST_F(HttpChannelsTest, SlackGetsTextThatIsEscaped) {
    make(fmt::format(R"({{"type": "slack", "url_file": "{}"}})",
                     secret_file(server.endpoint() + "/services/T0/B0/" + secret)))
        ->send(notice(), {});
    const Request request = last();
    EXPECT_EQ(request.first_line, fmt::format("POST /services/T0/B0/{} HTTP/1.1", secret));
    const auto json = nlohmann::json::parse(request.body);
    EXPECT_EQ(json.at("text"), "[P1] Backup failed: orders &lt;&amp;&gt; \"日本\"");
    EXPECT_THAT(json.at("attachments").at(0).at("text").get<std::string>(), HasSubstr("the disk is full"));
}

TEST_F(HttpChannelsTest, PagerDutyGetsEventsWithOneKey) {
    answer.bytes = http_answer("202 Accepted", "", R"({"status":"success"})");
    const auto pager =
        make(fmt::format(R"({{"type": "pagerduty", "endpoint": "{}/v2/enqueue", "routing_key_file": "{}"}})",
                         server.endpoint(), secret_file()));
    pager->send(notice(), {});
    auto json = nlohmann::json::parse(last().body);
    EXPECT_EQ(last().first_line, "POST /v2/enqueue HTTP/1.1");
    EXPECT_EQ(json.at("routing_key"), secret);
    EXPECT_EQ(json.at("event_action"), "trigger");
    EXPECT_EQ(json.at("dedup_key"), "holdfast-key");
    EXPECT_EQ(json.at("payload").at("severity"), "critical");
    EXPECT_EQ(json.at("payload").at("source"), "orders <&> \"日本\"");
    EXPECT_EQ(json.at("payload").at("timestamp"), "2026-11-20T12:00:00Z");
    EXPECT_THAT(json.at("payload").at("summary").get<std::string>(), HasSubstr("the disk is full"));
    for (const auto& [event, action] :
         {std::pair(NoticeEvent::acknowledge, "acknowledge"), std::pair(NoticeEvent::resolve, "resolve")}) {
        pager->send(notice(event), {});
        json = nlohmann::json::parse(last().body);
        EXPECT_EQ(json.at("event_action"), action);
        EXPECT_EQ(json.at("dedup_key"), "holdfast-key");
        EXPECT_FALSE(json.contains("payload"));
    }
    pager->send(notice(NoticeEvent::test), {});
    ASSERT_THAT(server.requests(), SizeIs(5));
    EXPECT_EQ(nlohmann::json::parse(last().body).at("event_action"), "resolve");
}

TEST_F(HttpChannelsTest, SnsIsSigned) {
    make(fmt::format(R"({{"type": "sns", "topic_arn": "arn:aws:sns:eu-central-1:123456789012:alarms.fifo",
                          "endpoint": "{}", "access_key": "AKIDEXAMPLE", "secret_key_file": "{}"}})",
                     server.endpoint(), secret_file()))
        ->send(notice(), {});
    const Request request = last();
    EXPECT_EQ(request.first_line, "POST / HTTP/1.1");
    EXPECT_THAT(request.body, HasSubstr("Action=Publish"));
    EXPECT_THAT(request.body,
                HasSubstr("TopicArn=arn%3Aaws%3Asns%3Aeu-central-1%3A123456789012%3Aalarms.fifo"));
    EXPECT_THAT(request.body, HasSubstr("MessageDeduplicationId=0001-000001-hook"));
    EXPECT_THAT(request.body,
                HasSubstr("Subject=%5BP1%5D%20Backup%20failed%3A%20orders%20%3C%26%3E%20%22%3F"));
    EXPECT_EQ(request.headers.at("x-amz-date"), "20261120T123456Z");
    // The signature over what arrived.
    const SigningRequest seen{.method = "POST",
                              .path = "/",
                              .query = {},
                              .headers = {{"content-type", request.headers.at("content-type")},
                                          {"host", request.headers.at("host")},
                                          {"x-amz-date", request.headers.at("x-amz-date")}},
                              .payload_hash = sha256_hex(as_bytes(request.body))};
    EXPECT_EQ(request.headers.at("authorization"),
              authorization_header(seen, {"AKIDEXAMPLE", secret, ""}, "eu-central-1", "sns", clock.now()));
}

TEST_F(HttpChannelsTest, AnswersMeanWhatTheySay) {
    struct Case {
        const char* status;
        bool retryable;
    };
    for (const Case& each : {Case{"408 Request Timeout", true}, Case{"429 Too Many Requests", true},
                             Case{"500 Internal Server Error", true}, Case{"503 Service Unavailable", true},
                             Case{"400 Bad Request", false}, Case{"401 Unauthorized", false},
                             Case{"404 Not Found", false}, Case{"410 Gone", false}}) {
        answer.bytes = http_answer(each.status);
        const auto error = test::error_of([&] { webhook()->send(notice(), {}); });
        ASSERT_TRUE(error);
        EXPECT_EQ(error->retryable(), each.retryable) << each.status;
        EXPECT_EQ(error->retry_after_seconds(), 0);
    }
    answer.bytes = http_answer("429 Too Many Requests", "Retry-After: 17\r\n");
    EXPECT_EQ(test::error_of([&] { webhook()->send(notice(), {}); })->retry_after_seconds(), 17);
}

TEST_F(HttpChannelsTest, RedirectsAreNotFollowed) {
    answer.bytes = http_answer("302 Found", "Location: " + server.endpoint() + "/elsewhere\r\n");
    const auto error = test::error_of([&] { webhook()->send(notice(), {}); });
    ASSERT_TRUE(error);
    EXPECT_FALSE(error->retryable());
    EXPECT_THAT(error->message(), HasSubstr("redirect"));
    EXPECT_THAT(server.requests(), SizeIs(1));
}

TEST_F(HttpChannelsTest, SecretsAreInNoErrorEvenWhenTheServerRepeatsThem) {
    answer.bytes = http_answer("400 Bad Request", "", std::string("bad token ") + secret + "\nreally");
    const auto error = test::error_of([&] { webhook()->send(notice(), {}); });
    ASSERT_TRUE(error);
    EXPECT_THAT(error->message(), Not(HasSubstr(secret)));
    EXPECT_THAT(error->message(), HasSubstr("bad token [secret] really"));
    const auto slack = test::error_of([&] {
        make(fmt::format(R"({{"type": "slack", "url_file": "{}"}})",
                         secret_file(std::string("http://127.0.0.1:1/services/") + secret)))
            ->send(notice(), {});
    });
    ASSERT_TRUE(slack);
    EXPECT_THAT(slack->message() + slack->hint(), Not(HasSubstr(secret)));
    EXPECT_TRUE(slack->retryable());
}

TEST_F(HttpChannelsTest, ServersThatHangCutOrSayTooMuchAreLeft) {
    answer = {"", Answer::Then::stay_silent};
    const auto hung = test::error_of([&] { webhook(R"(, "timeout": "1s")")->send(notice(), {}); });
    ASSERT_TRUE(hung);
    EXPECT_EQ(to_string(hung->code()), "timed_out");
    EXPECT_TRUE(hung->retryable());
    for (const char* piece : {"", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab"}) {
        answer = {piece, Answer::Then::close};
        const auto cut = test::error_of([&] { webhook()->send(notice(), {}); });
        ASSERT_TRUE(cut) << piece;
        EXPECT_TRUE(cut->retryable()) << piece;
    }
    answer = {http_answer("200 OK", "", std::string(1 << 20, 'x')), Answer::Then::close};
    const auto endless = test::error_of([&] { webhook()->send(notice(), {}); });
    ASSERT_TRUE(endless);
    EXPECT_EQ(to_string(endless->code()), "corrupt");
}

TEST_F(HttpChannelsTest, SecretsAreReadWhenTheyAreNeeded) {
    const auto channel = webhook();
    std::filesystem::remove(scratch.file("secret"));
    EXPECT_EQ(test::code_of([&] { channel->send(notice(), {}); }), "not_found");
    secret_file("");
    EXPECT_EQ(test::code_of([&] { channel->send(notice(), {}); }), "usage");
    secret_file("another");
    channel->send(notice(), {});
    EXPECT_EQ(last().headers.at("holdfast-signature"),
              "v1=" + hmac_sha256(as_bytes("another"), "1795178096." + last().body).hex());
}

} // namespace
} // namespace holdfast
