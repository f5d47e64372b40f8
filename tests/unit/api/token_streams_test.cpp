// Streams of events end with the token that asked for them.
#include "unit/api/api_fixture.h"

#include <gmock/gmock.h>

namespace holdfast::api {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

class TokenStreamsTest : public test::ApiTest {
  protected:
    std::shared_ptr<EventSource> stream(const std::string& secret) {
        const Response response = ask("GET", "/v1/operations/events", {}, {}, secret);
        EXPECT_EQ(response.status, 200) << response.body;
        return response.events;
    }
    Tokens& tokens() { return server->tokens(); }
};

TEST_F(TokenStreamsTest, EndWithARevocationAtThisServerAtOnce) {
    const std::string anna = token("anna", "viewer");
    const auto events = stream(anna);
    ASSERT_TRUE(events);
    EXPECT_THAT(events->next().value(), SizeIs(1));
    const std::string id = tokens().find_by_secret(anna).value().id;
    ASSERT_EQ(ask("DELETE", "/v1/tokens/" + id).status, 204);
    EXPECT_FALSE(events->next());
}

TEST_F(TokenStreamsTest, EndWithARevocationAtAnotherServerWithinASecond) {
    const std::string anna = token("anna", "viewer");
    const auto events = stream(anna), others = stream(first.secret);
    ASSERT_TRUE(events && others);
    EXPECT_THAT(events->next().value(), SizeIs(1));
    const std::string id = tokens().find_by_secret(anna).value().id;
    catalog.transaction([&](Database& database) { EXPECT_TRUE(tokens().revoke(database, id)); });
    clock.advance(std::chrono::seconds(1));
    EXPECT_FALSE(events->next());
    EXPECT_TRUE(others->next());
}

TEST_F(TokenStreamsTest, EndWhenTheTokenExpires) {
    const Response made = ask("POST", "/v1/tokens",
                              nlohmann::json{{"name", "anna"},
                                             {"roles", {"viewer"}},
                                             {"expires", to_rfc3339(clock.now() + std::chrono::hours(1))}}
                                  .dump());
    ASSERT_EQ(made.status, 201) << made.body;
    const auto events = stream(json_of(made)["token"]);
    ASSERT_TRUE(events);
    EXPECT_THAT(events->next().value(), SizeIs(1));
    clock.advance(std::chrono::minutes(59));
    EXPECT_THAT(events->next().value(), IsEmpty());
    clock.advance(std::chrono::minutes(1));
    EXPECT_FALSE(events->next());
}

TEST_F(TokenStreamsTest, AreSoManyOfATokenAndNoMore) {
    const std::string anna = token("anna", "viewer");
    std::vector<std::shared_ptr<EventSource>> streams;
    for (std::size_t i = 0; i < TokenStreams::most_per_token; ++i) streams.push_back(stream(anna));
    EXPECT_EQ(ask("GET", "/v1/operations/events", {}, {}, anna).status, 429);
    EXPECT_TRUE(ask("GET", "/v1/operations/events", {}, {}, anna).headers.find("Retry-After"));
    EXPECT_EQ(ask("GET", "/v1/operations", {}, {}, anna).status, 200);
    EXPECT_TRUE(stream(token("bert", "viewer")));
    streams.pop_back();
    EXPECT_TRUE(stream(anna));
}

} // namespace
} // namespace holdfast::api
