#include "unit/api/api_fixture.h"

#include <set>
#include <thread>

#include <gmock/gmock.h>

namespace holdfast::api {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

class OperationRoutes : public test::ApiTest {
  protected:
    static OperationRequest work(std::string kind, std::string requested_by = {}) {
        OperationRequest request;
        request.kind = std::move(kind);
        request.requested_by = std::move(requested_by);
        return request;
    }

    Operations operations{catalog, clock, random};
};

TEST_F(OperationRoutes, WorkIsQueuedAndFollowed) {
    const Response begun =
        ask("POST", "/v1/backup-recovery/database/backup/full", R"({"source": "db", "class": "manual"})");
    ASSERT_EQ(begun.status, 202) << begun.body;
    EXPECT_EQ(asked.kind, "backup");
    EXPECT_THAT(asked.implied, testing::Contains(testing::Pair("type", "full")));
    const std::string where(*begun.headers.find("Location"));
    const auto operation = json_of(ask("GET", where));
    EXPECT_EQ(operation["id"], json_of(begun)["operation"]);
    EXPECT_EQ(operation["state"], "queued");
    EXPECT_EQ(operation["source"], "db");
    EXPECT_EQ(operation["requested_by"], "first-administrator");
    const auto trail = json_of(ask("GET", "/v1/audit"))["items"];
    EXPECT_EQ(trail.back()["action"], "operation.request");
    EXPECT_EQ(trail.back()["object"], operation["id"]);
    EXPECT_EQ(trail.back()["details"], nlohmann::json::parse(R"({"kind": "backup", "source": "db",
        "request": {"class": "manual"}, "path": "/v1/backup-recovery/database/backup/full"})"));
    EXPECT_EQ(ask("POST", "/v1/backup-recovery/verification/verify/snap%201").status, 202);
    EXPECT_EQ(asked.implied.at("snapshot"), "snap 1");
    EXPECT_EQ(ask("POST", "/v1/backup-recovery/disaster-recovery/failover").status, 501);
}

TEST_F(OperationRoutes, PagesMeetEveryOneOnce) {
    std::set<std::string> made, seen;
    for (int i = 0; i < 25; ++i) made.insert(*operations.add(work("verify")));
    std::string target = "/v1/operations?limit=10";
    int pages = 0;
    while (true) {
        const auto page = json_of(ask("GET", target));
        ++pages;
        for (const auto& item : page["items"]) EXPECT_TRUE(seen.insert(item["id"]).second);
        // What is new meanwhile stands in front of the first page.
        clock.advance(std::chrono::milliseconds(1));
        operations.add(work("backup"));
        if (page["next"].is_null()) break;
        target = "/v1/operations?limit=10&cursor=" + page["next"].get<std::string>();
    }
    EXPECT_EQ(pages, 3);
    EXPECT_EQ(seen, made);
    EXPECT_THAT(json_of(ask("GET", "/v1/operations?kind=backup&state=queued,running"))["items"], SizeIs(3));
}

TEST_F(OperationRoutes, LogsComeInOrder) {
    const std::string id = *operations.add(work("verify"));
    for (int i = 1; i <= 3; ++i) operations.log(id, "info", "line " + std::to_string(i));
    const auto page = json_of(ask("GET", "/v1/operations/" + id + "/log?limit=2"));
    ASSERT_THAT(page["items"], SizeIs(2));
    EXPECT_EQ(page["items"][1]["message"], "line 2");
    const auto rest =
        json_of(ask("GET", "/v1/operations/" + id + "/log?cursor=" + page["next"].get<std::string>()));
    ASSERT_THAT(rest["items"], SizeIs(1));
    EXPECT_EQ(rest["items"][0]["message"], "line 3");
    EXPECT_TRUE(rest["next"].is_null());
}

TEST_F(OperationRoutes, AreCancelledByWhoMay) {
    const std::string restorer = token("rita", "restorer");
    const std::string id = *operations.add(work("backup", "somebody"));
    EXPECT_EQ(ask("POST", "/v1/operations/" + id + "/cancel", {}, {}, token("victor", "viewer")).status, 403);
    EXPECT_EQ(ask("POST", "/v1/operations/" + id + "/cancel", {}, {}, restorer).status, 403);
    EXPECT_EQ(ask("POST", "/v1/operations/" + id + "/cancel", {}, {}, token("olga", "operator")).status, 202);
    EXPECT_EQ(json_of(ask("GET", "/v1/operations/" + id))["state"], "cancelled");
    EXPECT_EQ(ask("POST", "/v1/operations/" + id + "/cancel").status, 409);
    const std::string own = *operations.add(work("restore", "rita"));
    EXPECT_EQ(ask("POST", "/v1/operations/" + own + "/cancel", {}, {}, restorer).status, 202);
}

TEST_F(OperationRoutes, AreNotAtAHundredPercentUntilTheyAreDone) {
    const std::string id = *operations.add(work("backup"));
    const auto claimed = operations.claim("server", std::chrono::minutes(1), {});
    const auto at = [&](std::uint64_t done) {
        operations.renew(*claimed, std::chrono::minutes(1),
                         {.phase = "reading", .done_bytes = done, .total_bytes = 1000});
        return json_of(ask("GET", "/v1/operations/" + id));
    };
    clock.advance(std::chrono::seconds(10));
    EXPECT_EQ(at(500)["percent"], 50.0);
    EXPECT_EQ(at(500)["estimate"]["seconds_left"], 10);
    // All is read, or more than was expected, and packs are still under way to the store.
    for (const std::uint64_t done : {1000U, 2000U}) {
        const auto told = at(done);
        EXPECT_EQ(told["percent"], 99.9);
        EXPECT_TRUE(told["estimate"].is_null()) << told;
    }
    operations.finish(*claimed, OperationState::succeeded, std::nullopt, std::nullopt);
    EXPECT_EQ(json_of(ask("GET", "/v1/operations/" + id))["percent"], 100.0);
}

TEST_F(OperationRoutes, NothingInABodyIsWithoutEffect) {
    const std::string id = *operations.add(work("verify"));
    const Response refused = ask("POST", "/v1/operations/" + id + "/cancel", R"({"force": true})");
    EXPECT_EQ(refused.status, 400);
    EXPECT_EQ(json_of(refused)["errors"][0]["field"], "force");
    EXPECT_EQ(ask("POST", "/v1/backups", R"({"source": "db", "sort": "full"})").status, 400);
    EXPECT_EQ(ask("POST", "/v1/operations/" + id + "/cancel", "{}").status, 202);
}

TEST_F(OperationRoutes, TheTrailSaysWhatWasCancelled) {
    const std::string id = *operations.add(work("verify", "somebody"));
    EXPECT_EQ(ask("POST", "/v1/operations/" + id + "/cancel").status, 202);
    const auto entry = json_of(ask("GET", "/v1/audit"))["items"].back();
    EXPECT_EQ(entry["action"], "operation.cancel");
    EXPECT_EQ(entry["details"],
              nlohmann::json::parse(R"({"kind": "verify", "source": null, "requested_by": "somebody"})"));
}

TEST_F(OperationRoutes, AnIdempotencyKeyIsDoneOnce) {
    const std::vector<std::pair<std::string, std::string>> key{{"Idempotency-Key", "k-1"}};
    const Response begun = ask("POST", "/v1/backups", R"({"source": "db"})", key);
    ASSERT_EQ(begun.status, 202);
    EXPECT_EQ(prepares, 1);
    const Response again = ask("POST", "/v1/backups", R"({"source": "db"})", key);
    EXPECT_EQ(again.status, 202);
    EXPECT_EQ(again.body, begun.body);
    EXPECT_EQ(again.headers.find("Location"), begun.headers.find("Location"));
    EXPECT_EQ(again.headers.find("Idempotency-Replayed"), "true");
    EXPECT_EQ(prepares, 1);
    EXPECT_EQ(ask("POST", "/v1/backups", R"({"source":  "db"})", key).status, 422);
    EXPECT_EQ(ask("POST", "/v1/verifications", R"({"source": "db"})", key).status, 422);
    // Another token's key is another key.
    EXPECT_EQ(ask("POST", "/v1/backups", R"({"source": "db"})", key, token("olga", "operator")).status, 202);
    EXPECT_THAT(json_of(ask("GET", "/v1/operations"))["items"], SizeIs(2));
    // What was refused was not done, and may be tried again.
    EXPECT_EQ(ask("POST", "/v1/backups", R"({"source": "x"})", {{"Idempotency-Key", "k-2"}}).status, 400);
    EXPECT_EQ(ask("POST", "/v1/backups", R"({"source": "db"})", {{"Idempotency-Key", "k-2"}}).status, 202);
    EXPECT_EQ(ask("POST", "/v1/backups", "{}", {{"Idempotency-Key", "a b"}}).status, 400);
    clock.advance(std::chrono::hours(25));
    EXPECT_NE(ask("POST", "/v1/backups", R"({"source": "db"})", key).body, begun.body);
}

TEST_F(OperationRoutes, ManyWithOneKeyAreDoneOnce) {
    std::vector<std::string> bodies(16);
    {
        std::vector<std::jthread> threads;
        for (std::string& body : bodies)
            threads.emplace_back(
                [&] { body = ask("POST", "/v1/verifications", {}, {{"Idempotency-Key", "together"}}).body; });
    }
    EXPECT_THAT(bodies, testing::Each(bodies.front()));
    EXPECT_THAT(json_of(ask("GET", "/v1/operations"))["items"], SizeIs(1));
}

TEST_F(OperationRoutes, EventsTellWhatHappens) {
    const std::string before = *operations.add(work("verify"));
    const auto source = ask("GET", "/v1/operations/events").events;
    ASSERT_TRUE(source);
    auto events = *source->next();
    ASSERT_THAT(events, SizeIs(1));
    EXPECT_EQ(events[0].type, "snapshot");
    EXPECT_THAT(events[0].data, HasSubstr(before));
    EXPECT_THAT(*source->next(), SizeIs(0));

    const auto next = [&] {
        clock.advance(std::chrono::seconds(2));
        return *source->next();
    };
    const auto claimed = operations.claim("server", std::chrono::minutes(1), {});
    events = next();
    ASSERT_THAT(events, SizeIs(1));
    EXPECT_EQ(events[0].type, "operation");
    EXPECT_EQ(nlohmann::json::parse(events[0].data)["state"], "running");
    EXPECT_THAT(next(), SizeIs(0));
    operations.finish(*claimed, OperationState::succeeded, std::nullopt, std::nullopt);
    // One that comes and goes between two looks is seen, too.
    const std::string brief = *operations.add(work("backup"));
    operations.cancel(brief);
    events = next();
    ASSERT_THAT(events, SizeIs(2));
    EXPECT_EQ(nlohmann::json::parse(events[0].data)["state"], "succeeded");
    EXPECT_EQ(nlohmann::json::parse(events[1].data)["id"], brief);
    // Who was away goes on behind what he saw last.
    const auto later = ask("GET", "/v1/operations/events", {}, {{"Last-Event-ID", events[0].id}}).events;
    ASSERT_THAT(*later->next(), SizeIs(1));
    const auto stranger = ask("GET", "/v1/operations/events", {}, {{"Last-Event-ID", "other-7"}}).events;
    EXPECT_EQ((*stranger->next())[0].type, "snapshot");
}

TEST_F(OperationRoutes, EventsBeginWithAllThatIsNotOverHoweverMuchItIs) {
    std::set<std::string> made, told;
    catalog.transaction([&](Database& database) {
        for (int i = 0; i < 2'300; ++i) made.insert(operations.add(database, work("verify")).value());
    });
    const auto source = ask("GET", "/v1/operations/events").events;
    ASSERT_TRUE(source);
    std::vector<Event> parts;
    do {
        const std::vector<Event> next = source->next().value();
        ASSERT_THAT(next, testing::Not(testing::IsEmpty()));
        parts.insert(parts.end(), next.begin(), next.end());
        // What happens meanwhile is told behind it.
        if (parts.size() == next.size()) operations.cancel(*made.rbegin());
    } while (parts.back().id.empty());
    ASSERT_THAT(parts, SizeIs(12));
    for (std::size_t i = 0; i < parts.size(); ++i) {
        EXPECT_EQ(parts[i].type, i == 0 ? "snapshot" : "more");
        EXPECT_EQ(parts[i].id.empty(), i + 1 < parts.size()) << "who saw a part alone begins again";
        for (const auto& operation : nlohmann::json::parse(parts[i].data))
            EXPECT_TRUE(told.insert(operation["id"]).second);
    }
    EXPECT_EQ(told, made);
    clock.advance(std::chrono::seconds(2));
    const std::vector<Event> behind = source->next().value();
    ASSERT_THAT(behind, SizeIs(1));
    EXPECT_EQ(nlohmann::json::parse(behind[0].data)["state"], "cancelled");
    // More than a page of what came and went between two looks is not missed either.
    const std::string last = behind[0].id;
    for (int i = 0; i < 3; ++i) {
        catalog.transaction([&](Database& database) {
            for (int j = 0; j < 150; ++j)
                operations.cancel(database, operations.add(database, work("backup")).value());
        });
    }
    std::size_t brief = 0;
    clock.advance(std::chrono::seconds(2));
    for (auto events = source->next().value(); !events.empty(); events = source->next().value())
        brief += events.size();
    EXPECT_EQ(brief, 450U);
    EXPECT_THAT(ask("GET", "/v1/operations/events", {}, {{"Last-Event-ID", last}}).events->next().value(),
                SizeIs(200));
}

} // namespace
} // namespace holdfast::api
