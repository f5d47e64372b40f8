#include "support/error_matchers.h"
#include "unit/api/api_fixture.h"

#include <gmock/gmock.h>

namespace holdfast::api {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

class TokenRoutes : public test::ApiTest {};

TEST_F(TokenRoutes, TheFirstIsMadeOnce) {
    EXPECT_THAT(first.secret, testing::MatchesRegex("hf_[0-9a-f]{64}"));
    EXPECT_EQ(server->first_token(), std::nullopt);
    EXPECT_EQ(ask("GET", "/v1/tokens").status, 200);
    const auto entry = json_of(ask("GET", "/v1/audit"))["items"].at(0);
    EXPECT_EQ(entry["action"], "token.create");
    EXPECT_EQ(entry["actor"], "first start");
    EXPECT_EQ(entry["details"], nlohmann::json({{"id", first.token.id},
                                                {"roles", {"administrator"}},
                                                {"expires", nullptr},
                                                {"second_factor", first.token.has_second_factor}}));
}

// Shown before it is good: who is killed in between has shown what opens nothing, and shows another.
TEST_F(TokenRoutes, TheFirstIsThereWhenItWasShownAlone) {
    Catalog empty("sqlite:" + scratch.file("empty.db"), silent_logger());
    ApiServer begins({.state_directory = scratch.file("state")},
                     {.catalog = empty, .clock = clock, .random = random, .logger = silent_logger()});
    std::string void_secret;
    EXPECT_THROW(begins.first_token([&](const IssuedToken& issued) {
        void_secret = issued.secret;
        throw Error(ErrorCode::no_space, "the disk is full");
    }),
                 Error);
    EXPECT_FALSE(begins.tokens().find_by_secret(void_secret));
    const auto issued = begins.first_token();
    ASSERT_TRUE(issued);
    EXPECT_NE(issued->secret, void_secret);
    EXPECT_TRUE(begins.tokens().find_by_secret(issued->secret));
    EXPECT_FALSE(begins.first_token());
}

TEST_F(TokenRoutes, SecretsAreToldOnceAndNeverKept) {
    const Response made = ask("POST", "/v1/tokens", R"({"name": "olga", "roles": ["operator", "viewer"]})",
                              {{"Idempotency-Key", "olga"}});
    ASSERT_EQ(made.status, 201) << made.body;
    const std::string secret = json_of(made)["token"];
    EXPECT_EQ(ask("GET", "/v1/operations", {}, {}, secret).status, 200);
    // The same request gets the same answer, from what only its sender's secret opens.
    EXPECT_EQ(ask("POST", "/v1/tokens", R"({"name": "olga", "roles": ["operator", "viewer"]})",
                  {{"Idempotency-Key", "olga"}})
                  .body,
              made.body);
    EXPECT_THAT(ask("GET", "/v1/tokens").body, Not(HasSubstr("hf_")));
    EXPECT_THAT(ask("GET", "/v1/audit").body, Not(HasSubstr("hf_")));
    catalog.with([&](Database& database) {
        for (const char* table : {"tokens", "answers", "audit", "second_factors"}) {
            const auto rows = database.query(std::string("SELECT * FROM ") + table);
            for (const SqlRow& row : rows) {
                for (std::size_t column = 0; column < 5; ++column) {
                    if (table == std::string("second_factors")) break;
                    try {
                        EXPECT_THAT(row.text(column), Not(HasSubstr(secret.substr(3)))) << table;
                    } catch (const Error&) {
                        // A number holds no secret.
                    }
                }
            }
        }
    });
    EXPECT_EQ(ask("POST", "/v1/tokens", R"({"name": "olga", "roles": ["viewer"]})").status, 409);
}

TEST_F(TokenRoutes, EndWhenTheyExpireOrAreRevoked) {
    const Response brief = ask(
        "POST", "/v1/tokens", R"({"name": "brief", "roles": ["viewer"], "expires": "2026-11-20T13:00:00Z"})");
    const std::string secret = json_of(brief)["token"];
    EXPECT_EQ(ask("GET", "/v1/operations", {}, {}, secret).status, 200);
    clock.advance(std::chrono::hours(1));
    const Response expired = ask("GET", "/v1/operations", {}, {}, secret);
    EXPECT_EQ(expired.status, 401);
    EXPECT_THAT(expired.body, HasSubstr("expired"));
    EXPECT_TRUE(expired.headers.find("WWW-Authenticate"));

    const std::string other = token("other", "viewer");
    const auto id = json_of(ask("GET", "/v1/tokens"))["items"];
    std::string other_id;
    for (const auto& each : id)
        if (each["name"] == "other") other_id = each["id"];
    EXPECT_EQ(ask("GET", "/v1/operations", {}, {}, other).status, 200);
    EXPECT_EQ(ask("DELETE", "/v1/tokens/" + other_id).status, 204);
    EXPECT_EQ(ask("DELETE", "/v1/tokens/" + other_id).status, 204);
    EXPECT_EQ(ask("GET", "/v1/operations", {}, {}, other).status, 401);
    EXPECT_EQ(ask("DELETE", "/v1/tokens/none").status, 404);
}

TEST_F(TokenRoutes, ARevocationElsewhereTakesEffectWithinASecond) {
    const std::string other = token("other", "viewer");
    EXPECT_EQ(ask("GET", "/v1/operations", {}, {}, other).status, 200);
    catalog.with([](Database& database) {
        return database.query("UPDATE tokens SET revoked = 1 WHERE name = 'other'");
    });
    clock.advance(seconds(1));
    EXPECT_EQ(ask("GET", "/v1/operations", {}, {}, other).status, 401);
}

TEST_F(TokenRoutes, TheLastAdministratorStays) {
    const std::string id = first.token.id;
    EXPECT_EQ(ask("DELETE", "/v1/tokens/" + id).status, 409);
    EXPECT_EQ(ask("POST", "/v1/tokens",
                  R"({"name": "brief", "roles": ["administrator"], "expires": "2026-11-20T13:00:00Z"})")
                  .status,
              201);
    EXPECT_EQ(ask("DELETE", "/v1/tokens/" + id).status, 409);
    EXPECT_EQ(server->tokens().last_administrator_ends(), std::nullopt);
    token("second", "administrator");
    EXPECT_EQ(ask("DELETE", "/v1/tokens/" + id).status, 204);
    EXPECT_EQ(ask("GET", "/v1/tokens").status, 401);
}

TEST_F(TokenRoutes, WhoGuessesIsSlowedDown) {
    int refused = 0;
    const std::string good = token("good", "viewer");
    EXPECT_EQ(ask("GET", "/v1/operations", {}, {}, good).status, 200);
    for (int i = 0; i < 100; ++i) {
        const std::string guess = "hf_" + std::string(62, '0') + (i < 10 ? "0" : "") + std::to_string(i);
        if (ask("GET", "/v1/operations", {}, {}, guess).status == 429) ++refused;
    }
    EXPECT_EQ(refused, 80);
    // Who was known before goes on.
    EXPECT_EQ(ask("GET", "/v1/operations", {}, {}, good).status, 200);
    EXPECT_EQ(ask("GET", "/v1/operations", {}, {}, "hf_short").status, 429);
    clock.advance(std::chrono::minutes(2));
    EXPECT_EQ(ask("GET", "/v1/operations", {}, {}, "hf_short").status, 401);
}

TEST_F(TokenRoutes, WhoAsksTooOftenWaits) {
    make({}, {.per_token = {.per_second = 1, .burst = 3}});
    for (int i = 0; i < 3; ++i) EXPECT_EQ(ask("GET", "/v1/tokens").status, 200);
    const Response refused = ask("GET", "/v1/tokens");
    EXPECT_EQ(refused.status, 429);
    EXPECT_EQ(refused.headers.find("Retry-After"), "1");
    clock.advance(seconds(1));
    EXPECT_EQ(ask("GET", "/v1/tokens").status, 200);
}

class Protected : public test::ApiTest {
  protected:
    // The secret and the authenticator of a new administrator's token.
    std::pair<std::string, std::string> administrator(const std::string& name) {
        const auto made = json_of(ask(
            "POST", "/v1/tokens",
            nlohmann::json{{"name", name}, {"roles", {"administrator"}}, {"second_factor", true}}.dump()));
        return {made["token"], made["authenticator"]};
    }
    // The last of this action in the trail.
    nlohmann::json entry_of(const std::string& action) {
        nlohmann::json last;
        const auto trail = json_of(ask("GET", "/v1/audit"));
        for (const auto& entry : trail["items"])
            if (entry["action"] == action) last = entry;
        return last;
    }
};

TEST_F(Protected, ByACodeThatIsGoodOnce) {
    const auto [secret, authenticator] = administrator("anna");
    make({{"backups.delete", Protection::code}});
    const auto run = [&](const std::string& with_code, const std::string& of) {
        std::vector<std::pair<std::string, std::string>> headers;
        if (!with_code.empty()) headers.emplace_back("Holdfast-Code", with_code);
        return ask("POST", "/v1/retention/runs", {}, headers, of);
    };
    EXPECT_EQ(run("", secret).status, 403);
    EXPECT_THAT(run("", secret).body, HasSubstr("second-factor-required"));
    EXPECT_EQ(run(code(authenticator), first.secret).status, 403);
    EXPECT_EQ(run(code(authenticator) == "000000" ? "000001" : "000000", secret).status, 403);
    EXPECT_EQ(run(code(authenticator), secret).status, 202);
    // The same code again, and the one before it.
    EXPECT_EQ(run(code(authenticator), secret).status, 403);
    clock.advance(seconds(30));
    EXPECT_EQ(run(code(authenticator), secret).status, 202);
    // Guessing ends soon.
    for (int i = 0; i < 10; ++i) run("123456", secret);
    EXPECT_EQ(run("123456", secret).status, 429);
    clock.advance(seconds(60));
    EXPECT_EQ(run(code(authenticator), secret).status, 202);
}

TEST_F(Protected, IsOnlyWhatThereIs) {
    test::expect_error(
        ErrorCode::usage, [&] { make({{"backup.delete", Protection::code}}); }, "backup.delete");
}

TEST_F(Protected, ARepeatedRequestNeedsNoOtherCode) {
    const auto [secret, authenticator] = administrator("anna");
    make({{"backups.delete", Protection::code}});
    const std::vector<std::pair<std::string, std::string>> headers{{"Holdfast-Code", code(authenticator)},
                                                                   {"Idempotency-Key", "one"}};
    const Response done = ask("POST", "/v1/retention/runs", {}, headers, secret);
    EXPECT_EQ(done.status, 202);
    EXPECT_EQ(ask("POST", "/v1/retention/runs", {}, headers, secret).body, done.body);
}

TEST_F(Protected, ByASecondPerson) {
    const std::string anna = administrator("anna").first;
    const std::string bert = administrator("bert").first;
    make({{"backups.delete", Protection::second_person}});
    const Response waiting = ask("POST", "/v1/retention/runs", R"({"source": "db"})", {}, anna);
    ASSERT_EQ(waiting.status, 202) << waiting.body;
    const std::string where(*waiting.headers.find("Location"));
    EXPECT_THAT(where, HasSubstr("/v1/approvals/ap_"));
    EXPECT_THAT(json_of(ask("GET", "/v1/operations"))["items"], SizeIs(0));
    EXPECT_EQ(json_of(ask("GET", where))["state"], "pending");
    EXPECT_EQ(json_of(ask("GET", where))["request"]["body"]["source"], "db");

    EXPECT_EQ(ask("POST", where + "/approve", {}, {}, anna).status, 403);
    EXPECT_EQ(ask("POST", where + "/approve", {}, {}, token("olga", "operator")).status, 403);
    const Response approved = ask("POST", where + "/approve", {}, {}, bert);
    ASSERT_EQ(approved.status, 200) << approved.body;
    EXPECT_EQ(json_of(approved)["answer"]["status"], 202);
    const auto operations = json_of(ask("GET", "/v1/operations"))["items"];
    ASSERT_THAT(operations, SizeIs(1));
    EXPECT_EQ(operations[0]["requested_by"], "anna");
    EXPECT_EQ(ask("POST", where + "/approve", {}, {}, bert).status, 409);
    const auto seen = json_of(ask("GET", where));
    EXPECT_EQ(seen["state"], "approved");
    EXPECT_EQ(seen["decided_by"], "bert");
    EXPECT_EQ(seen["answer"]["status"], 202);
    // Who reads the entry alone knows what was approved of.
    const auto entry = entry_of("approval.approve");
    EXPECT_EQ(entry["actor"], "bert");
    EXPECT_EQ(entry["details"], nlohmann::json::parse(R"({
        "method": "POST", "path": "/v1/retention/runs", "query": {}, "request": {"source": "db"},
        "action": "backups.delete", "requested_by": "anna"})"));
    auto asked_for = entry_of("approval.request")["details"];
    asked_for["requested_by"] = "anna";
    EXPECT_EQ(entry["details"], asked_for);
}

// It would be refused when it is carried out, and what nests without end is safe to look at for nobody.
TEST_F(Protected, WhatIsNoRequestIsNotAskedFor) {
    make({{"backups.delete", Protection::second_person}});
    for (const std::string& body : {std::string(500'000, '[') + std::string(500'000, ']'),
                                    R"({"a":)" + std::string(17, '[') + std::string(17, ']') + "}",
                                    std::string("[]"), std::string("{")})
        EXPECT_EQ(ask("POST", "/v1/prunes", body).status, 400) << body.substr(0, 40);
    EXPECT_THAT(json_of(ask("GET", "/v1/approvals"))["items"], SizeIs(0));
    EXPECT_TRUE(entry_of("approval.request").is_null());
}

TEST_F(Protected, NobodyDecidesTooLateOrForTheRevoked) {
    const std::string anna = administrator("anna").first;
    make({{"backups.delete", Protection::second_person}});
    const auto pending = [&] {
        return std::string(*ask("POST", "/v1/prunes", {}, {}, anna).headers.find("Location"));
    };
    const std::string rejected = pending();
    EXPECT_EQ(ask("POST", rejected + "/reject").status, 200);
    EXPECT_EQ(entry_of("approval.reject")["details"]["path"], "/v1/prunes");
    EXPECT_TRUE(entry_of("approval.reject")["details"]["request"].is_null());
    EXPECT_EQ(ask("POST", rejected + "/approve").status, 409);
    const std::string late = pending();
    clock.advance(std::chrono::hours(25));
    EXPECT_EQ(json_of(ask("GET", late))["state"], "expired");
    EXPECT_EQ(ask("POST", late + "/approve").status, 409);
    const std::string orphan = pending();
    catalog.with([](Database& database) {
        return database.query("UPDATE tokens SET revoked = 1 WHERE name = 'anna'");
    });
    EXPECT_EQ(json_of(ask("POST", orphan + "/approve"))["answer"]["status"], 403);
    EXPECT_THAT(json_of(ask("GET", "/v1/operations"))["items"], SizeIs(0));
}

TEST_F(Protected, TheTrailIsWholeAndCannotBeWritten) {
    token("olga", "operator");
    const auto check = json_of(ask("GET", "/v1/audit/verify"));
    EXPECT_EQ(check["intact"], true);
    EXPECT_EQ(check["entries"], 2);
    for (const char* method : {"POST", "PUT", "PATCH", "DELETE"})
        EXPECT_EQ(ask(method, "/v1/audit").status, 405) << method;
    EXPECT_EQ(ask("GET", "/v1/audit", {}, {}, token("eva", "exporter")).status, 200);
    EXPECT_EQ(ask("GET", "/v1/audit", {}, {}, token("victor", "viewer")).status, 403);
}

} // namespace
} // namespace holdfast::api
