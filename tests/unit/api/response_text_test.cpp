#include "api/http/response_text.h"

#include <gmock/gmock.h>

namespace holdfast::api {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const Timestamp now = from_rfc3339("2026-11-21T23:54:21Z");

TEST(ResponseText, IsWhatGoesOut) {
    const std::string text = response_text(
        {.status = 404, .content_type = "application/problem+json", .body = "{}"}, {.now = now});
    EXPECT_THAT(text, StartsWith("HTTP/1.1 404 Not Found\r\nDate: Sat, 21 Nov 2026 23:54:21 GMT\r\n"));
    EXPECT_THAT(text, HasSubstr("\r\nContent-Length: 2\r\n"));
    EXPECT_THAT(text, HasSubstr("\r\nX-Content-Type-Options: nosniff\r\n"));
    EXPECT_THAT(text, HasSubstr("\r\nCache-Control: no-store\r\n"));
    EXPECT_THAT(text, EndsWith("\r\n\r\n{}"));
    EXPECT_THAT(text, Not(HasSubstr("Connection: close")));
}

TEST(ResponseText, OfHeadHasALengthAndNoBody) {
    const std::string text = response_text({.content_type = "text/plain", .body = "body"},
                                           {.keep_alive = false, .head_only = true, .now = now});
    EXPECT_THAT(text, HasSubstr("Content-Length: 4\r\n"));
    EXPECT_THAT(text, EndsWith("Connection: close\r\n\r\n"));
    EXPECT_THAT(response_text({.status = 204}, {.now = now}), Not(HasSubstr("Content-Length")));
}

TEST(ResponseText, LetsNobodySlipInAField) {
    Response response{.status = 202};
    response.headers.set("Location", "/v1\r\nSet-Cookie: a=b");
    response.headers.set("Other\r\nName", "x");
    response.headers.set("Cache-Control", "max-age=5");
    const std::string text = response_text(response, {.now = now});
    EXPECT_THAT(text, Not(HasSubstr("Set-Cookie")));
    EXPECT_THAT(text, Not(HasSubstr("Other")));
    EXPECT_THAT(text, HasSubstr("Cache-Control: max-age=5\r\n"));
    EXPECT_THAT(text, Not(HasSubstr("no-store")));
}

TEST(EventText, GivesEachLineOfDataItsOwn) {
    EXPECT_EQ(event_text({{.id = "7\nevent: x", .type = "operation", .data = "{\n\"a\":1\r\n}"},
                          {.id = "", .type = "", .data = ""}}),
              "id: 7\nevent: operation\ndata: {\ndata: \"a\":1\ndata: }\n\ndata: \n\n");
    EXPECT_EQ(event_text({}), "");
}

} // namespace
} // namespace holdfast::api
