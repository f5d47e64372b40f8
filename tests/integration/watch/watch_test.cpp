#include "base/error.h"
#include "integration/catalog/catalog_fixture.h"
#include "support/scripted_server.h"
#include "watch/watch.h"

#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

namespace holdfast {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using test::Answer;
using test::http_answer;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

class WatchTest : public test::CatalogTest {
  protected:
    WatchTest() {
        std::ofstream(scratch.file("secret")) << "key";
        settings.server = "server-1";
        settings.origin = "test";
        settings.channels = {channel("hook"), channel("second")};
        make();
    }
    ChannelSettings channel(const std::string& name, const std::string& more = "") {
        return parse_channel(
            name,
            fmt::format(R"({{"type": "webhook", "url": "{}/{}", "secret_file": "{}", "timeout": "30s"{}}})",
                        server.endpoint(), name, scratch.file("secret"), more));
    }
    void make() { watch.emplace(*catalog, clock, random, silent_logger(), settings); }

    Facts facts(bool failed) {
        SourceFacts source;
        source.source = "orders";
        source.expected_since = clock.now();
        OperationFacts last;
        last.state = failed ? OperationState::failed : OperationState::succeeded;
        last.error = "the disk is full";
        source.operations["backup"] = last;
        Facts facts;
        facts.sources = {source};
        return facts;
    }
    bool round(bool failed) {
        clock.advance(minutes(1));
        return watch->round(facts(failed));
    }
    // What arrived at the channel since the last call, as "event rule".
    std::vector<std::string> arrived(const std::string& name = "hook") {
        std::vector<std::string> events;
        const auto requests = server.requests();
        std::size_t& seen = seen_[name];
        for (; seen < requests.size(); ++seen) {
            const std::string& request = requests[seen];
            if (!request.starts_with("POST /" + name)) continue;
            const auto json = nlohmann::json::parse(request.substr(request.find("\r\n\r\n") + 4));
            events.push_back(fmt::format("{} {}", json.at("event").get<std::string>(),
                                         json.at("rule").get<std::string>()));
        }
        return events;
    }
    std::vector<Alert> open() { return watch->alerts().list({}); }
    // A minute later; `told` is what it says itself.
    std::vector<Alert> look_for_receiver(bool connected, std::optional<Timestamp> told = {}) {
        clock.advance(minutes(1));
        Facts now = facts(false);
        now.sources[0].receiver = ReceiverFacts{.name = "orders", .last_seen = told};
        if (connected) now.sources[0].receiver->last_seen = clock.now();
        EXPECT_TRUE(watch->round(now));
        return open();
    }

    std::function<Answer(const std::string&)> respond = [](const std::string&) {
        return Answer{http_answer("200 OK"), Answer::Then::keep_open};
    };
    test::ScriptedServer server{[this](const std::string& request) { return respond(request); }};
    WatchSettings settings;
    std::optional<Watch> watch;
    std::map<std::string, std::size_t> seen_;
};
HOLDFAST_BOTH_DATABASES(WatchTest);

TEST_P(WatchTest, TellsWhatIsWrongAndWhenItIsOver) {
    EXPECT_TRUE(round(false));
    EXPECT_EQ(watch->deliver({}), 0u);
    EXPECT_TRUE(round(true));
    EXPECT_EQ(watch->deliver({}), 2u);
    EXPECT_THAT(arrived(), ElementsAre("trigger backup_failed"));
    EXPECT_THAT(arrived("second"), ElementsAre("trigger backup_failed"));
    EXPECT_TRUE(round(true));
    EXPECT_EQ(watch->deliver({}), 0u) << "once";
    EXPECT_TRUE(round(false));
    EXPECT_EQ(watch->deliver({}), 2u);
    EXPECT_THAT(arrived(), ElementsAre("resolve backup_failed"));
    EXPECT_THAT(open(), IsEmpty());
}

TEST_P(WatchTest, TellsOfSuccessesOnceThoseWhoWantToHearOfThem) {
    settings.channels = {channel("hook", R"(, "successes": "backup", "sources": "orders", "step": 3)"),
                         channel("second")};
    make();
    Operations operations(*catalog, clock, random);
    const auto succeed = [&](const char* kind, const char* source, const char* request = "{}") {
        operations.add({.kind = kind, .source = source, .request = request, .run_after = clock.now()});
        const auto claimed = operations.claim("server-1", hours(1), {});
        ASSERT_TRUE(claimed);
        clock.advance(minutes(2));
        const auto end = [&] {
            return operations.finish(*claimed, OperationState::succeeded, "{}", {}, [&](Database& database) {
                watch->queue_success_of(database, *claimed);
            });
        };
        EXPECT_TRUE(end());
        EXPECT_FALSE(end()) << "it is over";
    };
    succeed("verify", "orders");
    succeed("backup", "invoices");
    succeed("backup", "orders", R"({"dry_run": true})");
    EXPECT_EQ(watch->deliver({}), 0u) << "nor of a trial";
    bool answers = false;
    respond = [&](const std::string&) {
        return Answer{http_answer(answers ? "200 OK" : "503 Later"), Answer::Then::keep_open};
    };
    succeed("backup", "orders");
    succeed("backup", "orders");
    EXPECT_EQ(watch->deliver({}), 0u);
    answers = true;
    clock.advance(minutes(1));
    EXPECT_EQ(watch->deliver({}), 2u) << "one that was refused holds up no other";
    EXPECT_EQ(watch->deliver({}), 0u);
    const auto requests = server.requests();
    ASSERT_GE(requests.size(), 2U);
    const std::string& last = requests.back();
    const auto told = nlohmann::json::parse(last.substr(last.find("\r\n\r\n") + 4));
    EXPECT_EQ(told.at("event"), "success");
    EXPECT_EQ(told.at("rule"), "backup_succeeded");
    EXPECT_EQ(told.at("subject"), "orders");
    EXPECT_THAT(told.at("text").get<std::string>(), HasSubstr("The backup of orders is done; it took "));
    EXPECT_THAT(arrived("second"), IsEmpty());
    EXPECT_THAT(open(), IsEmpty());
}

// What asks a server for its slot learns whether a receiver is connected now, and not when one was.
TEST_P(WatchTest, AReceiverThatIsAwayForAMomentIsNotMissed) {
    const auto look = [&](bool connected) { return look_for_receiver(connected); };
    EXPECT_THAT(look(true), IsEmpty());
    for (int i = 0; i < 5; ++i) EXPECT_THAT(look(false), IsEmpty()) << i;
    EXPECT_THAT(look(true), IsEmpty());
    for (int i = 0; i < 7; ++i) EXPECT_THAT(look(false), IsEmpty()) << i;
    const auto alerts = look(false);
    ASSERT_THAT(alerts, SizeIs(1));
    EXPECT_EQ(alerts[0].rule, "receiver_down");
    EXPECT_THAT(alerts[0].summary, HasSubstr("was seen 8 min ago"));
}

TEST_P(WatchTest, AReceiverThatIsMissedIsSoBehindARestart) {
    look_for_receiver(true);
    for (int i = 0; i < 8; ++i) look_for_receiver(false);
    ASSERT_THAT(open(), SizeIs(1));
    const std::string id = open()[0].id;
    make();
    for (int i = 0; i < 12; ++i) {
        const auto alerts = look_for_receiver(false);
        ASSERT_THAT(alerts, SizeIs(1)) << i;
        EXPECT_EQ(alerts[0].id, id);
    }
    for (int i = 0; i < 3; ++i) look_for_receiver(true);
    EXPECT_THAT(open(), IsEmpty());
}

TEST_P(WatchTest, AClockThatWasAheadDoesNotHideThatAReceiverIsGone) {
    const Timestamp right = clock.now();
    clock.set_time_of_day(right + hours(24 * 20));
    EXPECT_THAT(look_for_receiver(true), IsEmpty());
    const Timestamp ahead = clock.now();
    clock.set_time_of_day(right);
    for (int i = 0; i < 8; ++i) EXPECT_THAT(look_for_receiver(false), IsEmpty()) << i;
    // What it has written by the wrong clock itself is no sign of life either.
    const auto alerts = look_for_receiver(false, ahead);
    ASSERT_THAT(alerts, SizeIs(1));
    EXPECT_EQ(alerts[0].rule, "receiver_down");
}

TEST_P(WatchTest, ACrashBetweenFiringAndSendingLosesNothing) {
    EXPECT_TRUE(round(true));
    watch.reset();
    make();
    EXPECT_EQ(watch->deliver({}), 2u);
    EXPECT_THAT(arrived(), ElementsAre("trigger backup_failed"));
}

TEST_P(WatchTest, AChannelThatFailsHoldsUpNobodyAndIsAnAlertItself) {
    respond = [](const std::string& request) {
        const bool bad = request.starts_with("POST /hook");
        return Answer{http_answer(bad ? "500 Oh No" : "200 OK"), Answer::Then::keep_open};
    };
    EXPECT_TRUE(round(true));
    EXPECT_EQ(watch->deliver({}), 1u);
    EXPECT_THAT(arrived("second"), ElementsAre("trigger backup_failed"));
    for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(round(true));
        watch->deliver({});
    }
    EXPECT_TRUE(round(true));
    watch->deliver({});
    EXPECT_THAT(arrived("second"), ElementsAre("trigger channel_failing"));
    EXPECT_THAT(watch->metrics(),
                HasSubstr("holdfast_notification_attempts_failed_in_a_row{channel=\"hook\"}"));
    respond = [](const std::string&) { return Answer{http_answer("200 OK"), Answer::Then::keep_open}; };
    clock.advance(minutes(30));
    arrived();
    EXPECT_GE(watch->deliver({}), 2u);
    EXPECT_THAT(arrived(), testing::Contains("trigger backup_failed")) << "late, but not lost";
    EXPECT_TRUE(round(true));
    watch->deliver({});
    EXPECT_THAT(arrived("second"), testing::Contains("resolve channel_failing"));
}

TEST_P(WatchTest, SeveralServersTellOnce) {
    WatchSettings second = settings;
    second.server = "server-2";
    Watch other(*catalog, clock, random, silent_logger(), second);
    clock.advance(minutes(1));
    {
        std::jthread one([&] { EXPECT_TRUE(watch->round(facts(true))); });
        std::jthread two([&] { EXPECT_TRUE(other.round(facts(true))); });
    }
    {
        std::jthread one([&] { watch->deliver({}); });
        std::jthread two([&] { other.deliver({}); });
    }
    EXPECT_THAT(arrived(), ElementsAre("trigger backup_failed"));
    EXPECT_THAT(open(), SizeIs(1));
}

TEST_P(WatchTest, AServerThatStoppedIsMissedUnlessItLeft) {
    WatchSettings second = settings;
    second.server = "server-2";
    Watch other(*catalog, clock, random, silent_logger(), second);
    EXPECT_TRUE(other.round(facts(false)));
    clock.advance(minutes(4));
    EXPECT_TRUE(round(false));
    EXPECT_THAT(open(), IsEmpty());
    clock.advance(minutes(1));
    EXPECT_TRUE(round(false));
    ASSERT_THAT(open(), SizeIs(1));
    EXPECT_EQ(open()[0].rule, "monitor_failing");
    EXPECT_EQ(open()[0].subject, "server-2");
    EXPECT_TRUE(other.round(facts(false)));
    EXPECT_THAT(open(), IsEmpty());
    other.leave();
    clock.advance(hours(1));
    EXPECT_TRUE(round(false));
    EXPECT_THAT(open(), IsEmpty());
}

TEST_P(WatchTest, ARoundThatFailsIsAnAlert) {
    EXPECT_TRUE(round(false));
    watch->round_failed(Error(ErrorCode::unavailable, "the repository hangs: api_key=geheim"));
    ASSERT_THAT(open(), SizeIs(1));
    EXPECT_THAT(open()[0].summary, HasSubstr("the repository hangs: api_key=(left out)"));
    watch->deliver({});
    EXPECT_THAT(arrived(), ElementsAre("trigger monitor_failing"));
    EXPECT_TRUE(round(false));
    EXPECT_THAT(open(), IsEmpty());
}

TEST_P(WatchTest, ARoundThatTakesTooLongIsAnAlert) {
    EXPECT_TRUE(round(false));
    clock.advance(minutes(5));
    watch->check_pulse({});
    EXPECT_THAT(open(), IsEmpty());
    clock.advance(seconds(1));
    watch->check_pulse({});
    ASSERT_THAT(open(), SizeIs(1));
    EXPECT_EQ(open()[0].rule, "monitor_failing");
    watch->deliver({});
    EXPECT_THAT(arrived(), ElementsAre("trigger monitor_failing"));
}

TEST_P(WatchTest, TriesChannelsAndKeepsWhenRulesWereTried) {
    watch->send_test("hook", {});
    EXPECT_THAT(arrived(), ElementsAre("test test"));
    EXPECT_THROW(watch->send_test("nothing", {}), Error);
    watch->record_self_test("backup_old", true);
    EXPECT_THAT(watch->metrics(), HasSubstr("holdfast_alert_self_test_passed{rule=\"backup_old\"} 1\n"));
}

TEST_P(WatchTest, RemembersHowRepositoriesGrew) {
    Facts grown;
    grown.repositories.push_back({.name = "main", .bytes = 10ull << 30});
    EXPECT_TRUE(watch->round(grown));
    clock.advance(hours(24 * 6));
    grown.repositories[0].bytes = 16ull << 30;
    EXPECT_TRUE(watch->round(grown));
    clock.advance(minutes(2));
    EXPECT_TRUE(watch->round(grown));
    ASSERT_THAT(open(), SizeIs(1));
    EXPECT_EQ(open()[0].rule, "storage_growing");
    EXPECT_THAT(open()[0].summary, HasSubstr("6.0 GiB (60%)"));
}

// The catalog is a file that is taken away: what nobody can write down is told all the same.
TEST(WatchWithoutCatalogTest, TellsByTheChannelsAtOnce) {
    const test::ScratchDirectory scratch;
    FakeClock clock(from_rfc3339("2026-11-20T12:00:00Z"));
    SeededRandom random(1);
    test::ScriptedServer server(
        [](const std::string&) { return Answer{http_answer("200 OK"), Answer::Then::keep_open}; });
    std::ofstream(scratch.file("secret")) << "key";
    Catalog catalog("sqlite:" + scratch.file("catalog.db"), silent_logger());
    Watch watch(catalog, clock, random, silent_logger(),
                {.server = "server-1",
                 .channels = {parse_channel(
                     "hook", fmt::format(R"({{"type": "webhook", "url": "{}/", "secret_file": "{}"}})",
                                         server.endpoint(), scratch.file("secret")))}});
    EXPECT_TRUE(watch.round({}));
    catalog.with([](Database& database) { database.execute("ALTER TABLE alerts RENAME TO gone"); });
    EXPECT_FALSE(watch.round({}));
    EXPECT_THAT(server.requests(), IsEmpty());
    watch.check_pulse({});
    ASSERT_THAT(server.requests(), SizeIs(1));
    EXPECT_THAT(server.requests()[0], HasSubstr("\"event\":\"trigger\""));
    EXPECT_THAT(server.requests()[0], HasSubstr("monitor_failing"));
    watch.check_pulse({});
    EXPECT_THAT(server.requests(), SizeIs(1)) << "not each time";
    clock.advance(minutes(15));
    watch.check_pulse({});
    EXPECT_THAT(server.requests(), SizeIs(2)) << "but again";
    EXPECT_THAT(watch.metrics(), HasSubstr("holdfast_monitor_catalog_answers{server=\"server-1\"} 0\n"));
    catalog.with([](Database& database) { database.execute("ALTER TABLE gone RENAME TO alerts"); });
    EXPECT_TRUE(watch.round({}));
    watch.check_pulse({});
    ASSERT_THAT(server.requests(), SizeIs(3));
    EXPECT_THAT(server.requests()[2], HasSubstr("\"event\":\"resolve\""));
}

} // namespace
} // namespace holdfast
