// What the server answers, over its real socket: asked with curl, as an operator's script would.
#include "integration/server/serve_api.h"

#include <csignal>
#include <fstream>

#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

using Json = nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(ServeApi, LetsInWhoHasAToken) {
    configure("");
    serve();
    EXPECT_EQ(token.size(), 67U) << "hf_ and 64 digits";
    EXPECT_EQ(got("/v1/operations")["items"].size(), 0U);
    const std::string good = token;
    token.clear();
    EXPECT_EQ(ask("GET", "/healthz").status, 200);
    EXPECT_EQ(ask("GET", "/v1/snapshots").status, 401);
    token = "hf_" + std::string(64, '0');
    EXPECT_EQ(ask("GET", "/v1/snapshots").status, 401);
    EXPECT_EQ(ask("POST", "/v1/backups", R"({"source":"home"})").status, 401);
    // The token is shown once: the next start has none to show, and the old one holds.
    server->signal(SIGTERM);
    EXPECT_EQ(server->finish().exit_code, 0);
    token.clear();
    serve();
    EXPECT_EQ(token, "");
    token = good;
    EXPECT_EQ(ask("GET", "/v1/snapshots").status, 200);
}

TEST_F(ServeApi, BacksUpVerifiesAndTellsOfIt) {
    write("a", "content");
    configure("");
    serve();
    const Json backup = done("/v1/backups", R"({"source":"home","tags":{"why":"test"}})");
    const std::string id = backup["result"]["id"];
    wait_until(*server, [&] { return got("/v1/snapshots")["items"].size() == 1; });
    const Json listed = got("/v1/snapshots")["items"][0];
    EXPECT_EQ(listed["id"], id);
    EXPECT_EQ(listed["tags"]["why"], "test");
    Json details = got("/v1/snapshots/" + id.substr(0, 8));
    EXPECT_EQ(details["retention"]["policy"], Json());
    EXPECT_EQ(details["standing"]["holds"].size(), 0U);
    details.erase("retention");
    details.erase("standing");
    EXPECT_EQ(details, listed);
    EXPECT_EQ(ask("GET", "/v1/snapshots/ffffffff").status, 404);
    const Json source = got("/v1/sources/home");
    EXPECT_EQ(source["kind"], "documents");
    EXPECT_EQ(source["snapshots"], 1);
    EXPECT_EQ(ask("GET", "/v1/sources/nothing").status, 404);

    done("/v1/verifications", R"({"source":"home","depth":"all"})");
    wait_until(*server,
               [&] { return got("/v1/backup-recovery/verification/" + id)["verified"].get<bool>(); });
    EXPECT_EQ(got("/v1/backup-recovery/verification/" + id)["result"], "intact");
    // Who did what is in the trail.
    const Json trail = got("/v1/audit")["items"];
    EXPECT_EQ(std::ranges::count(trail, "operation.request", [](const Json& one) { return one["action"]; }),
              2);
    const auto end = std::ranges::find(trail, "operation.end", [](const Json& one) { return one["action"]; });
    ASSERT_NE(end, trail.end());
    EXPECT_EQ((*end)["actor"], "first-administrator");
    EXPECT_EQ((*end)["object"], backup["id"]);
    EXPECT_EQ((*end)["details"]["request"], Json::parse(R"({"tags":{"why":"test"}})"));
    EXPECT_EQ((*end)["details"]["result"]["id"], id);
    EXPECT_THAT(run({"audit", "export", "--format", "json"}).out, HasSubstr(R"("tags":{"why":"test"})"));
    EXPECT_TRUE(got("/v1/audit/verify")["intact"].get<bool>());
}

// A glance takes nothing back of what a look at the content has found, whoever tells of it.
TEST_F(ServeApi, TellsOfDamageUntilALookAsCloseFindsNone) {
    write("a", "content");
    configure("");
    const std::string whole = json({"backup", "home"})["id"];
    write_random("b", 1'000'000, 1);
    const std::string damaged = json({"backup", "home"})["id"];
    std::filesystem::path largest;
    for (const auto& file : std::filesystem::recursive_directory_iterator(repository()))
        if (file.is_regular_file() && (largest.empty() || file.file_size() > file_size(largest)))
            largest = file.path();
    permissions(largest, std::filesystem::perms::owner_write, std::filesystem::perm_options::add);
    {
        std::fstream pack(largest, std::ios::in | std::ios::out | std::ios::binary);
        pack.seekg(500'000);
        const int old = pack.get();
        pack.seekp(500'000);
        pack.put(static_cast<char>(old ^ 1));
    }
    json({"verify", "--read-data", "--record"}, 1);
    json({"verify", "--record"});
    serve();
    const std::string base = "/v1/backup-recovery";
    const Json told = got(base + "/verification/" + damaged);
    EXPECT_EQ(told["verified"], false);
    EXPECT_EQ(told["result"], "damaged");
    EXPECT_EQ(told["verifications"].back()["result"], "intact");
    EXPECT_EQ(got(base + "/verification/" + whole)["verified"], true);
    const Json numbers = got(base + "/verification/lifecycle-stats");
    EXPECT_EQ(numbers["damaged"], 1);
    EXPECT_EQ(numbers["verified"], 1);
    EXPECT_EQ(got("/v1/snapshots/" + damaged)["verified"]["result"], "damaged");
    EXPECT_THAT(run({"audit", "export", "--what", "snapshots"}).out, HasSubstr(",damaged 20"));
    // Nothing is to begin with what is damaged.
    const std::string now = to_rfc3339(system_clock().now());
    EXPECT_EQ(got(base + "/recovery/point-in-time/" + now)["sources"][0]["nearest_snapshot"], whole);
}

TEST_F(ServeApi, AnswersTheRoutesOfBackupAndRecovery) {
    write("a", "content");
    configure("");
    serve();
    const std::string base = "/v1/backup-recovery";
    const Json first = done(base + "/documents/backup", "{}"),
               second = done(base + "/documents/backup", "{}");
    wait_until(*server, [&] { return got(base + "/documents/backups")["total"] == 2; });
    const Json page = got(base + "/documents/backups?limit=1&offset=1&status=completed");
    EXPECT_EQ(page["total"], 2);
    ASSERT_EQ(page["backups"].size(), 1U);
    EXPECT_EQ(page["backups"][0]["id"], first["result"]["id"]);
    // The second compared with the first.
    const Json whole = got(base + "/documents/backups?type=full");
    ASSERT_EQ(whole["total"], 1);
    EXPECT_EQ(whole["backups"][0]["id"], first["result"]["id"]);
    EXPECT_EQ(got(base + "/documents/backups?type=incremental")["backups"][0]["type"], "incremental");
    for (const char* parameter : {"type", "status"}) {
        const Answer refused = ask("GET", fmt::format("{}/database/backups?{}=bogus", base, parameter));
        EXPECT_EQ(refused.status, 400);
        EXPECT_EQ(refused.body["errors"][0]["field"], parameter);
    }
    EXPECT_EQ(got(base + "/documents/" + second["result"]["id"].get<std::string>())["source"], "home");
    EXPECT_EQ(got(base + "/documents/statistics")["completed"], 2);
    EXPECT_EQ(got(base + "/database/statistics")["total"], 0);
    EXPECT_EQ(got(base + "/database/backups")["total"], 0);
    EXPECT_EQ(got(base + "/verification/lifecycle-stats")["never_verified"], 2);
    EXPECT_EQ(got(base + "/retention/lifecycle-stats")["total"], 2);
    const std::string now = to_rfc3339(system_clock().now());
    EXPECT_EQ(got(base + "/recovery/point-in-time/" + now)["sources"][0]["nearest_snapshot"],
              second["result"]["id"]);
    EXPECT_EQ(ask("GET", base + "/recovery/point-in-time/yesterday").body["errors"][0]["field"], "timestamp");

    EXPECT_EQ(field_at_fault(base + "/database/backup/full", "{}"), "source");
    EXPECT_EQ(field_at_fault(base + "/database/backup/full", R"({"source":"home"})"), "source");
    EXPECT_EQ(field_at_fault(base + "/documents/backup", R"({"type":"full"})"), "type");
    EXPECT_EQ(field_at_fault("/v1/backups", R"({"source":"other"})"), "source");
    EXPECT_EQ(ask("GET", base + "/disaster-recovery/plans").status, 501);
    EXPECT_EQ(ask("POST", base + "/disaster-recovery/failover", "{}").status, 501);
}

TEST_F(ServeApi, RestoresBelowItsDirectoryAlone) {
    write("a", "content");
    configure("", "");
    const std::string place = scratch.file("restores");
    std::filesystem::create_directory(place);
    std::ofstream(scratch.file("holdfast.toml"))
        << fmt::format("[server]\nlisten = \"127.0.0.1:0\"\nstate_directory = \"{}\"\nretention = \"never\"\n"
                       "restore_directory = \"{}\"\n[source.home]\nkind = \"documents\"\npaths = [\"{}\"]\n",
                       scratch.file("state"), place, source());
    serve();
    done("/v1/backups", R"({"source":"home"})");
    const Json restored = done("/v1/restores", R"({"source":"home","directory":"again"})");
    EXPECT_EQ(content_of(place + "/again" + source() + "/a"), "content") << restored;
    EXPECT_EQ(field_at_fault("/v1/restores", R"({"source":"home","directory":"../again"})"), "directory");
    // What is there already is not written over.
    const Json refused = done("/v1/restores", R"({"source":"home","directory":"again"})", "failed");
    EXPECT_THAT(refused["error"]["message"].get<std::string>(), HasSubstr("not empty"));
}

TEST_F(ServeApi, ListsInPagesThatNewOnesDoNotMove) {
    write("a", "content");
    configure("");
    std::vector<std::string> ids;
    for (int i = 0; i < 5; ++i) ids.insert(ids.begin(), json({"backup", "home"})["id"].get<std::string>());
    serve();
    Json page = got("/v1/snapshots?limit=2");
    std::vector<std::string> seen;
    const auto take = [&] {
        for (const Json& one : page["items"]) seen.push_back(one["id"]);
    };
    take();
    done("/v1/backups", R"({"source":"home"})");
    wait_until(*server, [&] { return got("/v1/snapshots")["items"].size() == 6; });
    while (!page["next"].is_null()) {
        page = got("/v1/snapshots?limit=2&cursor=" + page["next"].get<std::string>());
        take();
    }
    EXPECT_EQ(seen, ids);
    EXPECT_EQ(got("/v1/snapshots?source=other")["items"].size(), 0U);
}

TEST_F(ServeApi, AnAlertBeginsIsAcknowledgedAndEndsWithItsCause) {
    configure("");
    std::filesystem::remove_all(source());
    serve();
    done("/v1/backups", R"({"source":"home"})", "failed");
    const auto about_failure = [&] {
        const Json list = got("/v1/alerts?rule=backup_failed&source=home");
        return list["items"].empty() ? Json() : list["items"][0];
    };
    wait_until(*server, [&] { return !about_failure().is_null(); });
    const Json alert = about_failure();
    EXPECT_EQ(alert["state"], "firing");
    EXPECT_EQ(got("/v1/backup-recovery/monitoring/dashboard")["systemHealth"]["status"], "CRITICAL");
    const std::string path = "/v1/alerts/" + alert["id"].get<std::string>();
    const Answer seen = ask("POST", path + "/acknowledge", R"({"comment":"on it"})");
    EXPECT_EQ(seen.status, 200) << seen.body;
    EXPECT_EQ(seen.body["state"], "acknowledged");
    EXPECT_EQ(ask("POST", path + "/acknowledge", "{}").status, 409);
    const ProgramRun metrics = run_program(
        {"/usr/bin/curl", "-sk", "-H", "Authorization: Bearer " + token, address + "/metrics"}, {});
    EXPECT_THAT(metrics.out, HasSubstr("# TYPE holdfast_"));

    write("a", "content");
    done("/v1/backups", R"({"source":"home"})");
    wait_until(*server, [&] { return about_failure().is_null(); });
    EXPECT_EQ(got(path)["state"], "resolved");
    EXPECT_EQ(std::ranges::count(got("/v1/audit")["items"], "alert.acknowledge",
                                 [](const Json& one) { return one["action"]; }),
              1);
    // A silence has an end and a reason.
    EXPECT_EQ(field_at_fault("/v1/silences", R"({"rule":"*","reason":"work"})"), "ends");
}

TEST_F(ServeApi, ATrailThatWasWrittenAnewIsFoundOut) {
    write("a", "content");
    configure("");
    serve();
    done("/v1/backups", R"({"source":"home"})");
    server->signal(SIGTERM);
    EXPECT_EQ(server->finish().exit_code, 0);
    serve(); // which tells the repository where the trail stands
    wait_until(*server, [&] { return json({"audit", "verify"})["heads_compared"] > 0; });
    const Json whole = json({"audit", "verify"});
    EXPECT_TRUE(whole["intact"].get<bool>()) << whole;
    EXPECT_THAT(run({"audit", "export"}).out, HasSubstr(",operation.request,"));
    EXPECT_THAT(run({"audit", "export", "--what", "snapshots"}).out,
                HasSubstr("DATE,SNAPSHOT_ID,TYPE,STATUS,SIZE_GB,VERIFIED,NOTES\n"));
    beside().catalog.with(
        [](Database& database) { database.execute("UPDATE audit SET actor = 'nobody' WHERE number = 2"); });
    EXPECT_FALSE(json({"audit", "verify"}, 1)["intact"].get<bool>());
    // Begun anew, it fits by itself; but not what the repository knows.
    beside().catalog.with([](Database& database) { database.execute("DELETE FROM audit"); });
    EXPECT_EQ(json({"audit", "verify"}, 3)["other_trails"].size(), 1U);
    done("/v1/backups", R"({"source":"home"})");
    EXPECT_EQ(json({"audit", "verify"}, 3)["other_trails"].size(), 1U);
    wait_until(*server, [&] { return got("/v1/audit/verify") == json({"audit", "verify"}, 3); });
}

TEST_F(ServeApi, AnExporterTakesTheTrailAndTheListOfBackups) {
    write("a", "content");
    configure("");
    const std::string id = json({"backup", "home"})["id"];
    serve();
    token = ask("POST", "/v1/tokens", R"({"name":"auditor","roles":["exporter"]})").body["token"];
    EXPECT_EQ(got("/v1/snapshots")["items"][0]["id"], id);
    EXPECT_FALSE(got("/v1/audit")["items"].empty());
    EXPECT_EQ(ask("GET", "/v1/snapshots/" + id).status, 403);
    EXPECT_EQ(ask("GET", "/v1/sources").status, 403);
    RunOptions elsewhere = options;
    elsewhere.environment = {
        {"HOME", scratch.file("elsewhere")}, {"HOLDFAST_SERVER", address}, {"HOLDFAST_TOKEN", token}};
    const ProgramRun list =
        run({"audit", "export", "--what", "snapshots", "--server-ca", scratch.file("state/server.crt")},
            elsewhere);
    EXPECT_EQ(list.exit_code, 0) << list.error;
    EXPECT_THAT(list.out, HasSubstr(id));
}

TEST_F(ServeApi, ReadsRulesAndChannelsAgain) {
    write("a", "content");
    configure("");
    serve();
    const auto severity = [&] {
        const Json rules = got("/v1/rules");
        for (const Json& rule : rules["items"])
            if (rule["name"] == "no_backup") return rule["severity"].get<std::string>();
        return std::string();
    };
    const std::string before = severity();
    ASSERT_EQ(before, "P1");
    EXPECT_TRUE(got("/v1/channels")["items"].empty());
    const std::string alerts = "[alert.no_backup]\nseverity = \"P4\"\n[channel.ops]\ntype = \"webhook\"\n"
                               "url = \"http://127.0.0.1:9/\"\nsecret_file = \"" +
                               scratch.file("secret") + "\"\n";
    const auto reload = [&](const std::string& what, const std::string& said) {
        configure(what);
        const std::size_t seen = server->error_so_far().size();
        server->signal(SIGHUP);
        wait_until(*server, [&] { return server->error_so_far().find(said, seen) != std::string::npos; });
    };
    std::ofstream(scratch.file("secret")) << "a key for the signatures\n";
    // What makes no sense changes nothing.
    reload(alerts + "[channel.other]\ntype = \"pigeon\"\n", "configuration not read again");
    EXPECT_EQ(severity(), before);
    EXPECT_TRUE(got("/v1/channels")["items"].empty());
    reload(alerts, "configuration read again");
    EXPECT_EQ(severity(), "P4");
    EXPECT_EQ(got("/v1/channels")["items"][0]["name"], "ops");
    EXPECT_EQ(ask("POST", "/v1/channels/ops/test", "{}").status, 503);
    reload("", "configuration read again");
    EXPECT_EQ(severity(), before);
    EXPECT_EQ(ask("POST", "/v1/channels/ops/test", "{}").status, 404);
    // What it listens on cannot change under way, and that is told.
    configure("", "", "at_once = 7\n");
    server->signal(SIGHUP);
    wait_until(*server, [&] {
        return server->error_so_far().find("settings below [server] were changed") != std::string::npos;
    });
}

TEST_F(ServeApi, TheSameRequestTwiceIsDoneOnce) {
    write("a", "content");
    configure("");
    serve();
    const std::vector<std::string> key{"Idempotency-Key: one"};
    const Answer first = ask("POST", "/v1/backups", R"({"source":"home"})", key);
    const Answer again = ask("POST", "/v1/backups", R"({"source":"home"})", key);
    EXPECT_EQ(first.status, 202);
    EXPECT_EQ(again.body, first.body);
    EXPECT_EQ(ask("POST", "/v1/backups", R"({"source":"home","name":"b"})", key).status, 422);
    EXPECT_EQ(got("/v1/operations")["items"].size(), 1U);
}

} // namespace
} // namespace holdfast::test
