#include "store/http_client.h"
#include "support/scripted_server.h"
#include "support/store_conformance.h"

#include <atomic>

#include <gmock/gmock.h>

namespace holdfast::test {

namespace {

using testing::HasSubstr;
using Then = Answer::Then;

TEST(HttpClient, SendsAndReceivesAndKeepsItsConnection) {
    ScriptedServer server([](const std::string&) {
        return Answer{http_answer("201 Created", "X-Thing:  a value \r\nETag: \"e\"\r\n", "body"),
                      Then::keep_open};
    });
    HttpClient client;
    const std::vector<ByteView> body = {as_bytes("one "), ByteView(), as_bytes("two")};
    for (int i = 0; i < 3; ++i) {
        const HttpResponse response = client.perform({.method = "PUT",
                                                      .url = server.endpoint() + "/a%20b/../c?x=1",
                                                      .headers = {{"x-mine", "yes"}, {"x-empty", ""}},
                                                      .body = body},
                                                     {});
        EXPECT_EQ(response.status, 201);
        EXPECT_EQ(as_text(response.body), "body");
        EXPECT_EQ(response.header("x-thing"), "a value");
        EXPECT_EQ(response.header("absent"), "");
    }
    EXPECT_EQ(server.connections(), 1);
    const std::string request = server.requests().at(2);
    EXPECT_TRUE(request.starts_with("PUT /a%20b/../c?x=1 HTTP/1.1\r\n")) << "what was signed is what is sent";
    EXPECT_THAT(request, HasSubstr("x-mine: yes\r\n"));
    EXPECT_THAT(request, HasSubstr("x-empty:\r\n"));
    EXPECT_THAT(request, HasSubstr("Content-Length: 7\r\n"));
    EXPECT_TRUE(request.ends_with("\r\n\r\none two"));
}

TEST(HttpClient, SendsEmptyBodiesWithTheirLength) {
    ScriptedServer server([](const std::string&) { return Answer{http_answer("200 OK")}; });
    HttpClient().perform({.method = "POST", .url = server.endpoint() + "/"}, {});
    EXPECT_THAT(server.requests().at(0), HasSubstr("Content-Length: 0\r\n"));
}

TEST(HttpClient, ReadsTheHeadersOfHead) {
    ScriptedServer server(
        [](const std::string&) { return Answer{"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n"}; });
    const HttpResponse response =
        HttpClient().perform({.method = "HEAD", .url = server.endpoint() + "/"}, {});
    EXPECT_EQ(response.header("content-length"), "12345");
    EXPECT_TRUE(response.body.empty());
}

TEST(HttpClient, DoesNotFollowRedirects) {
    ScriptedServer server([](const std::string&) {
        return Answer{http_answer("307 Temporary Redirect", "Location: http://127.0.0.1:1/\r\n")};
    });
    EXPECT_EQ(HttpClient().perform({.url = server.endpoint() + "/"}, {}).status, 307);
    EXPECT_EQ(server.requests().size(), 1U);
}

TEST(HttpClient, BeginsAgainWhenAKeptConnectionWasClosed) {
    std::atomic<int> count = 0;
    ScriptedServer server([&](const std::string&) {
        // The second request on a connection finds it closed.
        return ++count % 2 == 0 ? Answer{"", Then::close} : Answer{http_answer("200 OK"), Then::keep_open};
    });
    HttpClient client;
    const ByteView body = as_bytes("the whole body");
    const HttpRequest request{.method = "PUT", .url = server.endpoint() + "/", .body = std::span(&body, 1)};
    EXPECT_EQ(client.perform(request, {}).status, 200);
    EXPECT_EQ(client.perform(request, {}).status, 200);
    EXPECT_EQ(server.requests().size(), 3U);
    EXPECT_TRUE(server.requests().at(2).ends_with("\r\n\r\nthe whole body"));
}

TEST(HttpClient, RefusesAnswersThatAreTooLarge) {
    ScriptedServer server(
        [](const std::string&) { return Answer{http_answer("200 OK", "", std::string(1000, 'x'))}; });
    HttpClient client;
    EXPECT_EQ(client.perform({.url = server.endpoint() + "/", .largest_answer_bytes = 1000}, {}).body.size(),
              1000U);
    EXPECT_EQ(error_code_of(
                  [&] { client.perform({.url = server.endpoint() + "/", .largest_answer_bytes = 999}, {}); }),
              ErrorCode::corrupt);
    ScriptedServer endless([](const std::string&) {
        return Answer{"HTTP/1.1 200 OK\r\nX: " + std::string(400'000, 'x') + "\r\n\r\n"};
    });
    EXPECT_THROW(client.perform({.url = endless.endpoint() + "/"}, {}), Error);
}

TEST(HttpClient, SaysThatAnAnswerWasCut) {
    ScriptedServer server(
        [](const std::string&) { return Answer{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"}; });
    const Error error =
        thrown_error([&] { HttpClient().perform({.url = server.endpoint() + "/secret?query"}, {}); });
    EXPECT_EQ(error.code(), ErrorCode::unavailable);
    EXPECT_TRUE(error.retryable());
    EXPECT_THAT(error.message(), HasSubstr(server.endpoint() + ": "));
    EXPECT_THAT(error.message(), testing::Not(HasSubstr("secret")));
}

TEST(HttpClient, StopsWaiting) {
    ScriptedServer server([](const std::string&) { return Answer{"", Then::stay_silent}; });
    HttpClient client;
    const Error late = thrown_error([&] {
        client.perform({.url = server.endpoint() + "/"}, {.timeout = std::chrono::milliseconds(100)});
    });
    EXPECT_EQ(late.code(), ErrorCode::timed_out);
    EXPECT_TRUE(late.retryable());
    std::stop_source stop;
    std::jthread stopper([&] {
        while (server.requests().size() < 2) std::this_thread::yield();
        stop.request_stop();
    });
    const Error stopped =
        thrown_error([&] { client.perform({.url = server.endpoint() + "/"}, {.stop = stop.get_token()}); });
    EXPECT_EQ(stopped.code(), ErrorCode::cancelled);
    EXPECT_FALSE(stopped.retryable());
}

TEST(HttpClient, RefusesOtherProtocolsAndForgedHeaders) {
    HttpClient client;
    EXPECT_EQ(error_code_of([&] { client.perform({.url = "file:///etc/passwd"}, {}); }), ErrorCode::usage);
    EXPECT_EQ(error_code_of([&] {
                  client.perform({.url = "http://127.0.0.1:1/", .headers = {{"a", "b\r\nc: d"}}}, {});
              }),
              ErrorCode::usage);
    const Error nobody = thrown_error([&] { client.perform({.url = "http://127.0.0.1:1/"}, {}); });
    EXPECT_EQ(nobody.code(), ErrorCode::unavailable);
    EXPECT_TRUE(nobody.retryable());
}

TEST(HttpClient, ReadsRetryAfter) {
    const Timestamp now = from_rfc3339("2026-01-01T00:00:00Z");
    const auto seconds = [&](const std::string& value) {
        return HttpResponse{.headers = {{"retry-after", value}}}.retry_after_seconds(now);
    };
    EXPECT_EQ(seconds("120"), 120);
    EXPECT_EQ(seconds("Thu, 01 Jan 2026 00:01:30 GMT"), 90);
    EXPECT_EQ(seconds("Wed, 31 Dec 2025 00:00:00 GMT"), 0);
    EXPECT_EQ(seconds("-5"), 0);
    EXPECT_EQ(seconds("soon"), 0);
    EXPECT_EQ(HttpResponse().retry_after_seconds(now), 0);
    EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), from_rfc3339("1994-11-06T08:49:37Z"));
}

// A server can say any year; a Timestamp cannot hold it.
TEST(HttpClient, TakesNoDateThatIsTooFar) {
    EXPECT_EQ(parse_http_date("Fri, 31 Dec 9999 23:59:59 GMT"), std::nullopt);
    EXPECT_EQ(parse_http_date("Fri, 11 Apr 2262 23:47:17 GMT"), std::nullopt);
    EXPECT_EQ(parse_http_date("Fri, 11 Apr 2262 23:47:16 GMT"),
              from_rfc3339("2262-04-11T23:47:15Z") + std::chrono::seconds(1));
    EXPECT_EQ(parse_http_date("Wed, 31 Dec 1969 23:59:58 GMT"), std::nullopt);
    EXPECT_EQ(parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Timestamp{});
    const HttpResponse far{.headers = {{"retry-after", "Fri, 31 Dec 9999 23:59:59 GMT"}}};
    EXPECT_EQ(far.retry_after_seconds(from_rfc3339("2026-01-01T00:00:00Z")), 0);
}

} // namespace

} // namespace holdfast::test
