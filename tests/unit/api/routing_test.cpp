#include "unit/api/api_fixture.h"

#include <set>

#include <gmock/gmock.h>

namespace holdfast::api {
namespace {

using testing::HasSubstr;
using testing::Not;

class Routing : public test::ApiTest {};

TEST_F(Routing, TellsWhatIsWrongAsProblems) {
    const Response missing = ask("GET", "/v1/nothing");
    EXPECT_EQ(missing.status, 404);
    EXPECT_EQ(missing.content_type, "application/problem+json");
    const auto problem = json_of(missing);
    EXPECT_EQ(problem["type"], "urn:holdfast:problem:not-found");
    EXPECT_EQ(problem["title"], "Not Found");
    EXPECT_EQ(problem["status"], 404);
    EXPECT_EQ(problem["instance"], "/v1/nothing");
    EXPECT_EQ(problem["request_id"], *missing.headers.find("Holdfast-Request-Id"));
    EXPECT_EQ(ask("GET", "/v1/operations/none").status, 404);
}

TEST_F(Routing, TellsWhatMayBeDone) {
    const Response wrong = ask("PATCH", "/v1/tokens");
    EXPECT_EQ(wrong.status, 405);
    EXPECT_EQ(wrong.headers.find("Allow"), "OPTIONS, GET, HEAD, POST");
    const Response options = ask("OPTIONS", "/v1/tokens/some");
    EXPECT_EQ(options.status, 204);
    EXPECT_EQ(options.headers.find("Allow"), "OPTIONS, DELETE, GET, HEAD");
    EXPECT_EQ(ask("HEAD", "/v1/tokens").status, 200);
}

TEST_F(Routing, WordsComeBeforeParameters) {
    EXPECT_EQ(ask("GET", "/v1/backup-recovery/documents/backups").status, 501);
    EXPECT_THAT(ask("GET", "/v1/operations/events").events, testing::NotNull());
    EXPECT_EQ(ask("GET", "/v1/operations/event").status, 404);
}

TEST_F(Routing, KnowsWhatMayTakeLong) {
    const auto takes_long = [&](const char* method, const char* target) {
        return server->router().takes_long(request(method, target));
    };
    EXPECT_TRUE(takes_long("POST", "/v1/approvals/ap_1/approve"));
    EXPECT_FALSE(takes_long("GET", "/v1/approvals/ap_1"));
    EXPECT_FALSE(takes_long("GET", "/v1/operations"));
    EXPECT_FALSE(takes_long("DELETE", "/v1/operations"));
    EXPECT_FALSE(takes_long("GET", "/v1/nothing"));
}

TEST_F(Routing, AsksForTheRightFormat) {
    Request post = request("POST", "/v1/backups", "{}");
    post.headers.add("Authorization", "Bearer " + first.secret);
    post.headers.set("Content-Type", "text/plain");
    EXPECT_EQ(server->router().answer(post).status, 415);
    post.headers.set("Content-Type", "Application/JSON; charset=utf-8");
    EXPECT_EQ(server->router().answer(post).status, 202);
    EXPECT_EQ(ask("GET", "/v1/tokens", {}, {{"Accept", "text/html, image/*"}}).status, 406);
    EXPECT_EQ(ask("GET", "/v1/tokens", {}, {{"Accept", "text/html, application/*;q=0.5"}}).status, 200);
    EXPECT_EQ(ask("GET", "/openapi.yaml", {}, {{"Accept", "application/json"}}).status, 406);
}

TEST_F(Routing, NamesTheFieldAtFault) {
    const auto field_of = [&](const Response& response) {
        EXPECT_EQ(response.status, 400) << response.body;
        return json_of(response)["errors"][0]["field"].get<std::string>();
    };
    EXPECT_EQ(field_of(ask("GET", "/v1/operations?limit=0")), "limit");
    EXPECT_EQ(field_of(ask("GET", "/v1/operations?limit=1001")), "limit");
    EXPECT_EQ(field_of(ask("GET", "/v1/operations?limit=ten")), "limit");
    EXPECT_EQ(field_of(ask("GET", "/v1/operations?state=asleep")), "state");
    EXPECT_EQ(field_of(ask("GET", "/v1/operations?colour=red")), "colour");
    EXPECT_EQ(field_of(ask("GET", "/v1/operations?kind=a&kind=b")), "kind");
    EXPECT_EQ(field_of(ask("GET", "/v1/operations?cursor=zz")), "cursor");
    EXPECT_EQ(field_of(ask("GET", "/v1/audit?cursor=" + Call::cursor("operations", "1"))), "cursor");
    EXPECT_EQ(field_of(ask("GET", "/v1/audit?cursor=" + Call::cursor("audit", "9223372036854775807"))),
              "cursor");
    EXPECT_EQ(field_of(ask("POST", "/v1/backups", R"({"source": "unknown"})")), "source");
    EXPECT_EQ(field_of(ask("POST", "/v1/backups", R"({"sauce": "db"})")), "sauce");
    EXPECT_EQ(field_of(ask("POST", "/v1/tokens", R"({"name": "a b", "roles": ["viewer"]})")), "name");
    EXPECT_EQ(field_of(ask("POST", "/v1/tokens", R"({"name": "a", "roles": ["king"]})")), "roles");
    EXPECT_EQ(field_of(ask("POST", "/v1/tokens", R"({"name": "a", "roles": []})")), "roles");
    EXPECT_EQ(field_of(ask("POST", "/v1/tokens",
                           R"({"name": "a", "roles": ["viewer"], "expires": "2020-01-01T00:00:00Z"})")),
              "expires");
    EXPECT_EQ(ask("POST", "/v1/backups", "{").status, 400);
    EXPECT_EQ(ask("POST", "/v1/backups", "[]").status, 400);
}

TEST_F(Routing, WhatFailsInsideStaysInside) {
    server->router().add({.method = "GET",
                          .path = "/v1/broken",
                          .name = "broken",
                          .permission = Permission::read,
                          .handle = [](Call&) -> Response { throw std::runtime_error("password=hunter2"); }});
    server->router().add({.method = "GET",
                          .path = "/v1/gone",
                          .name = "gone",
                          .permission = Permission::read,
                          .handle = [](Call&) -> Response {
                              throw Error(ErrorCode::unavailable, "the catalog /var/secret is gone");
                          }});
    const Response broken = ask("GET", "/v1/broken");
    EXPECT_EQ(broken.status, 500);
    EXPECT_THAT(broken.body, Not(HasSubstr("hunter2")));
    const Response gone = ask("GET", "/v1/gone");
    EXPECT_EQ(gone.status, 503);
    EXPECT_TRUE(gone.headers.find("Retry-After"));
    EXPECT_THAT(gone.body, Not(HasSubstr("/var/secret")));
}

TEST_F(Routing, SystemRoutesAreOpen) {
    EXPECT_EQ(server->router().answer(request("GET", "/healthz")).status, 200);
    const Response ready = server->router().answer(request("GET", "/readyz"));
    EXPECT_EQ(ready.status, 200);
    EXPECT_EQ(json_of(ready)["checks"]["catalog"], "ok");
    EXPECT_THAT(server->router().answer(request("GET", "/openapi.yaml")).body, HasSubstr("openapi: 3.1.0"));
    for (const Route* route : server->router().routes()) {
        if (!route->permission) continue;
        std::string path = route->path;
        while (path.find('{') != std::string::npos)
            path.replace(path.find('{'), path.find('}') - path.find('{') + 1, "x");
        Access& access = server->services().access;
        access.forget();
        clock.advance(std::chrono::seconds(10));
        const int status = server->router().answer(request(route->method, path)).status;
        EXPECT_EQ(status, 401) << route->method << " " << route->path;
    }
}

TEST_F(Routing, AVersionThatChangedIsNotOverwritten) {
    server->router().add({.method = "PUT",
                          .path = "/v1/thing",
                          .name = "putThing",
                          .permission = Permission::configure,
                          .handle = [](Call& call) {
                              if (const auto problem = call.unless_match(etag_of("seen")))
                                  return problem_response(*problem, {}, {});
                              return json_response(200, "{}");
                          }});
    EXPECT_EQ(ask("PUT", "/v1/thing", "{}").status, 428);
    EXPECT_EQ(ask("PUT", "/v1/thing", "{}", {{"If-Match", "\"other\""}}).status, 412);
    EXPECT_EQ(ask("PUT", "/v1/thing", "{}", {{"If-Match", "\"other\", " + etag_of("seen")}}).status, 200);
    EXPECT_EQ(ask("PUT", "/v1/thing", "{}", {{"If-Match", "*"}}).status, 200);
}

} // namespace
} // namespace holdfast::api
