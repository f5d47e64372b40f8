// What happens to what was approved when the server that was to do it is lost.
#include "catalog/approvals.h"
#include "unit/api/api_fixture.h"

#include <gmock/gmock.h>

namespace holdfast::api {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using testing::HasSubstr;
using testing::SizeIs;

class Approved : public test::ApiTest {
  protected:
    void SetUp() override {
        ApiTest::SetUp();
        anna = token("anna", "administrator");
        make({{"backups.delete", Protection::second_person},
              {"tokens.administer", Protection::second_person}});
    }
    // Asked for by Anna, and approved of by the first administrator, whose server does nothing more.
    std::string approved_and_lost(const std::string& path, const std::string& body) {
        const Response waiting = ask("POST", path, body, {}, anna);
        EXPECT_EQ(waiting.status, 202) << waiting.body;
        const std::string id = json_of(waiting)["approval"];
        catalog.transaction(
            [&](Database& database) { EXPECT_TRUE(approvals.decide(database, id, true, first.token.id)); });
        return id;
    }
    nlohmann::json answer_of(const std::string& id) {
        return json_of(ask("GET", "/v1/approvals/" + id))["answer"];
    }
    // Something that takes a second person, at /v1/deeds.
    void add_deed(std::function<Response(Call&)> handle, std::function<Request(const Call&)> exactly = {}) {
        server->router().add({.method = "POST",
                              .path = "/v1/deeds",
                              .name = "deed",
                              .permission = Permission::administer,
                              .action = "backups.delete",
                              .handle = std::move(handle),
                              .exactly = std::move(exactly)});
    }
    // The server that was only slow comes to it at last.
    void expect_too_late(const Approval& approval) {
        const auto identity = server->tokens().find_by_secret(anna).value();
        const Response late = server->router().carry_out(approval, {.token = identity, .secret = {}},
                                                         [](const Response&) { return "{}"; });
        EXPECT_EQ(late.status, 409) << late.body;
    }
    nlohmann::json operations() { return json_of(ask("GET", "/v1/operations"))["items"]; }

    std::string anna;
    Approvals approvals{catalog, clock, random};
};

TEST_F(Approved, IsCarriedOutByWhoComesNextAndOnce) {
    const std::string id = approved_and_lost("/v1/prunes", "{}");
    // Whoever approved has a minute for it.
    EXPECT_EQ(server->carry_out_left(), 0U);
    EXPECT_TRUE(answer_of(id).is_null());
    clock.advance(minutes(1));
    EXPECT_EQ(server->carry_out_left(), 1U);
    EXPECT_EQ(answer_of(id)["status"], 202);
    ASSERT_THAT(operations(), SizeIs(1));
    EXPECT_EQ(operations()[0]["requested_by"], "anna");
    clock.advance(minutes(1));
    EXPECT_EQ(server->carry_out_left(), 0U);
    EXPECT_THAT(operations(), SizeIs(1));
    EXPECT_THAT(ask("GET", "/v1/audit").body, HasSubstr("approval.carry_on"));
}

// The first server was not lost but slow: it comes to it when another has done it.
TEST_F(Approved, IsNotDoneTwiceByWhoWasOnlySlow) {
    const std::string id = approved_and_lost("/v1/prunes", "{}");
    const Approval approval = approvals.find(id).value();
    clock.advance(minutes(1));
    EXPECT_EQ(server->carry_out_left(), 1U);
    expect_too_late(approval);
    EXPECT_THAT(operations(), SizeIs(1));
    EXPECT_EQ(answer_of(id)["status"], 202);
}

// What is done outside of the catalog cannot be undone with a transaction.
TEST_F(Approved, IsNotBegunWhenItHasItsAnswerAndIsDoneAsItWasMeant) {
    int deeds = 0;
    std::string body;
    add_deed(
        [&](Call& call) {
            ++deeds;
            body = call.request().body;
            return call.change([](Database&) { return json_response(200, "{}"); });
        },
        [](const Call& call) {
            Request exact = call.request();
            exact.body = R"({"which": "those that there are"})";
            return exact;
        });
    const std::string id = approved_and_lost("/v1/deeds", R"({"which": "all"})");
    const Approval approval = approvals.find(id).value();
    clock.advance(minutes(1));
    EXPECT_EQ(server->carry_out_left(), 1U);
    EXPECT_EQ(answer_of(id)["status"], 200);
    EXPECT_EQ(body, R"({"which": "those that there are"})");
    expect_too_late(approval);
    EXPECT_EQ(deeds, 1);
}

// What cannot be done at the moment is not done for ever, and not given up at once.
TEST_F(Approved, IsLeftWhileItCannotBeDoneAndCanBeCalledBack) {
    int tries = 0;
    add_deed([&](Call& call) -> Response {
        if (++tries < 3) throw Error(ErrorCode::unavailable, "it is out of reach");
        return call.change([](Database&) { return json_response(200, "{}"); });
    });
    const std::string done = approved_and_lost("/v1/deeds", R"({"which": "first"})");
    for (int i = 1; i <= 3; ++i) {
        clock.advance(minutes(1));
        EXPECT_EQ(server->carry_out_left(), 1U);
        EXPECT_EQ(tries, i);
        EXPECT_EQ(answer_of(done).is_null(), i < 3);
    }
    EXPECT_EQ(answer_of(done)["status"], 200);
    tries = 0;
    const std::string recalled = approved_and_lost("/v1/deeds", R"({"which": "second"})");
    clock.advance(minutes(1));
    EXPECT_EQ(server->carry_out_left(), 1U);
    // While who tried it may still be at it, nobody calls it back.
    EXPECT_EQ(ask("POST", "/v1/approvals/" + recalled + "/reject").status, 409);
    clock.advance(minutes(1));
    EXPECT_EQ(ask("POST", "/v1/approvals/" + recalled + "/reject").status, 200);
    EXPECT_EQ(server->carry_out_left(), 0U);
    EXPECT_EQ(tries, 1);
    // However often it was tried, the trail says once that it was gone on with.
    std::size_t entries = 0;
    const nlohmann::json trail = json_of(ask("GET", "/v1/audit?limit=1000"));
    for (const nlohmann::json& one : trail["items"])
        entries += one["action"] == "approval.carry_on" ? 1U : 0U;
    EXPECT_EQ(entries, 2U);
}

// Who hangs in the repository, where it was called back meanwhile, does no more.
TEST_F(Approved, CalledBackWhileItHangsItEndsWithoutChangingTheCatalog) {
    std::string id;
    add_deed([&](Call& call) -> Response {
        clock.advance(minutes(2));
        EXPECT_EQ(ask("POST", "/v1/approvals/" + id + "/reject").status, 200);
        return call.change([](Database&) -> Response {
            ADD_FAILURE() << "it was called back";
            return json_response(200, "{}");
        });
    });
    id = approved_and_lost("/v1/deeds", R"({"which": "first"})");
    clock.advance(minutes(1));
    EXPECT_EQ(server->carry_out_left(), 1U);
    EXPECT_TRUE(answer_of(id).is_null());
    EXPECT_EQ(json_of(ask("GET", "/v1/approvals/" + id))["state"], "rejected");
}

TEST_F(Approved, TellsAllThatWasAskedFor) {
    const Response waiting = ask("POST", "/v1/prunes?really=no%20doubt", "{}", {}, anna);
    // What is no parameter is refused when it is done, and shown before.
    ASSERT_EQ(waiting.status, 202) << waiting.body;
    const auto approval =
        json_of(ask("GET", "/v1/approvals/" + json_of(waiting)["approval"].get<std::string>()));
    EXPECT_EQ(approval["request"]["query"],
              nlohmann::json::array({nlohmann::json::array({"really", "no doubt"})}));
}

TEST_F(Approved, EndsWithAReasonWhenItIsTooLateOrItsSecretHasNobodyToBeToldTo) {
    const std::string token = approved_and_lost("/v1/tokens", R"({"name": "olga", "roles": ["viewer"]})");
    clock.advance(minutes(1));
    EXPECT_EQ(server->carry_out_left(), 1U);
    EXPECT_EQ(answer_of(token)["status"], 409);
    EXPECT_THAT(answer_of(token)["body"]["hint"].get<std::string>(), HasSubstr("ask for another token"));
    EXPECT_THAT(ask("GET", "/v1/tokens").body, testing::Not(HasSubstr("olga")));
    const std::string late = approved_and_lost("/v1/prunes", "{}");
    clock.advance(hours(25));
    EXPECT_EQ(server->carry_out_left(), 1U);
    EXPECT_EQ(answer_of(late)["status"], 409);
    EXPECT_THAT(operations(), SizeIs(0));
}

TEST_F(Approved, IsNotDoneForOneWhoMayNoMore) {
    const std::string id = approved_and_lost("/v1/prunes", "{}");
    catalog.with([](Database& database) {
        return database.query("UPDATE tokens SET revoked = 1 WHERE name = 'anna'");
    });
    clock.advance(minutes(1));
    EXPECT_EQ(server->carry_out_left(), 1U);
    EXPECT_EQ(answer_of(id)["status"], 403);
    EXPECT_THAT(operations(), SizeIs(0));
}

} // namespace
} // namespace holdfast::api
