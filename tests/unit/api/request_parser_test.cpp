#include "api/http/request_parser.h"

#include <gmock/gmock.h>

namespace holdfast::api {
namespace {

using namespace std::string_literals;
using State = RequestParser::State;

// Feeds `text` in pieces of `piece` bytes, as a socket might.
RequestParser fed(const std::string& text, std::size_t piece, RequestLimits limits = {},
                  std::string* rest = nullptr) {
    RequestParser parser(limits);
    std::string waiting;
    for (std::size_t at = 0; at < text.size(); at += piece) {
        waiting += text.substr(at, piece);
        waiting.erase(0, parser.feed(waiting));
        if (parser.state() == State::refused) break;
        if (parser.state() == State::done) {
            if (rest != nullptr) *rest = waiting + text.substr(std::min(text.size(), at + piece));
            break;
        }
    }
    return parser;
}

int refused_with(const std::string& text, RequestLimits limits = {}) {
    const int at_once = fed(text, text.size(), limits).status();
    EXPECT_EQ(fed(text, 1, limits).status(), at_once) << text.substr(0, 100);
    return at_once;
}

TEST(RequestParser, ReadsARequestHoweverItIsCut) {
    const std::string text =
        "POST /v1/tokens?a=b HTTP/1.1\r\nHost: h\r\ncontent-LENGTH: 5\r\nX: 1\r\n\r\nhelloGET";
    for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{7}, text.size()}) {
        std::string rest;
        RequestParser parser = fed(text, piece, {}, &rest);
        ASSERT_EQ(parser.state(), State::done) << piece;
        EXPECT_TRUE(parser.keep_alive());
        const Request request = parser.take("127.0.0.1");
        EXPECT_EQ(request.method, "POST");
        EXPECT_EQ(request.path, "/v1/tokens");
        EXPECT_EQ(request.parameter("a"), "b");
        EXPECT_EQ(request.headers.find("x"), "1");
        EXPECT_EQ(request.headers.find("Content-Length"), "5");
        EXPECT_EQ(request.body, "hello");
        EXPECT_EQ(request.peer, "127.0.0.1");
        EXPECT_EQ(rest, "GET");
    }
}

TEST(RequestParser, ReadsChunks) {
    const std::string text =
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3;name=value\r\nabc\r\n2\r\nde\r\n0\r\nAuthorization: late\r\nHost: other\r\n\r\n";
    for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, text.size()}) {
        RequestParser parser = fed(text, piece);
        ASSERT_EQ(parser.state(), State::done) << parser.reason();
        const Request request = parser.take("");
        EXPECT_EQ(request.body, "abcde");
        // What comes behind the body is no field of the header.
        EXPECT_EQ(request.headers.find("Authorization"), std::nullopt);
        EXPECT_EQ(request.headers.find("Host"), "h");
    }
}

TEST(RequestParser, RefusesWhatTwoReadersMightReadDifferently) {
    const std::string post = "POST / HTTP/1.1\r\nHost: h\r\n";
    EXPECT_EQ(refused_with(post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
    EXPECT_EQ(refused_with(post + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"), 400);
    EXPECT_EQ(refused_with(post + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"), 400);
    EXPECT_EQ(refused_with(post + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"), 400);
    EXPECT_EQ(refused_with(post + "Content-Length: -1\r\n\r\n"), 400);
    EXPECT_EQ(refused_with(post + "Content-Length: 0x3\r\n\r\nabc"), 400);
    EXPECT_EQ(refused_with(post + "Content-Length: 99999999999999999999\r\n\r\n"), 400);
    EXPECT_EQ(refused_with(post + "Transfer-Encoding: gzip\r\n\r\n"), 501);
    EXPECT_EQ(refused_with(post + "Transfer-Encoding: chunked, gzip\r\n\r\n"), 501);
    EXPECT_EQ(refused_with(post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 501);
    EXPECT_EQ(refused_with(post + "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
              501);
    EXPECT_EQ(refused_with("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400);
    EXPECT_EQ(refused_with("GET / HTTP/1.1\r\n\r\n"), 400);
    EXPECT_EQ(refused_with("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400);
    EXPECT_EQ(refused_with("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), 400);
}

TEST(RequestParser, RefusesWhatIsNoRequest) {
    EXPECT_EQ(refused_with("\x16\x03\x01 hello"), 400);
    EXPECT_EQ(refused_with("GET /\r\n\r\n"), 400);
    EXPECT_EQ(refused_with("GET / HTTP/1.1\nHost: h\n\n\r\n\r\n"), 505);
    EXPECT_EQ(refused_with("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
    EXPECT_EQ(refused_with("GET / HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n"), 400);
    EXPECT_EQ(refused_with("GET / HTTP/1.1\r\nHost: h\r\nA: b\0c\r\n\r\n"s), 400);
    EXPECT_EQ(refused_with("GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n"s), 400);
    EXPECT_EQ(refused_with("GET /%zz HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
    EXPECT_EQ(refused_with("GET / HTTP/1.1\r\nHost: h\r\nExpect: miracles\r\n\r\n"), 417);
    EXPECT_EQ(refused_with("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), 400);
    EXPECT_EQ(refused_with(
                  "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n0\r\n\r\n"),
              400);
    EXPECT_EQ(
        refused_with("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"),
        400);
}

TEST(RequestParser, HasBounds) {
    const RequestLimits limits{.header_bytes = 1000, .target_bytes = 100, .body_bytes = 10};
    EXPECT_EQ(refused_with("GET /" + std::string(200, 'a') + " HTTP/1.1\r\nHost: h\r\n\r\n", limits), 414);
    EXPECT_EQ(fed("GET /" + std::string(5000, 'a'), 5000, limits).status(), 414);
    EXPECT_EQ(refused_with("GET / HTTP/1.1\r\nHost: h\r\nA: " + std::string(2000, 'a') + "\r\n\r\n", limits),
              431);
    EXPECT_EQ(refused_with("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n", limits), 413);
    EXPECT_EQ(refused_with("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                           "8\r\n12345678\r\n3\r\n123\r\n0\r\n\r\n",
                           limits),
              413);
    EXPECT_EQ(fed("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789", 9, limits).state(),
              State::done);
}

TEST(RequestParser, SaysWhatTheClientWaitsFor) {
    RequestParser parser =
        fed("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", 10);
    EXPECT_EQ(parser.state(), State::body);
    EXPECT_TRUE(parser.expects_continue());
    EXPECT_FALSE(fed("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", 10).keep_alive());
    EXPECT_FALSE(fed("GET / HTTP/1.0\r\n\r\n", 10).keep_alive());
}

} // namespace
} // namespace holdfast::api
