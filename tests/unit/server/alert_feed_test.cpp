// What happens to alerts reaches who listens, once, and who was away goes on behind what he saw.
#include "server/alert_routes.h"
#include "unit/api/api_fixture.h"

#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

using api::Event;
using Json = nlohmann::json;
using std::chrono::minutes;
using testing::IsEmpty;
using testing::SizeIs;

class AlertFeedTest : public ApiTest {
  protected:
    void SetUp() override {
        ApiTest::SetUp();
        add_alert_routes(
            server->router(),
            {.watch = [this] { return watch; }, .operations = operations, .audit = audit, .clock = clock});
    }

    void judge(Verdict verdict, const std::string& subject = "orders") {
        const Rule* rule = find_rule("backup_failed");
        clock.advance(minutes(5));
        watch->alerts().apply({{.rule = rule,
                                .subject = subject,
                                .verdict = verdict,
                                .severity = rule->severity,
                                .summary = "as of " + to_rfc3339(clock.now())}},
                              false);
    }
    // Returns the id of the alert that fires by then.
    std::string fire(const std::string& subject = "orders") {
        for (int i = 0; i < 50; ++i) {
            judge(Verdict::breach, subject);
            const auto firing = watch->alerts().list({.states = {AlertState::firing}, .subject = subject});
            if (!firing.empty()) return firing.front().id;
        }
        ADD_FAILURE() << "nothing fires";
        return {};
    }
    std::shared_ptr<api::EventSource> listen(const std::string& last_id = {}) {
        if (last_id.empty()) return ask("GET", "/v1/alerts/events").events;
        return ask("GET", "/v1/alerts/events", {}, {{"Last-Event-ID", last_id}}).events;
    }
    std::vector<Event> next(api::EventSource& source) {
        clock.advance(std::chrono::seconds(2));
        return source.next().value();
    }
    void say(const std::string& id, const std::string& what) {
        EXPECT_EQ(ask("POST", "/v1/alerts/" + id + "/" + what, "{}").status, 200);
    }

    Operations operations{catalog, clock, random};
    Audit audit{catalog, clock};
    std::shared_ptr<Watch> watch =
        std::make_shared<Watch>(catalog, clock, random, silent_logger(), WatchSettings{.server = "test"});
};

TEST_F(AlertFeedTest, TellsOfTheLifeOfAnAlert) {
    const std::string standing = fire("home");
    const auto source = listen();
    ASSERT_TRUE(source);
    auto events = next(*source);
    ASSERT_THAT(events, SizeIs(1));
    EXPECT_EQ(events[0].type, "snapshot");
    EXPECT_EQ(Json::parse(events[0].data).at(0)["id"], standing);
    EXPECT_THAT(next(*source), IsEmpty());

    const std::string id = fire();
    events = next(*source);
    ASSERT_THAT(events, SizeIs(1));
    EXPECT_EQ(events[0].type, "alert");
    const std::string fired = events[0].id;
    EXPECT_EQ(Json::parse(events[0].data)["event"], "fired");
    EXPECT_EQ(Json::parse(events[0].data)["alert"]["id"], id);
    // That it was found once more, with other words, is no news; but who comes anew is told those.
    judge(Verdict::breach);
    EXPECT_THAT(next(*source), IsEmpty());
    const Json now = Json::parse(next(*listen())[0].data);
    ASSERT_THAT(now, SizeIs(2));
    EXPECT_EQ(now[1]["summary"], watch->alerts().find(id)->summary);

    say(id, "acknowledge");
    events = next(*source);
    ASSERT_THAT(events, SizeIs(1));
    EXPECT_EQ(Json::parse(events[0].data)["event"], "acknowledged");
    EXPECT_EQ(Json::parse(events[0].data)["alert"]["acknowledgedBy"], "first-administrator");
    say(id, "resolve");
    events = next(*source);
    ASSERT_THAT(events, SizeIs(1));
    EXPECT_EQ(Json::parse(events[0].data)["event"], "resolved");

    const auto later = next(*listen(fired));
    ASSERT_THAT(later, SizeIs(2));
    EXPECT_EQ(Json::parse(later[0].data)["event"], "acknowledged");
    EXPECT_EQ(later[1].id, events[0].id);
    // An id of another feed, or of before the server was started, is none of ours.
    EXPECT_EQ(next(*listen("operation-1-1"))[0].type, "snapshot");
}

TEST_F(AlertFeedTest, TellsOfSilencesAndOfWhatWasBrief) {
    const auto source = listen();
    EXPECT_EQ(next(*source)[0].data, "[]");
    const std::string ends = to_rfc3339(clock.now() + std::chrono::hours(1));
    const api::Response made =
        ask("POST", "/v1/silences", Json{{"subject", "orders"}, {"reason", "moved"}, {"ends", ends}}.dump());
    ASSERT_EQ(made.status, 201) << made.body;
    auto events = next(*source);
    ASSERT_THAT(events, SizeIs(1));
    EXPECT_EQ(events[0].type, "silence");
    EXPECT_EQ(Json::parse(events[0].data)["event"], "silenced");
    EXPECT_EQ(Json::parse(events[0].data)["silence"]["id"], json_of(made)["id"]);
    clock.advance(std::chrono::hours(2));
    events = next(*source);
    ASSERT_THAT(events, SizeIs(1));
    EXPECT_EQ(Json::parse(events[0].data)["event"], "over");

    // Fired and ended between two looks.
    const std::string id = fire();
    say(id, "resolve");
    events = next(*source);
    ASSERT_THAT(events, SizeIs(1));
    EXPECT_EQ(Json::parse(events[0].data)["event"], "resolved");
    EXPECT_EQ(Json::parse(events[0].data)["alert"]["id"], id);
    EXPECT_THAT(next(*source), IsEmpty());
}

TEST_F(AlertFeedTest, SaysWhenMoreWasMissedThanIsKept) {
    const auto source = listen(), watching = listen();
    next(*source);
    const std::string id = fire("home");
    const std::string fired = next(*source)[0].id;
    for (int i = 0; i < 600; ++i) {
        const std::string silence = watch->alerts().silence({.rule = "*",
                                                             .subject = "orders",
                                                             .owner = "anna",
                                                             .reason = "test",
                                                             .ends = clock.now() + minutes(5)});
        next(*watching);
        watch->alerts().end_silence(silence, "anna");
        next(*watching);
    }
    const auto late = listen(fired);
    EXPECT_EQ(next(*late)[0].type, "gap");
    const auto again = next(*late);
    EXPECT_EQ(again[0].type, "snapshot");
    EXPECT_EQ(Json::parse(again[0].data).at(0)["id"], id);
}

} // namespace
} // namespace holdfast::test
