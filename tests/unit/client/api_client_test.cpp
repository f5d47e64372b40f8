#include "base/error.h"
#include "client/api_client.h"
#include "client/follow_operation.h"
#include "support/error_matchers.h"
#include "support/scripted_server.h"

#include <atomic>
#include <set>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace holdfast::test {

namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Json = nlohmann::json;
using Then = Answer::Then;

std::string json_answer(const std::string& status, const Json& body, const std::string& headers = "") {
    return http_answer(status, "Content-Type: application/json\r\n" + headers, body.dump());
}

std::string problem(const std::string& status, const std::string& type, const std::string& detail,
                    const std::string& headers = "") {
    return http_answer(status, "Content-Type: application/problem+json\r\n" + headers,
                       Json{{"type", "urn:holdfast:problem:" + type},
                            {"title", "Title"},
                            {"status", 400},
                            {"detail", detail},
                            {"request_id", "abcd"},
                            {"errors", {{{"field", "source"}, {"message", detail}}}}}
                           .dump());
}

std::string field(const std::string& request, const std::string& name) {
    const std::size_t at = request.find(name + ": ");
    if (at == std::string::npos) return {};
    const std::size_t begin = at + name.size() + 2;
    return request.substr(begin, request.find("\r\n", begin) - begin);
}

// A client whose clock stands still but when it sleeps.
struct Client {
    explicit Client(const std::string& url) : api({.url = url, .token = "hf_secret"}, clock, random, {}) {}
    FakeClock clock{Timestamp(std::chrono::hours(1))};
    SeededRandom random{1};
    ApiClient api;
};

Error thrown_by(const std::function<void()>& body) { return error_of(body).value(); }

TEST(ApiClient, ShowsItsTokenAndReadsJson) {
    ScriptedServer server([](const std::string&) { return Answer{json_answer("200 OK", {{"a", 1}})}; });
    Client client(server.endpoint());
    EXPECT_EQ(client.api.get("/v1/x", {{"name", "a b&c"}}), (Json{{"a", 1}}));
    const std::string request = server.requests().at(0);
    EXPECT_TRUE(request.starts_with("GET /v1/x?name=a%20b%26c HTTP/1.1\r\n")) << request;
    EXPECT_EQ(field(request, "Authorization"), "Bearer hf_secret");
}

TEST(ApiClient, GoesThroughAllPartsOfAList) {
    std::atomic<int> asked = 0;
    ScriptedServer server([&](const std::string&) {
        const bool last = ++asked == 2;
        return Answer{
            json_answer("200 OK", {{"items", {asked.load()}}, {"next", last ? Json() : Json("c1")}})};
    });
    Client client(server.endpoint());
    EXPECT_EQ(client.api.list("/v1/x", {{"source", "a"}}), (Json{1, 2}));
    EXPECT_TRUE(server.requests().at(1).starts_with("GET /v1/x?source=a&limit=1000&cursor=c1 "));
}

TEST(ApiClient, SendsAChangeAgainUnderItsKeyWhenTheAnswerWasLost) {
    std::atomic<int> asked = 0;
    ScriptedServer server([&](const std::string&) {
        return ++asked == 1 ? Answer{"", Then::close}
                            : Answer{json_answer("202 Accepted", {{"operation", "1"}})};
    });
    Client client(server.endpoint());
    EXPECT_EQ(client.api.change({.path = "/v1/backups", .body = R"({"source":"a"})"})["operation"], "1");
    ASSERT_GE(server.requests().size(), 2U);
    const std::string key = field(server.requests().front(), "Idempotency-Key");
    EXPECT_EQ(key.size(), 36U);
    EXPECT_EQ(field(server.requests().back(), "Idempotency-Key"), key);
    EXPECT_TRUE(server.requests().back().ends_with(R"({"source":"a"})"));
    client.api.change({.path = "/v1/backups"});
    EXPECT_NE(field(server.requests().back(), "Idempotency-Key"), key) << "another change is another";
}

TEST(ApiClient, DoesNotSendAgainWhatIsNotKept) {
    ScriptedServer server([](const std::string&) { return Answer{problem("503 X", "unavailable", "no")}; });
    Client client(server.endpoint());
    EXPECT_THROW(client.api.change({.path = "/v1/silences", .kept_by_key = false}), Error);
    EXPECT_EQ(server.requests().size(), 1U);
    EXPECT_EQ(field(server.requests().at(0), "Idempotency-Key"), "");
}

TEST(ApiClient, WaitsAsLongAsTheServerAsksFor) {
    std::atomic<int> asked = 0;
    ScriptedServer server([&](const std::string&) {
        return ++asked == 1 ? Answer{problem("429 X", "too-many-requests", "slowly", "Retry-After: 7\r\n")}
                            : Answer{json_answer("200 OK", {{"id", "1"}})};
    });
    Client client(server.endpoint());
    const Duration before = client.clock.steady();
    client.api.change({.path = "/v1/silences", .kept_by_key = false});
    EXPECT_EQ(client.clock.steady() - before, std::chrono::seconds(7)) << "nothing was done the first time";
}

TEST(ApiClient, GivesUpWhenItIsToWaitForLong) {
    ScriptedServer server([](const std::string&) {
        return Answer{problem("429 X", "too-many-requests", "slowly", "Retry-After: 900\r\n")};
    });
    Client client(server.endpoint());
    const Error error = thrown_by([&] { client.api.get("/v1/x"); });
    EXPECT_EQ(error.hint(), "try again in 900 s");
    EXPECT_TRUE(error.retryable());
    EXPECT_EQ(server.requests().size(), 1U);
}

TEST(ApiClient, TellsWhatIsWrong) {
    struct Case {
        const char *status, *type;
        ErrorCode code;
        const char* hint;
    };
    for (const Case& one : {Case{"401 X", "not-authenticated", ErrorCode::access_denied, "HOLDFAST_TOKEN"},
                            Case{"403 X", "second-factor-required", ErrorCode::access_denied, "--code"},
                            Case{"404 X", "not-found", ErrorCode::not_found, ""},
                            Case{"409 X", "conflict", ErrorCode::fenced, ""},
                            Case{"400 X", "invalid-request", ErrorCode::usage, ""},
                            Case{"507 X", "no-space", ErrorCode::no_space, "abcd"}}) {
        ScriptedServer server(
            [&](const std::string&) { return Answer{problem(one.status, one.type, "so it is")}; });
        Client client(server.endpoint());
        const Error error = thrown_by([&] { client.api.change({.path = "/v1/x"}); });
        EXPECT_EQ(error.code(), one.code) << one.type;
        EXPECT_EQ(error.message(), server.endpoint() + ": so it is");
        EXPECT_THAT(error.hint(), HasSubstr(one.hint)) << one.type;
        EXPECT_EQ(error.field(), "source");
        EXPECT_THAT(error.message() + error.hint(), Not(HasSubstr("hf_secret")));
    }
}

TEST(ApiClient, IsNotTakenInByOtherServers) {
    ScriptedServer server([](const std::string&) { return Answer{http_answer("404 X", "", "<html>")}; });
    Client client(server.endpoint());
    EXPECT_THAT(thrown_by([&] { client.api.get("/v1/x"); }).message(), HasSubstr("not as Holdfast"));
    ScriptedServer page([](const std::string&) { return Answer{http_answer("200 OK", "", "<html>")}; });
    Client other(page.endpoint());
    EXPECT_EQ(thrown_by([&] { other.api.get("/v1/x"); }).code(), ErrorCode::incompatible);
}

TEST(ApiClient, SaysWhereNoServerIs) {
    std::string gone;
    {
        const ScriptedServer server([](const std::string&) { return Answer{}; });
        gone = server.endpoint();
    }
    Client client(gone);
    const Error error = thrown_by([&] { client.api.get("/v1/x"); });
    EXPECT_EQ(error.code(), ErrorCode::unavailable);
    EXPECT_THAT(error.message(), HasSubstr(gone));
    EXPECT_THAT(error.hint(), HasSubstr("holdfast serve"));
}

TEST(ApiClient, RefusesUrlsThatAreNone) {
    for (const char* url : {"", "host:7420", "https://", "https://host/path", "https://user@host",
                            "http://example.org:7420", "ftp://host"})
        EXPECT_EQ(thrown_by([&] { const Client client(url); }).code(), ErrorCode::usage) << url;
    const Client slash("https://host:1/");
    EXPECT_EQ(slash.api.url(), "https://host:1");
}

TEST(ApiClient, AsksForACodeWhereverOneIsTaken) {
    std::set<std::string> good{"123456", "234567"};
    ScriptedServer server([&](const std::string& request) {
        const std::string code = field(request, "Holdfast-Code");
        if (code.empty()) return Answer{problem("403 X", "second-factor-required", "a code")};
        if (good.erase(code) == 0) return Answer{problem("403 X", "wrong-code", "wrong, or used")};
        return Answer{json_answer("202 Accepted", {{"operation", code}})};
    });
    FakeClock clock{Timestamp(std::chrono::hours(1))};
    SeededRandom random(1);
    std::vector<std::string> typed{"999999", "234567", "1", "2", "3", "4"};
    std::size_t asked = 0;
    ApiClient api({.url = server.endpoint(),
                   .token = "hf_secret",
                   .code = "123456",
                   .ask_code = [&] { return typed.at(asked++); }},
                  clock, random, {});
    EXPECT_EQ(api.change({.path = "/v1/prunes"})["operation"], "123456");
    EXPECT_EQ(asked, 0U);
    EXPECT_EQ(api.change({.path = "/v1/prunes"})["operation"], "234567");
    EXPECT_EQ(asked, 2U);
    EXPECT_EQ(thrown_by([&] { api.change({.path = "/v1/prunes"}); }).code(), ErrorCode::access_denied);
    EXPECT_EQ(asked, 5U);
}

TEST(FollowOperation, GoesOnWhenTheServerComesBack) {
    std::atomic<int> asked = 0;
    ScriptedServer server([&](const std::string&) {
        switch (++asked) {
        case 1:
            return Answer{
                json_answer("200 OK", {{"state", "running"}, {"phase", "reading"}, {"done_bytes", 5}})};
        case 2:
        case 3:
        case 4:
        case 5:
        case 6:
        case 7:
            return Answer{problem("503 X", "unavailable", "away")};
        default:
            return Answer{json_answer("200 OK", {{"state", "succeeded"}, {"result", {{"a", 1}}}})};
        }
    });
    Client client(server.endpoint());
    Progress progress;
    int away = 0;
    const Json operation =
        follow_operation(client.api, "0a", {.on_away = [&](const Error&) { ++away; }}, progress, {});
    EXPECT_EQ(operation["result"]["a"], 1);
    EXPECT_EQ(away, 1);
}

TEST(FollowOperation, EndsAfterALongAbsence) {
    ScriptedServer server([](const std::string&) { return Answer{problem("503 X", "unavailable", "away")}; });
    Client client(server.endpoint());
    Progress progress;
    EXPECT_EQ(thrown_by([&] {
                  follow_operation(client.api, "0a", {.patience = std::chrono::minutes(1)}, progress, {});
              }).code(),
              ErrorCode::unavailable);
}

TEST(FollowOperation, StopsWithoutAWord) {
    ScriptedServer server([](const std::string&) {
        return Answer{json_answer("200 OK", {{"state", "running"}, {"phase", "reading"}})};
    });
    Client client(server.endpoint());
    Progress progress;
    std::stop_source stop;
    stop.request_stop();
    EXPECT_EQ(thrown_by([&] { follow_operation(client.api, "0a", {}, progress, stop.get_token()); }).code(),
              ErrorCode::cancelled);
    for (const std::string& request : server.requests()) EXPECT_TRUE(request.starts_with("GET "));
}

} // namespace

} // namespace holdfast::test
