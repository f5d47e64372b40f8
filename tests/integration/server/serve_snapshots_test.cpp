// What may be said of snapshots over the API, what it tells of them, and how they end.
#include "integration/server/serve_api.h"
#include "support/postgres_server.h"

#include <csignal>

#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;
using testing::SizeIs;

class ServeSnapshots : public ServeApi {
  protected:
    // Two snapshots of "home", the older one first, and a server that knows them.
    void serve_two(const std::string& policies = "") {
        configure(policies);
        for (const char* content : {"one", "two"}) {
            write("a", content);
            ids.push_back(json({"backup", "home"})["id"]);
        }
        serve();
    }
    static std::string path_of(const std::string& id) { return "/v1/snapshots/" + id; }
    // A new token, in place of the administrator's.
    std::string token_of(const std::string& name, const std::string& role) {
        const Answer made = ask("POST", "/v1/tokens", Json{{"name", name}, {"roles", {role}}}.dump());
        EXPECT_EQ(made.status, 201) << made.body;
        return made.body["token"];
    }
    std::ptrdiff_t entries(const std::string& action) {
        const Json trail = got("/v1/audit?limit=1000")["items"];
        return std::ranges::count_if(trail, [&](const Json& one) { return one["action"] == action; });
    }
    void stop() {
        server->signal(SIGTERM);
        EXPECT_EQ(server->finish().exit_code, 0);
    }
    // By somebody else than who asked for it.
    Json approved(const std::string& approval) {
        const std::string asker = token;
        token = token_of("berta", "administrator");
        const Answer answer = ask("POST", "/v1/approvals/" + approval + "/approve");
        EXPECT_EQ(answer.status, 200) << answer.body;
        token = asker;
        return answer.body["answer"];
    }

    std::vector<std::string> ids;
};

TEST_F(ServeSnapshots, HoldsOneAndForgetsItWhenItIsHeldNoMore) {
    serve_two();
    const std::string path = path_of(ids[0]);
    EXPECT_EQ(field_at_fault(path + "/holds", R"({"owner":"legal"})"), "reason");
    const std::string hold = R"({"reason":"case 4711","owner":"legal"})";
    const Answer held = ask("POST", path + "/holds", hold);
    ASSERT_EQ(held.status, 201) << held.body;
    EXPECT_EQ(held.location, path + "/holds/" + held.body["id"].get<std::string>());
    // The same again is the same hold, and it is the one that the command line sees.
    EXPECT_EQ(ask("POST", path + "/holds", hold).body, held.body);
    EXPECT_EQ(json({"hold", "list"}), Json::array({held.body}));
    EXPECT_EQ(got("/v1/holds")["items"], Json::array({held.body}));
    EXPECT_EQ(got(path)["standing"]["holds"][0], held.body);
    EXPECT_EQ(got(path)["holds"], Json::array({"case 4711"}));

    const Answer refused = ask("DELETE", path);
    EXPECT_EQ(refused.status, 409);
    EXPECT_THAT(refused.body["detail"].get<std::string>(), HasSubstr("is held: case 4711"));
    EXPECT_EQ(ask("DELETE", path + "/holds/nobody").status, 404);
    // A list that came out empty is not all of them.
    EXPECT_EQ(ask("DELETE", path + "/holds/legal", R"({"holds":[]})").status, 400);
    EXPECT_EQ(got("/v1/holds")["items"].size(), 1U);
    const Answer released = ask("DELETE", held.location + "?reason=closed");
    EXPECT_EQ(released.status, 200) << released.body;
    EXPECT_EQ(released.body["released"], Json::array({held.body}));
    EXPECT_EQ(ask("DELETE", held.location).status, 404);
    EXPECT_EQ(json({"hold", "list"}), Json::array());
    EXPECT_EQ(got("/v1/holds")["items"], Json::array());

    const Answer going = ask("DELETE", path);
    ASSERT_EQ(going.status, 202) << going.body;
    wait_until(*server, [&] { return got(going.location)["state"] == "succeeded"; });
    EXPECT_EQ(got(going.location)["result"]["forgotten"], Json::array({ids[0]}));
    EXPECT_THAT(json({"snapshots"}), SizeIs(1));
    EXPECT_EQ(ask("GET", path).status, 404);
    EXPECT_EQ(ask("DELETE", path).status, 404);
    // Its space is freed, and all of it is in the trail.
    wait_until(*server, [&] {
        const Json prunes = got("/v1/operations?kind=prune")["items"];
        return prunes.size() == 1 && prunes[0]["state"] == "succeeded";
    });
    EXPECT_EQ(entries("hold.add"), 2);
    EXPECT_EQ(entries("hold.release"), 1);
    EXPECT_EQ(entries("snapshot.forget"), 1);
    EXPECT_TRUE(got("/v1/audit/verify")["intact"].get<bool>());
}

TEST_F(ServeSnapshots, TheLastOfASourceGoesWhenThatIsSaid) {
    configure("");
    write("a", "one");
    const std::string id = json({"backup", "home"})["id"];
    serve();
    const Answer refused = ask("DELETE", path_of(id));
    EXPECT_EQ(refused.status, 409);
    EXPECT_THAT(refused.body["detail"].get<std::string>(), HasSubstr("is the last snapshot of its source"));
    EXPECT_EQ(ask("DELETE", path_of(id) + "?even_the_last=perhaps").status, 400);
    token = token_of("olga", "operator");
    EXPECT_EQ(ask("DELETE", path_of(id) + "?even_the_last=true").status, 403);
    EXPECT_THAT(json({"snapshots"}), SizeIs(1));
}

// One that was put aside by somebody else after it was looked at last.
TEST_F(ServeSnapshots, WhatIsHeldMeanwhileStaysAndTheOperationSaysSo) {
    serve_two();
    json({"hold", "add", ids[0], "--reason", "just now"});
    const Answer asked = ask("DELETE", path_of(ids[0]));
    if (asked.status == 202) {
        wait_until(*server, [&] { return got(asked.location)["state"] == "failed"; });
        EXPECT_THAT(got(asked.location)["error"]["message"].get<std::string>(), HasSubstr("just now"));
    } else {
        EXPECT_EQ(asked.status, 409);
    }
    EXPECT_THAT(json({"snapshots"}), SizeIs(2));
}

TEST_F(ServeSnapshots, TagsAreChangedByWhoHasSeenThem) {
    serve_two();
    const std::string path = path_of(ids[0]) + "/tags";
    const Answer first = ask("GET", path);
    ASSERT_EQ(first.status, 200);
    EXPECT_EQ(first.body["tags"], Json::object());
    const std::string change = R"({"set":{"why":"audit","by":"anna"}})";
    EXPECT_EQ(ask("PATCH", path, change).status, 428);
    EXPECT_EQ(ask("PATCH", path, change, {"If-Match: \"other\""}).status, 412);
    const Answer changed = ask("PATCH", path, change, {"If-Match: " + first.etag});
    ASSERT_EQ(changed.status, 200) << changed.body;
    EXPECT_EQ(changed.body["tags"], (Json{{"why", "audit"}, {"by", "anna"}}));
    EXPECT_EQ(ask("PATCH", path, R"({"remove":["by"]})", {"If-Match: " + first.etag}).status, 412);
    EXPECT_EQ(ask("PATCH", path, R"({"remove":["by"]})", {"If-Match: " + changed.etag}).status, 200);
    const std::vector<std::string> any{"If-Match: *"};
    for (const char* wrong : {R"({})", R"({"set":{"a=b":"c"}})", R"({"set":{"expires":"soon"}})",
                              R"({"set":{"a":"b"},"remove":["a"]})", R"({"set":{"a":1}})"})
        EXPECT_EQ(ask("PATCH", path, wrong, any).status, 400) << wrong;
    const Json seen = json({"snapshots"});
    EXPECT_EQ(seen[0]["id"] == ids[0] ? seen[0]["tags"] : seen[1]["tags"], (Json{{"why", "audit"}}));
    EXPECT_EQ(entries("snapshot.tag"), 2);

    // Until when a backup lives is not for an operator to say.
    const std::string administrator = token;
    token = token_of("olga", "operator");
    EXPECT_EQ(ask("PATCH", path, R"({"set":{"ticket":"1"}})", any).status, 200);
    EXPECT_EQ(ask("PATCH", path, R"({"set":{"expires":"2026-01-01T00:00:00Z"}})", any).status, 403);
    EXPECT_EQ(ask("PATCH", path, R"({"remove":["class"]})", any).status, 403);
    token = administrator;
    EXPECT_EQ(ask("PATCH", path, R"({"set":{"class":"forensic"}})", any).status, 200);
    // A class that no policy knows would be kept by the rules for all.
    const Answer misspelt = ask("PATCH", path, R"({"set":{"class":"forensics"}})", any);
    EXPECT_EQ(misspelt.status, 400);
    EXPECT_EQ(misspelt.body["errors"][0]["field"], "set.class");
    EXPECT_THAT(misspelt.body["hint"].get<std::string>(), HasSubstr("pre-maintenance"));
    EXPECT_EQ(got(path)["tags"]["class"], "forensic");
}

TEST_F(ServeSnapshots, TellsUntilWhenTheyLiveAndWhy) {
    serve_two("[policy.production]\nsources = [\"home\"]\n[policy.production.retention]\nlast = 1\n");
    const Json older = got(path_of(ids[0]))["retention"], newer = got(path_of(ids[1]))["retention"];
    EXPECT_EQ(older["policy"], "production");
    EXPECT_TRUE(older["goes"].is_string()) << older;
    EXPECT_TRUE(newer["goes"].is_null()) << newer;
    EXPECT_THAT(newer["reasons"], testing::Not(SizeIs(0)));
    const Json simulated = json({"retention", "simulate", "home"})[0]["snapshots"];
    EXPECT_EQ(simulated[0]["reasons"], older["reasons"]);
    EXPECT_EQ(simulated[1]["reasons"], newer["reasons"]);
    EXPECT_EQ(simulated[1]["last_reasons"], newer["last_reasons"]);
}

TEST_F(ServeSnapshots, TellsWhatTheRepositoryIsAndHolds) {
    serve_two();
    const Json told = got("/v1/repository"), stats = json({"stats"});
    EXPECT_EQ(told["repository"], stats["repository"]);
    EXPECT_EQ(told["snapshots"], 2);
    EXPECT_EQ(told["sources"], stats["sources"]);
    EXPECT_EQ(told["repository"]["epoch"], 1);
    EXPECT_TRUE(told["repository"]["store"]["put_if_absent"].get<bool>());
    EXPECT_EQ(ask("GET", "/v1/sources/home/window").status, 409);
    EXPECT_EQ(ask("GET", "/v1/sources/nothing/window").status, 404);
}

// Approved, and then the server was lost: the next one does it, once.
TEST_F(ServeSnapshots, WhatASecondPersonApprovedIsDoneThoughTheServerWasLost) {
    serve_two("[server.protection]\n\"holds.release\" = \"second-person\"\n");
    const Answer held = ask("POST", path_of(ids[0]) + "/holds", R"({"reason":"case 4711","owner":"legal"})");
    ASSERT_EQ(held.status, 201) << held.body;
    const Answer waiting = ask("DELETE", held.location);
    ASSERT_EQ(waiting.status, 202) << waiting.body;
    EXPECT_THAT(waiting.location, HasSubstr("/v1/approvals/"));
    EXPECT_EQ(json({"hold", "list"}).size(), 1U);
    EXPECT_EQ(ask("POST", waiting.location + "/approve").status, 403) << "one person is one";
    server->signal(SIGKILL);
    server->finish();
    const std::string id = waiting.body["approval"];
    beside().catalog.with([&](Database& database) {
        return database.query("UPDATE approvals SET state = 'approved', decided_by = 'tk_other', "
                              "decided = $2, carried_until = $2 WHERE id = $1",
                              {sql(id), sql(system_clock().now())});
    });
    const std::string administrator = token;
    serve();
    token = administrator;
    wait_until(*server, [&] { return !got(waiting.location)["answer"].is_null(); });
    const Json approval = got(waiting.location);
    EXPECT_EQ(approval["answer"]["status"], 200) << approval;
    EXPECT_EQ(approval["answer"]["body"]["released"][0]["id"], held.body["id"]);
    EXPECT_EQ(json({"hold", "list"}), Json::array());
    EXPECT_EQ(entries("approval.carry_on"), 1);
    EXPECT_EQ(entries("hold.release"), 1);
}

TEST_F(ServeSnapshots, AnApprovalIsOfTheHoldsThatThereWereAndMayBeCarriedOutAgain) {
    serve_two("[server.protection]\n\"holds.release\" = \"second-person\"\n");
    const std::string path = path_of(ids[0]) + "/holds";
    const Json held = ask("POST", path, R"({"reason":"case 4711","owner":"legal"})").body;
    EXPECT_EQ(ask("DELETE", path + "/nobody").status, 404);
    const Answer waiting = ask("DELETE", path_of(ids[0].substr(0, 8)) + "/holds/legal?reason=closed");
    ASSERT_EQ(waiting.status, 202) << waiting.body;
    const std::string id = waiting.body["approval"];
    const Json request = got(waiting.location)["request"];
    EXPECT_EQ(request["path"], path + "/legal");
    EXPECT_EQ(request["body"]["holds"], Json::array({held["id"]}));
    const Json later = ask("POST", path, R"({"reason":"case 4712","owner":"legal"})").body;

    const Json answer = approved(id);
    EXPECT_EQ(answer["status"], 200) << answer;
    EXPECT_EQ(answer["body"]["released"], Json::array({held}));
    EXPECT_EQ(json({"hold", "list"}), Json::array({later}));

    EXPECT_EQ(carried_out_again(id), answer);
    EXPECT_EQ(json({"hold", "list"}), Json::array({later}));
    EXPECT_EQ(entries("approval.carry_on"), 1);
    EXPECT_EQ(entries("hold.release"), 1);
}

TEST_F(ServeSnapshots, TagsThatWereApprovedMayBeSetAgain) {
    serve_two("[server.protection]\n\"backups.delete\" = \"second-person\"\n");
    const std::string path = path_of(ids[0]) + "/tags";
    const Answer seen = ask("GET", path);
    const Answer waiting = ask("PATCH", path, R"({"set":{"class":"forensic"}})", {"If-Match: " + seen.etag});
    ASSERT_EQ(waiting.status, 202) << waiting.body;
    const std::string id = waiting.body["approval"];
    const Json answer = approved(id);
    EXPECT_EQ(answer["body"]["tags"], (Json{{"class", "forensic"}})) << answer;
    EXPECT_EQ(carried_out_again(id), answer);
    EXPECT_EQ(entries("snapshot.tag"), 1);
}

// A token that could not be shown is none: the next start shows another.
TEST_F(ServeSnapshots, AFirstTokenThatWasNotShownIsNotLost) {
    configure("");
    const std::string file = scratch.file("state/first-token");
    std::filesystem::create_directories(file);
    EXPECT_THAT(failure({"serve"}, 1), HasSubstr("first-token"));
    std::filesystem::remove(file);
    serve();
    EXPECT_EQ(token.size(), 67U);
    EXPECT_EQ(got("/v1/tokens")["items"].size(), 1U);
    EXPECT_EQ(entries("token.create"), 1);
}

TEST_F(ServeSnapshots, TellsToWhichMomentsADatabaseCanBeRecovered) {
    const PostgresServer postgres({.version = 15, .settings = "wal_keep_size = '1GB'\nfsync = off\n"});
    configure(fmt::format("[source.orders]\nkind = \"postgresql\"\nconnection = \"{}\"\n"
                          "data_directory = \"{}\"\nspool_directory = \"{}\"\n",
                          postgres.conninfo("postgres"), postgres.data_directory(), scratch.file("spool")));
    serve();
    EXPECT_EQ(ask("GET", "/v1/sources/orders/window").status, 404);
    const std::string snapshot = done("/v1/backups", R"({"source":"orders"})")["result"]["snapshot"];
    wait_until(*server, [&] { return ask("GET", "/v1/sources/orders/window").status == 200; });
    // What was read whole, and what was not, is told apart whoever asked for it.
    const std::string backups = "/v1/backup-recovery/database/backups";
    EXPECT_EQ(got(backups + "?type=full")["total"], 1);
    EXPECT_EQ(got(backups + "?type=incremental")["total"], 0);
    Json window = got("/v1/sources/orders/window");
    ASSERT_THAT(window["ranges"], SizeIs(1));
    EXPECT_EQ(window["ranges"][0]["snapshots"], Json::array({snapshot}));
    EXPECT_TRUE(window.contains("exposure")) << window;
    EXPECT_FALSE(window.contains("plan"));
    const Json typed = json({"window", "orders"});
    for (const char* member :
         {"ranges", "gaps", "released", "forks", "missing_histories", "snapshots_without_log"})
        EXPECT_EQ(window[member], typed[member]) << member;

    const std::string until = window["ranges"][0]["until"];
    window = got("/v1/sources/orders/window?at=" + until);
    EXPECT_EQ(window["plan"]["snapshot"], snapshot);
    EXPECT_EQ(window["ranges"], typed["ranges"]);
    EXPECT_EQ(ask("GET", "/v1/sources/orders/window?at=yesterday").body["errors"][0]["field"], "at");
    const Answer before = ask("GET", "/v1/sources/orders/window?at=2001-01-01T00:00:00Z");
    EXPECT_EQ(before.status, 404);
    EXPECT_THAT(before.body["detail"].get<std::string>(), HasSubstr("no snapshot was complete by then"));
}

} // namespace
} // namespace holdfast::test
