// What a request about policies takes: who asks must have seen it, and what would be lost must be known.
#include "server/policy_routes.h"
#include "support/error_matchers.h"
#include "unit/api/api_fixture.h"
#include "unit/server/policy_fixture.h"

#include <thread>

namespace holdfast::test {
namespace {

using nlohmann::json;
using Headers = std::vector<std::pair<std::string, std::string>>;

class PolicyRoutes : public ApiTest {
  protected:
    void SetUp() override {
        make({{"retention.shorten", api::Protection::second_person}});
        const PolicyServices policies{.book = book,
                                      .in_effect = in_effect,
                                      .observer = observer,
                                      .operations = operations,
                                      .clock = clock,
                                      .settings = settings,
                                      .declared = [this] { return declared; },
                                      .sources = [] { return std::vector<MeasuredSource>(); },
                                      .declare_again =
                                          [this] {
                                              const ServerDeclaration now = file;
                                              if (next_file) file = *std::exchange(next_file, std::nullopt);
                                              return now;
                                          },
                                      .changed = [] {}};
        add_policy_routes(server->router(), policies);
        add_configuration_routes(server->router(), policies);
    }

    static ServerSettings settings_of(const ScratchDirectory& scratch) {
        ServerSettings settings;
        settings.state_directory = scratch.path().string();
        return settings;
    }
    static ServerDeclaration declaring(int last) {
        return {.policies = {PolicyWorld::policy("production", PolicyWorld::keeping(last))}, .sources = {}};
    }
    void look() { observer.look(declared, {}, {}); }
    int put(const std::string& name, const std::string& body, const std::string& seen) {
        return ask("PUT", "/v1/policies/" + name, body, {{"If-Match", seen}}).status;
    }
    std::string etag(const std::string& path) {
        const api::Response response = ask("GET", path);
        EXPECT_EQ(response.status, 200) << response.body;
        return std::string(response.headers.find("ETag").value_or(""));
    }
    std::size_t statements() { return world.list().statements.size(); }

    PolicyWorld world{catalog};
    Catalog beside{"sqlite:" + scratch.file("catalog.db"), silent_logger()};
    PolicyBook book{catalog, [this] { return world.open(); }};
    PolicyBook other{beside, [this] { return world.open(); }}; // of another server
    RepositoryObserver observer{[this] { return world.open(); }, clock};
    const ServerSettings settings = settings_of(scratch);
    ServerDeclaration file = declaring(5);
    std::optional<ServerDeclaration> next_file; // what is there when it is read once more
    std::vector<Policy> declared;
    PoliciesInEffect in_effect{book,          observer, settings.state_directory,
                               file.policies, clock,    silent_logger()};
    Operations operations{catalog, clock, random};
};

std::string named(const std::string& name, const std::string& body) {
    json with = json::parse(body);
    with["name"] = name;
    return with.dump();
}

// What is there may be of sources that are configured nowhere.
TEST_F(PolicyRoutes, NothingIsShortenedBeforeItIsKnownWhatThereIs) {
    world.back_up("gone");
    const std::string shorter = PolicyWorld::keeping(1, "gone");
    EXPECT_EQ(ask("POST", "/v1/policies", named("mine", shorter)).status, 503);
    EXPECT_EQ(statements(), 0U);
    file = declaring(4);
    EXPECT_EQ(ask("GET", "/v1/configuration/changes").status, 503);
    expect_error(ErrorCode::unavailable, [&] { in_effect.require_harmless(file); });
    file = declaring(5);
    in_effect.require_harmless(file);
    look();
    EXPECT_EQ(ask("POST", "/v1/policies", named("mine", shorter)).status, 202);
    file.policies.push_back(PolicyWorld::policy("short", shorter));
    expect_error(ErrorCode::usage, [&] { in_effect.require_harmless(file); }, "gone: ");
}

TEST_F(PolicyRoutes, WhatIsLostByNowMustHaveBeenDemanded) {
    const std::string all = PolicyWorld::keeping(9, "*"), less = PolicyWorld::keeping(1, "*"),
                      home = PolicyWorld::keeping(5);
    world.set(book, "all", all);
    world.set(book, "home", home);
    world.back_up("home");
    look();
    // Without the policy of its own the other one keeps more of it; but another server has changed that.
    world.set(other, "all", less);
    const std::size_t before = statements();
    const api::Response refused =
        ask("DELETE", "/v1/policies/home", "", {{"If-Match", etag("/v1/policies/home")}});
    EXPECT_EQ(refused.status, 409) << refused.body;
    EXPECT_NE(refused.body.find("decide anew"), std::string::npos) << refused.body;
    EXPECT_EQ(statements(), before);
    // By now it is known.
    EXPECT_EQ(ask("DELETE", "/v1/policies/home", "", {{"If-Match", etag("/v1/policies/home")}}).status, 202);
}

TEST_F(PolicyRoutes, OnlyWhatWasSeenIsChanged) {
    look();
    ASSERT_EQ(ask("POST", "/v1/policies", named("mine", PolicyWorld::keeping(5))).status, 201);
    const std::string seen = etag("/v1/policies/mine");
    for (const int last : {1, 9}) { // what keeps less, too, is refused at once
        EXPECT_EQ(put("mine", PolicyWorld::keeping(last), "*"), 428);
        EXPECT_EQ(put("mine", PolicyWorld::keeping(last), "\"other\""), 412);
    }
    EXPECT_EQ(ask("DELETE", "/v1/policies/mine", "", {{"If-Match", "*"}}).status, 428);
    EXPECT_EQ(put("mine", PolicyWorld::keeping(9), seen), 200);
    EXPECT_EQ(ask("DELETE", "/v1/policies/mine", "", {{"If-Match", etag("/v1/policies/mine")}}).status, 204);
}

TEST_F(PolicyRoutes, NothingIsTakenFromAPolicyOfTheFile) {
    declared = {PolicyWorld::policy("production", PolicyWorld::keeping(5, "*"))};
    world.back_up("home");
    look();
    // Of a source that nobody knows yet as well; and what keeps less waits for nobody's approval in vain.
    for (const char* source : {"home", "uploads"}) {
        for (const int last : {1, 9}) {
            const api::Response refused =
                ask("POST", "/v1/policies", named("mine", PolicyWorld::keeping(last, source)));
            EXPECT_EQ(refused.status, 409) << refused.body;
            for (const char* name : {"'mine'", "'production'"})
                EXPECT_NE(refused.body.find(name), std::string::npos) << refused.body;
        }
    }
    EXPECT_EQ(statements(), 0U);
    declared = {PolicyWorld::policy("production", PolicyWorld::keeping(5, "home"))};
    EXPECT_EQ(ask("POST", "/v1/policies", named("mine", PolicyWorld::keeping(9, "uploads"))).status, 201);
    // What the file covers by name a pattern takes nothing of.
    EXPECT_EQ(ask("POST", "/v1/policies", named("rest", PolicyWorld::keeping(9, "h*"))).status, 201);
}

// The file has come to cover everything since; what a policy names is its own all the same.
TEST_F(PolicyRoutes, WhatAPolicyHasBesideAPatternOfTheFileItKeeps) {
    world.set(book, "mine", PolicyWorld::keeping(5));
    declared = {PolicyWorld::policy("all", PolicyWorld::keeping(3, "*"))};
    world.back_up("home");
    look();
    const auto seen = [&] { return etag("/v1/policies/mine"); };
    EXPECT_EQ(put("mine", PolicyWorld::keeping(9), seen()), 200);
    EXPECT_EQ(put("mine", R"({"sources":["home","uploads"],"retention":{"last":9}})", seen()), 409);
    EXPECT_EQ(json::parse(ask("GET", "/v1/policies/mine").body)["policy"]["retention"]["last"], 9);
    // Taken away it leaves the source to the file, which keeps less.
    EXPECT_EQ(ask("DELETE", "/v1/policies/mine", "", {{"If-Match", seen()}}).status, 202);
}

TEST_F(PolicyRoutes, OneRequestIsDoneOnceThoughItIsSentAgainMeanwhile) {
    look();
    const std::string body = named("mine", PolicyWorld::keeping(5));
    const auto send = [&] { return ask("POST", "/v1/policies", body, {{"Idempotency-Key", "one"}}); };
    api::Response again;
    std::jthread sending;
    world.before_statement([&] { sending = std::jthread([&] { again = send(); }); });
    EXPECT_EQ(send().status, 201);
    sending.join();
    EXPECT_EQ(again.status, 201) << again.body;
    EXPECT_EQ(again.headers.find("Idempotency-Replayed"), "true");
    EXPECT_EQ(statements(), 1U);
}

TEST_F(PolicyRoutes, WhatCouldNotBeStatedIsInTheTrailAsWell) {
    look();
    world.before_statement([] { throw Error(ErrorCode::no_space, "the store is full"); });
    EXPECT_EQ(ask("POST", "/v1/policies", named("mine", PolicyWorld::keeping(5))).status, 507);
    std::vector<std::string> actions;
    const json trail = json_of(ask("GET", "/v1/audit"))["items"];
    for (const json& entry : trail)
        if (entry["object"] == "mine") actions.push_back(entry["action"]);
    std::ranges::sort(actions);
    EXPECT_EQ(actions, (std::vector<std::string>{"policy.create", "policy.create.failed"}));
    EXPECT_EQ(ask("GET", "/v1/policies/mine").status, 404);
}

TEST_F(PolicyRoutes, TheFileIsAppliedAsItWasSeen) {
    world.back_up("home");
    look();
    const auto apply = [&](const Headers& headers) {
        return ask("POST", "/v1/configuration/apply", "{}", headers).status;
    };
    file = declaring(7);
    const std::string seven = etag("/v1/configuration/changes");
    EXPECT_EQ(apply({}), 428);
    EXPECT_EQ(apply({{"If-Match", "*"}}), 428);
    file = declaring(6);
    const std::string six = etag("/v1/configuration/changes");
    EXPECT_NE(six, seven);
    EXPECT_EQ(apply({{"If-Match", seven}}), 412);
    EXPECT_EQ(apply({{"If-Match", six}}), 200);
    EXPECT_EQ(policies_text(*read_applied_policies(settings.state_directory)), policies_text(file.policies));
    // Changed between the look at what it demands and its being done.
    file = declaring(2);
    const std::string two = etag("/v1/configuration/changes");
    next_file = declaring(1);
    EXPECT_EQ(apply({{"If-Match", two}}), 202);
    file = declaring(6);
    next_file = declaring(2);
    EXPECT_EQ(apply({{"If-Match", two}}), 409);
    EXPECT_EQ(policies_text(*read_applied_policies(settings.state_directory)),
              policies_text(declaring(6).policies));
}

TEST_F(PolicyRoutes, WhatTheFileWouldDoIsToldAsFarAheadAsIsAsked) {
    for (int i = 0; i < 3; ++i) world.back_up("home");
    look();
    file = declaring(1);
    const api::Response response = ask("GET", "/v1/configuration/changes?horizon=10y&runs=0");
    ASSERT_EQ(response.status, 200) << response.body;
    const json plan = json::parse(response.body);
    ASSERT_EQ(plan["sooner"].size(), 2U) << plan;
    for (const json& effect : plan["sooner"]) EXPECT_TRUE(effect["goes_now"].get<bool>());
    EXPECT_EQ(plan["policies"][0]["change"], "changed");
    EXPECT_FALSE(plan["keeps_less"].empty());
    EXPECT_EQ(plan["etag"], std::string(response.headers.find("ETag").value_or("")));
    const json brief = json::parse(ask("GET", "/v1/configuration/changes").body);
    EXPECT_FALSE(brief.contains("sooner"));
    EXPECT_EQ(brief["etag"], plan["etag"]);
    for (const std::string query : {"horizon=21y", "horizon=soon", "runs=1001"})
        EXPECT_EQ(ask("GET", "/v1/configuration/changes?" + query).status, 400) << query;
}

// What was approved is done, or nothing.
TEST_F(PolicyRoutes, AnApprovalIsOfWhatWasInTheFile) {
    world.back_up("home");
    look();
    const std::string berta = token("berta", "administrator");
    const auto approve = [&](const api::Response& waits) {
        return json_of(ask("POST", std::string(*waits.headers.find("Location")) + "/approve", "{}", {},
                           berta))["answer"]["status"];
    };
    file = declaring(3);
    const Headers seen{{"If-Match", etag("/v1/configuration/changes")}};
    const api::Response first_asked = ask("POST", "/v1/configuration/apply", "{}", seen),
                        second_asked = ask("POST", "/v1/configuration/apply", "{}", seen);
    ASSERT_EQ(first_asked.status, 202) << first_asked.body;
    file = declaring(1);
    EXPECT_EQ(approve(first_asked), 412);
    file = declaring(3);
    EXPECT_EQ(approve(second_asked), 200);
    EXPECT_EQ(policies_text(*read_applied_policies(settings.state_directory)), policies_text(file.policies));
}

} // namespace
} // namespace holdfast::test
