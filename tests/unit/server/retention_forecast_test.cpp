// The list of what becomes of all snapshots, part by part.
#include "server/snapshot_routes.h"
#include "unit/api/api_fixture.h"
#include "unit/server/policy_fixture.h"

#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

using nlohmann::json;
using testing::SizeIs;

class RetentionForecast : public ApiTest {
  protected:
    void SetUp() override {
        ApiTest::SetUp();
        add_snapshot_routes(server->router(), {.observer = observer,
                                               .desk = desk,
                                               .fates = fates,
                                               .api = server->services(),
                                               .declared = [] { return std::vector<Policy>(); },
                                               .changed = [] {}});
        for (const char* source : {"home", "gone", "home", "home"}) world.back_up(source);
        look();
    }
    void look() { observer.look({PolicyWorld::policy("kept", PolicyWorld::keeping(1))}, {}, {}); }
    json got(const std::string& query) {
        const api::Response response = ask("GET", "/v1/retention/forecast" + query);
        EXPECT_EQ(response.status, 200) << response.body;
        return json::parse(response.body);
    }
    // What is wrong with it.
    std::string field_of(const std::string& query) {
        const api::Response response = ask("GET", "/v1/retention/forecast" + query);
        EXPECT_EQ(response.status, 400) << response.body;
        return json::parse(response.body).at("errors").at(0).at("field");
    }

    PolicyWorld world{catalog};
    RepositoryObserver observer{[this] { return world.open(); }, clock};
    RepositoryDesk desk{
        [this] { return world.open(); }, {.program = "/bin/false", .before = {}, .behind = {}}, clock};
    SnapshotFates fates;
};

TEST_F(RetentionForecast, TellsOfEachSnapshotOnceWhateverThePartsAre) {
    const json whole = got("");
    ASSERT_THAT(whole["items"], SizeIs(4));
    EXPECT_TRUE(whole["next"].is_null());
    EXPECT_TRUE(whole["problems"].empty());
    json parts = json::array();
    std::string query = "?limit=1";
    for (;;) {
        const json part = got(query);
        ASSERT_THAT(part["items"], SizeIs(1));
        parts.push_back(part["items"][0]);
        if (part["next"].is_null()) break;
        query = "?limit=1&cursor=" + part["next"].get<std::string>();
    }
    EXPECT_EQ(parts, whole["items"]);
    EXPECT_EQ(parts[0]["source"], "gone");
    EXPECT_TRUE(parts[0]["policy"].is_null());
    EXPECT_TRUE(parts[0]["goes"].is_null());
    for (std::size_t i = 1; i < 4; ++i) {
        EXPECT_EQ(parts[i]["policy"], "kept");
        EXPECT_EQ(parts[i]["goes"].is_null(), i == 3) << parts[i];
    }
    EXPECT_THAT(got("?source=home")["items"], SizeIs(3));
    EXPECT_THAT(got("?source=nothing")["items"], SizeIs(0));
}

TEST_F(RetentionForecast, TellsOfAnotherTimeWithoutForgettingThisOne) {
    const json now = got("?source=home")["items"];
    const std::string later = "?source=home&at=2100-01-01T00:00:00Z";
    EXPECT_EQ(got(later)["items"][0]["goes"], "2100-01-01T00:00:00Z");
    EXPECT_EQ(got(later + "&horizon=1y"), got(later + "&horizon=1y"));
    EXPECT_EQ(got("?source=home")["items"], now);
    // As GET /v1/snapshots/{id} tells it.
    const json one =
        json::parse(ask("GET", "/v1/snapshots/" + now[0]["id"].get<std::string>()).body)["retention"];
    for (const auto& [name, value] : one.items()) EXPECT_EQ(now[0][name], value) << name;
    // What is new is seen with the next look.
    world.back_up("home");
    EXPECT_EQ(got("?source=home")["items"], now);
    look();
    EXPECT_THAT(got("?source=home")["items"], SizeIs(4));
    EXPECT_FALSE(got("?source=home")["items"][2]["goes"].is_null());
}

TEST_F(RetentionForecast, RefusesWhatWouldTakeTooLongOrIsNoTime) {
    EXPECT_EQ(field_of("?at=soon"), "at");
    EXPECT_EQ(field_of("?at=2250-01-01T00:00:00Z"), "at");
    EXPECT_EQ(field_of("?horizon=5m"), "horizon");
    EXPECT_EQ(field_of("?horizon=21y"), "horizon");
    const json part = got("?limit=1&source=home");
    const std::string next = part["next"];
    forget_snapshots(world.stored.repository->context(),
                     {*id_from_hex<RunId::size()>(part["items"][0]["id"].get<std::string>())}, false);
    look();
    EXPECT_EQ(field_of("?limit=1&source=home&cursor=" + next), "cursor");
}

// Each source may take seconds to find out.
TEST_F(RetentionForecast, APartIsOfSoManySourcesAtMost) {
    for (int i = 0; i < 40; ++i) world.back_up("source" + std::to_string(i));
    look();
    const json part = got("?limit=1000");
    EXPECT_THAT(part["items"], SizeIs(4 + 30));
    const json rest = got("?limit=1000&cursor=" + part["next"].get<std::string>());
    EXPECT_THAT(rest["items"], SizeIs(10));
    EXPECT_TRUE(rest["next"].is_null());
    EXPECT_EQ(part["items"].back()["source"], "source35"); // of those by name
    EXPECT_EQ(rest["items"][0]["source"], "source36");
}

TEST_F(RetentionForecast, EndsWithItsServer) {
    std::stop_source ending;
    SnapshotFates ended{ending.get_token()};
    const auto view = observer.view();
    const RetentionSource& source = view->measurements.retention.back();
    EXPECT_THAT(*ended.of(source, view->at, {}), SizeIs(3));
    ending.request_stop();
    const Outlook other{view->at, view->at + std::chrono::days(1000)};
    EXPECT_EQ(code_of([&] { ended.of(source, view->at, other); }), ErrorCode::cancelled);
}

TEST_F(RetentionForecast, SaysOfWhatIsGoneThatItWasForgotten) {
    const std::string id = got("?source=home")["items"][0]["id"];
    const auto status = [&](const std::string& of) { return ask("GET", "/v1/forgets/" + of).status; };
    EXPECT_EQ(status(id), 404);
    forget_snapshots(world.stored.repository->context(), {*id_from_hex<RunId::size()>(id)}, false);
    const api::Response told = ask("GET", "/v1/forgets/" + id);
    EXPECT_EQ(told.status, 200) << told.body;
    EXPECT_EQ(json::parse(told.body)["snapshot"], id);
    look();
    EXPECT_EQ(ask("GET", "/v1/snapshots/" + id).status, 404);
    EXPECT_EQ(status(id), 200);
    EXPECT_EQ(status(id.substr(0, 8)), 400);
    EXPECT_EQ(status(std::string(32, '0')), 404);
}

} // namespace
} // namespace holdfast::test
