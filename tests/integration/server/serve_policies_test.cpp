// Policies by API and by file: kept, protected, planned and applied, with the real server and real snapshots.
#include "integration/server/serve_api.h"

#include <csignal>
#include <set>

#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

using Json = nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

class ServePolicies : public ServeApi {
  protected:
    static std::string keeping(int last, const std::string& more = {}) {
        return fmt::format(
            "[policy.production]\nsources = [\"home\"]\n{}[policy.production.retention]\nlast = {}\n", more,
            last);
    }
    static std::string body(int last, const std::string& name = {}) {
        Json json = {{"sources", {"home"}}, {"retention", {{"last", last}}}};
        if (!name.empty()) json["name"] = name;
        return json.dump();
    }
    static Json keeps(int count) { return {{"last", count}}; }
    std::vector<std::string> back_up_so_often(int count) {
        std::vector<std::string> ids;
        for (int i = 0; i < count; ++i) {
            write("a", "content " + std::to_string(i));
            ids.push_back(json({"backup", "home"})["id"]);
        }
        return ids;
    }
    void stop() {
        server->signal(SIGTERM);
        EXPECT_EQ(server->finish().exit_code, 0);
    }
    void said(const std::string& text) {
        wait_until(*server, [&] { return server->error_so_far().find(text) != std::string::npos; });
    }
    std::size_t left() { return json({"snapshots"}).size(); }
    Answer put(const std::string& body, const std::string& etag) {
        return ask("PUT", "/v1/policies/mine", body, {"If-Match: " + etag});
    }
};

TEST_F(ServePolicies, AreMadeChangedAndDeletedByApi) {
    configure("[policy.declared]\nsources = [\"elsewhere\"]\n");
    write("a", "content");
    serve();
    const Answer made = ask("POST", "/v1/policies", body(3, "mine"));
    ASSERT_EQ(made.status, 201) << made.body;
    EXPECT_EQ(made.location, "/v1/policies/mine");
    EXPECT_EQ(made.body["etag"], made.etag);
    EXPECT_EQ(made.body["origin"], "api");
    EXPECT_EQ(made.body["covers"], Json::array({"home"}));
    EXPECT_EQ(ask("GET", "/v1/policies/mine").etag, made.etag);
    EXPECT_EQ(got("/v1/policies/mine"), made.body);
    EXPECT_EQ(ask("POST", "/v1/policies", body(3, "mine")).status, 409);
    EXPECT_EQ(
        field_at_fault("/v1/policies", R"({"name":"x","sources":["home"],"retention":{"daily":"soon"}})"),
        "retention.daily");
    EXPECT_EQ(field_at_fault("/v1/policies", R"({"name":"a b","sources":["home"]})"), "name");
    EXPECT_EQ(field_at_fault("/v1/policies", R"({"sources":["home"]})"), "name");
    // Which of two a source has must be clear.
    const Answer unclear = ask("POST", "/v1/policies", body(3, "another"));
    EXPECT_EQ(unclear.status, 409);
    EXPECT_THAT(unclear.body["detail"].get<std::string>(), HasSubstr("both cover the source 'home'"));
    // Nobody changes what he has not seen.
    EXPECT_EQ(ask("PUT", "/v1/policies/mine", body(4)).status, 428);
    EXPECT_EQ(put(body(4), "\"other\"").status, 412);
    const Answer changed = put(body(4), made.etag);
    ASSERT_EQ(changed.status, 200) << changed.body;
    EXPECT_NE(changed.etag, made.etag);
    EXPECT_EQ(put(body(5), made.etag).status, 412);
    EXPECT_EQ(ask("PUT", "/v1/policies/other", body(4), {"If-Match: *"}).status, 404);
    // What the file declares it alone changes.
    for (const char* method : {"PUT", "DELETE"}) {
        const std::string said = method == std::string("PUT") ? body(4) : "";
        const Answer refused = ask(method, "/v1/policies/declared", said, {"If-Match: *"});
        EXPECT_EQ(refused.status, 409);
        EXPECT_EQ(refused.body["type"], "urn:holdfast:problem:declared-in-file");
    }
    EXPECT_EQ(ask("POST", "/v1/policies", body(4, "declared")).status, 409);
    const Json page = got("/v1/policies?limit=1");
    EXPECT_EQ(page["items"][0]["name"], "declared");
    EXPECT_EQ(page["items"][0]["origin"], "file");
    EXPECT_EQ(got("/v1/policies?cursor=" + page["next"].get<std::string>())["items"][0]["name"], "mine");

    EXPECT_EQ(got("/v1/configuration?source=home")["sources"][0]["retention"], keeps(4));
    EXPECT_EQ(ask("DELETE", "/v1/policies/mine").status, 428);
    EXPECT_EQ(ask("DELETE", "/v1/policies/mine", "", {"If-Match: " + changed.etag}).status, 204);
    EXPECT_EQ(ask("GET", "/v1/policies/mine").status, 404);
    std::vector<std::string> actions;
    const Json trail = got("/v1/audit")["items"];
    for (const Json& entry : trail)
        if (entry["action"].get<std::string>().starts_with("policy.")) actions.push_back(entry["action"]);
    const auto shortened =
        std::ranges::find(trail, "policy.change", [](const Json& one) { return one["action"]; });
    ASSERT_NE(shortened, trail.end());
    EXPECT_EQ((*shortened)["details"]["before"]["retention"], keeps(3));
    EXPECT_EQ((*shortened)["details"]["after"]["retention"], keeps(4));
    EXPECT_THAT(actions, testing::UnorderedElementsAre("policy.create", "policy.change", "policy.delete"));
    const Json viewer = ask("POST", "/v1/tokens", R"({"name":"v","roles":["viewer"]})").body;
    token = viewer["token"];
    EXPECT_EQ(ask("GET", "/v1/policies").status, 200);
    EXPECT_EQ(ask("POST", "/v1/policies", body(3, "mine")).status, 403);
}

// What somebody asked for is done by the policies that he made, and they outlive the catalog.
TEST_F(ServePolicies, OutliveTheCatalogAndEnforceWithoutLosingWhatIsHeld) {
    const std::vector<std::string> ids = [&] {
        configure("");
        return back_up_so_often(4);
    }();
    json({"hold", "add", ids[0], "--reason", "case 4711", "--owner", "legal"});
    serve();
    ASSERT_EQ(ask("POST", "/v1/policies", body(2, "mine")).status, 201);
    stop();
    for (const char* file : {"catalog.db", "catalog.db-wal", "catalog.db-shm"})
        std::filesystem::remove(scratch.file("state/" + std::string(file)));
    serve();
    wait_until(*server, [&] { return ask("GET", "/v1/policies/mine").status == 200; });
    EXPECT_EQ(got("/v1/policies/mine")["policy"]["retention"], keeps(2));
    done("/v1/retention/runs", "{}");
    EXPECT_EQ(left(), 3U);
    EXPECT_EQ(json({"snapshots"}).back()["id"], ids[0]);
    // The command line goes by it, too, without a server and without a policy of its own.
    stop();
    back_up_so_often(1);
    EXPECT_EQ(json({"retention", "enforce"})["forgotten"], 1);
    EXPECT_EQ(json({"retention", "simulate"})[0]["policy"], "mine");
    EXPECT_EQ(json({"status"})["sources"][0]["policy"], "mine");
}

TEST_F(ServePolicies, AStatementThatIsWithheldStopsRetention) {
    configure("");
    back_up_so_often(3);
    serve();
    ASSERT_EQ(ask("POST", "/v1/policies", body(100, "mine")).status, 201);
    const Answer seen = ask("GET", "/v1/policies/mine");
    ASSERT_EQ(put(body(99), seen.etag).status, 200);
    stop();
    // The newest statement of its slot: nothing behind it tells of it.
    std::set<std::filesystem::path> statements;
    for (const auto& entry : std::filesystem::directory_iterator(repository() + "/statements"))
        statements.insert(entry.path());
    const std::string last = *statements.rbegin();
    const std::string content = content_of(last);
    std::filesystem::remove(last);
    serve();
    wait_until(*server, [&] { return !got("/v1/configuration")["retention"]["waits"].is_null(); });
    EXPECT_EQ(ask("POST", "/v1/retention/runs", "{}").status, 409);
    EXPECT_EQ(got("/v1/policies/mine")["policy"]["retention"], keeps(99));
    EXPECT_EQ(put(body(98), got("/v1/policies/mine")["etag"]).status, 409);
    std::ofstream(last) << content;
    stop();
    serve();
    wait_until(*server, [&] { return got("/v1/configuration")["retention"]["waits"].is_null(); });
    done("/v1/retention/runs", "{}");
    EXPECT_EQ(left(), 3U);
}

TEST_F(ServePolicies, SchedulesTellWhatComesAndHowTheLastRunEnded) {
    write("a", "content");
    configure(nightly("home") + "[[policy.production.verify]]\nname = \"weekly\"\ncron = \"0 5 * * 0\"\n");
    std::ofstream(scratch.file("holdfast.toml"), std::ios::app)
        << "[policy.other]\nsources = [\"none\"]\nmaintenance = [\"sun 02:00-03:00\"]\n";
    serve();
    const auto of = [&](const std::string& kind) {
        const Json items = got("/v1/schedules?source=home&runs=2")["items"];
        for (const Json& one : items)
            if (one["kind"] == kind) return one;
        return Json();
    };
    wait_until(*server, [&] {
        const Json last = of("backup")["last"];
        return !last.is_null() && last["state"] == "succeeded";
    });
    const Json backup = of("backup");
    EXPECT_EQ(backup["plan"], "production/nightly");
    EXPECT_EQ(backup["policy"], "production");
    EXPECT_EQ(backup["rhythm"], (Json{{"cron", "0 2 * * *"}}));
    ASSERT_EQ(backup["next"].size(), 2U);
    EXPECT_THAT(backup["next"][0]["begin"].get<std::string>(), HasSubstr("T02:00:00Z"));
    EXPECT_LT(backup["next"][0]["nominal"], backup["next"][1]["nominal"]);
    EXPECT_EQ(got("/v1/operations/" + backup["last"]["operation"].get<std::string>())["kind"], "backup");
    EXPECT_EQ(of("verify")["rhythm"], (Json{{"cron", "0 5 * * 0"}}));
    EXPECT_EQ(got("/v1/schedules?source=none")["items"].size(), 0U);
    EXPECT_EQ(got("/v1/schedules?limit=1")["items"].size(), 1U);
    // By API, with a window that backups fall into.
    const Json configuration = got("/v1/configuration")["sources"][0];
    EXPECT_EQ(configuration["encrypted"], true);
    EXPECT_EQ(configuration["origin"], "file");
    EXPECT_EQ(configuration["backups"][0]["cron"], "0 2 * * *");
}

TEST_F(ServePolicies, BackUpByThemAndTellOfMaintenance) {
    write("a", "content");
    configure("");
    serve();
    ASSERT_EQ(ask("POST", "/v1/policies",
                  R"({"name":"mine","sources":["home"],"maintenance":["sun 02:00-03:00"],
                      "backup":{"name":"nightly","cron":"30 2 * * *"}})")
                  .status,
              201);
    wait_until(*server, [&] { return left() == 1; });
    const Json schedule = got("/v1/schedules?source=home")["items"][0];
    EXPECT_EQ(schedule["maintenance_overlaps"][0]["window"], "sun 02:00-03:00");
    EXPECT_EQ(schedule["policy"], "mine");
    EXPECT_EQ(got("/v1/configuration")["sources"][0]["maintenance_windows"],
              Json::array({"sun 02:00-03:00"}));
}

TEST_F(ServePolicies, AReloadThatLetsGoIsRefusedUntilItIsApplied) {
    configure(keeping(5));
    back_up_so_often(4);
    serve();
    // What keeps more is taken up as ever.
    configure(keeping(6));
    server->signal(SIGHUP);
    said("configuration read again");
    EXPECT_EQ(got("/v1/policies/production")["policy"]["retention"], keeps(6));
    configure(keeping(2));
    server->signal(SIGHUP);
    said("last: 2, and 6 before");
    EXPECT_THAT(server->error_so_far(), HasSubstr("holdfast apply"));
    EXPECT_EQ(got("/v1/policies/production")["policy"]["retention"], keeps(6));
    done("/v1/retention/runs", "{}");
    EXPECT_EQ(left(), 4U);

    const Json plan = json({"plan"});
    EXPECT_EQ(plan["policies"], Json::array({{{"name", "production"}, {"change", "changed"}}}));
    EXPECT_EQ(std::ranges::count_if(plan["sooner"], [](const Json& one) { return one["goes_now"] == true; }),
              2);
    EXPECT_EQ(plan["keeps_less"].size(), 2U) << plan;
    EXPECT_THAT(run({"plan"}).out, HasSubstr("goes now"));
    // Nobody is asked where there is no terminal.
    EXPECT_EQ(run({"apply"}).exit_code, 2);
    EXPECT_EQ(got("/v1/policies/production")["policy"]["retention"], keeps(6));
    const Json applied = json({"apply", "--yes"});
    EXPECT_EQ(applied["served"], true);
    wait_until(*server, [&] { return got("/v1/policies/production")["policy"]["retention"] == keeps(2); });
    done("/v1/retention/runs", "{}");
    EXPECT_EQ(left(), 2U);
    EXPECT_TRUE(json({"plan"})["policies"].empty());
}

TEST_F(ServePolicies, AStartWithWhatWasNotAppliedForgetsNothing) {
    configure(keeping(5));
    back_up_so_often(4);
    serve();
    // What is asked for before is not done by what comes later either.
    stop();
    configure(keeping(1));
    beside().operations.add({.kind = "retention", .requested_by = "anna"});
    serve();
    wait_until_all_over(*server, 1);
    EXPECT_EQ(operations(*server).front().state, OperationState::failed);
    wait_until(*server, [&] {
        const Json waits = got("/v1/configuration")["retention"]["waits"];
        return waits.is_string() &&
               waits.get<std::string>().find("last: 1, and 5 before") != std::string::npos;
    });
    const Answer refused = ask("POST", "/v1/retention/runs", "{}");
    EXPECT_EQ(refused.status, 409) << refused.body;
    EXPECT_THAT(refused.body["hint"].get<std::string>(), HasSubstr("holdfast apply"));
    done("/v1/retention/runs", R"({"dry_run":true})");
    EXPECT_EQ(left(), 4U);
    // Somebody should hear of it.
    wait_until(*server, [&] {
        return !got("/v1/alerts?rule=retention_blocked&state=firing,pending")["items"].empty();
    });
    json({"apply", "--yes"});
    wait_until(*server, [&] { return got("/v1/configuration")["retention"]["waits"].is_null(); });
    done("/v1/retention/runs", "{}");
    EXPECT_EQ(left(), 1U);
    // And one that keeps more is in effect at once.
    stop();
    configure(keeping(7));
    serve();
    wait_until(*server, [&] { return got("/v1/configuration")["retention"]["waits"].is_null(); });
    EXPECT_TRUE(json({"plan"})["policies"].empty());
}

TEST_F(ServePolicies, KeepingLessTakesASecondPersonWhereThatIsProtected) {
    configure("[server.protection]\n\"retention.shorten\" = \"second-person\"\n");
    back_up_so_often(3);
    serve();
    const std::string anna = token;
    const std::string berta =
        ask("POST", "/v1/tokens", R"({"name":"berta","roles":["administrator"]})").body["token"];
    // A first policy: all stayed before.
    const Answer asked = ask("POST", "/v1/policies", body(3, "mine"));
    ASSERT_EQ(asked.status, 202) << asked.body;
    EXPECT_EQ(asked.body["action"], "retention.shorten");
    EXPECT_EQ(ask("GET", "/v1/policies/mine").status, 404);
    EXPECT_EQ(ask("POST", asked.location + "/approve", "{}").status, 403);
    token = berta;
    const Answer approved = ask("POST", asked.location + "/approve", "{}");
    EXPECT_EQ(approved.body["answer"]["status"], 201) << approved.body;
    token = anna;
    const Answer seen = ask("GET", "/v1/policies/mine");
    ASSERT_EQ(seen.status, 200);
    // To keep more takes nobody, to keep less does, and of what the requester has seen alone.
    const Answer more = put(body(4), seen.etag);
    ASSERT_EQ(more.status, 200) << more.body;
    EXPECT_EQ(put(body(1), seen.etag).status, 412);
    const Answer less = put(body(2), more.etag), another = put(body(1), more.etag);
    ASSERT_EQ(less.status, 202);
    ASSERT_EQ(another.status, 202);
    token = berta;
    EXPECT_EQ(ask("POST", less.location + "/approve", "{}").body["answer"]["status"], 200);
    EXPECT_EQ(ask("POST", another.location + "/approve", "{}").body["answer"]["status"], 412);
    EXPECT_EQ(got("/v1/policies/mine")["policy"]["retention"], keeps(2));
    // What was done is not done again, and is said to be done.
    token = anna;
    const std::string policy = got("/v1/policies/mine")["etag"];
    EXPECT_EQ(carried_out_again(less.body["approval"])["status"], 200);
    EXPECT_EQ(got("/v1/policies/mine")["etag"], policy);
}

TEST_F(ServePolicies, AnApprovalIsOfWhatWasLostWhenItWasAskedFor) {
    configure("[server.protection]\n\"retention.shorten\" = \"second-person\"\n");
    back_up_so_often(3);
    serve();
    const std::string anna = token;
    const std::string berta =
        ask("POST", "/v1/tokens", R"({"name":"berta","roles":["administrator"]})").body["token"];
    const auto approved = [&](const Answer& asked) {
        EXPECT_EQ(asked.status, 202) << asked.body;
        token = berta;
        const Answer answer = ask("POST", asked.location + "/approve", "{}");
        token = anna;
        EXPECT_EQ(answer.status, 200) << answer.body;
        return answer.body["answer"];
    };
    EXPECT_EQ(approved(ask("POST", "/v1/policies", body(3, "mine")))["status"], 201);
    const Answer gone =
        ask("DELETE", "/v1/policies/mine", {}, {"If-Match: " + ask("GET", "/v1/policies/mine").etag});
    EXPECT_EQ(gone.status, 204) << "all stays without it: " << gone.body;
    EXPECT_EQ(approved(ask("POST", "/v1/policies", body(3, "mine")))["status"], 201);
    const Answer less = put(body(1), ask("GET", "/v1/policies/mine").etag);
    // What is not less needs nobody, and what was asked for is not the same any more.
    const std::string other = R"({"name":"other","sources":["elsewhere"],"retention":{"last":9}})";
    EXPECT_EQ(ask("POST", "/v1/policies", other).status, 201);
    const Json refused = approved(less);
    EXPECT_EQ(refused["status"], 409);
    EXPECT_THAT(refused["body"]["detail"].get<std::string>(), HasSubstr("changed since it was asked for"));
    EXPECT_EQ(got("/v1/policies/mine")["policy"]["retention"], keeps(3));
}

TEST_F(ServePolicies, TheFileIsAppliedThroughTheServer) {
    const std::string protection = "[server.protection]\n\"retention.shorten\" = \"second-person\"\n";
    configure(keeping(5) + protection);
    back_up_so_often(3);
    serve();
    const std::string anna = token;
    const std::string berta =
        ask("POST", "/v1/tokens", R"({"name":"berta","roles":["administrator"]})").body["token"];
    const auto in_effect = [&] { return got("/v1/configuration")["sources"][0]["retention"]; };
    const auto apply = [&] {
        const std::string seen = ask("GET", "/v1/configuration/changes").etag;
        return ask("POST", "/v1/configuration/apply", "{}", {"If-Match: " + seen});
    };
    configure(keeping(7) + protection);
    EXPECT_EQ(ask("POST", "/v1/configuration/apply", "{}").status, 428);
    EXPECT_EQ(apply().status, 200);
    wait_until(*server, [&] { return in_effect() == keeps(7); });
    configure(keeping(2) + protection);
    EXPECT_EQ(got("/v1/configuration/changes")["keeps_less"].size(), 2U);
    const Answer asked = apply();
    ASSERT_EQ(asked.status, 202) << asked.body;
    token = berta;
    EXPECT_EQ(ask("POST", asked.location + "/approve", "{}").body["answer"]["status"], 200);
    wait_until(*server, [&] { return in_effect() == keeps(2); });
    EXPECT_EQ(got("/v1/configuration/changes")["policies"].size(), 0U);
    // Who shortened it, from what to what; and that it took effect.
    token = anna;
    std::vector<Json> said;
    const Json trail = got("/v1/audit")["items"];
    for (const Json& entry : trail)
        if (entry["object"] == "holdfast.toml")
            said.push_back({entry["actor"], entry["action"],
                            entry["details"]["policies"][0]["before"]["retention"],
                            entry["details"]["policies"][0]["after"]["retention"]});
    EXPECT_THAT(said, testing::UnorderedElementsAre(
                          Json{"first-administrator", "configuration.apply", keeps(5), keeps(7)},
                          Json{"server", "configuration.in_effect", keeps(5), keeps(7)},
                          Json{"first-administrator", "configuration.apply", keeps(7), keeps(2)},
                          Json{"server", "configuration.in_effect", keeps(7), keeps(2)}));
}

} // namespace
} // namespace holdfast::test
