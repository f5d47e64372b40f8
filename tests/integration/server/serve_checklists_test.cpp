// Checklists of a real server: what ticks itself, what people tick, and what is remembered.
#include "integration/server/serve_api.h"

#include <csignal>
#include <fstream>

#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

class ServeChecklists : public ServeApi {
  protected:
    Json item(const std::string& list, const std::string& name) {
        const Json lists = got("/v1/checklists")["items"];
        for (const Json& each : lists) {
            if (each["name"] != list) continue;
            for (const Json& one : each["items"])
                if (one["name"] == name) return one;
        }
        return {};
    }
    void wait_until_done(const std::string& list, const std::string& name) {
        wait_until(*server, [&] { return item(list, name)["state"] == "done"; });
    }
    // What the trail says of ticks.
    std::vector<Json> entries() {
        std::vector<Json> found;
        const Json trail = got("/v1/audit")["items"];
        for (const Json& entry : trail)
            if (entry["action"] == "checklist.tick") found.push_back(entry);
        return found;
    }
    ProgramRun at_server(std::vector<std::string> words) {
        RunOptions remote;
        remote.environment = {
            {"HOME", scratch.file("elsewhere")}, {"HOLDFAST_SERVER", address}, {"HOLDFAST_TOKEN", token}};
        words.insert(words.end(), {"--server-ca", scratch.file("state/server.crt")});
        return run(words, remote);
    }
};

TEST_F(ServeChecklists, TickThemselvesByWhatIsSeen) {
    write("a", "content");
    configure("[policy.production]\nsources = [\"home\"]\n[policy.production.retention]\ndaily = 30\n");
    serve();
    // It is not ticked before, and says why.
    wait_until(*server, [&] { return item("daily", "backups")["seen"].is_string(); });
    const Json before = item("daily", "backups");
    EXPECT_EQ(before["state"], "due");
    EXPECT_EQ(before["check"], "backups");
    EXPECT_THAT(before["seen"].get<std::string>(), HasSubstr("0 of 1 sources; home: no good backup since"));
    done("/v1/backups", R"({"source":"home"})");
    wait_until_done("daily", "backups");
    const Json after = item("daily", "backups");
    EXPECT_THAT(after["note"].get<std::string>(), HasSubstr("1 of 1 sources; the oldest backup is from 20"));
    EXPECT_TRUE(after["by"].is_null());
    EXPECT_TRUE(after["seen"].is_null());
    // What only people can tell waits for them, and so does what was not done.
    EXPECT_EQ(item("quarterly", "contacts")["state"], "due");
    EXPECT_EQ(item("weekly", "retention")["state"], "due");
    done("/v1/verifications", R"({"source":"home"})");
    done("/v1/retention/runs", "{}");
    wait_until_done("monthly", "verification");
    wait_until_done("weekly", "retention");
    // The head of the trail is in the repository once there is something in the trail.
    server->signal(SIGTERM);
    EXPECT_EQ(server->finish().exit_code, 0);
    const std::string good = token;
    serve();
    token = good;
    wait_until_done("weekly", "audit");
    EXPECT_THAT(item("weekly", "audit")["note"].get<std::string>(), HasSubstr("heads, looked at"));
    // The tick is of the start before, and the trail has those of people alone.
    EXPECT_EQ(item("daily", "backups"), after);
    EXPECT_TRUE(entries().empty());
    EXPECT_EQ(got("/v1/checklists/daily")["periods"].size(), 1U);
}

TEST_F(ServeChecklists, PeopleTickOnce) {
    configure("");
    serve();
    const std::string administrator = token;
    const auto issued = [&](const std::string& name, const std::string& role) {
        token = administrator;
        const Answer made =
            ask("POST", "/v1/tokens", fmt::format(R"({{"name":"{}","roles":["{}"]}})", name, role));
        EXPECT_EQ(made.status, 201) << made.body;
        return made.body["token"].get<std::string>();
    };
    const std::string anna = issued("anna", "operator"), viewer = issued("viewer", "viewer");
    const std::string path = "/v1/checklists/quarterly/items/contacts/tick";
    token = viewer;
    EXPECT_EQ(ask("POST", path, "{}").status, 403);
    EXPECT_EQ(item("quarterly", "contacts")["state"], "due");
    token = anna;
    const Answer first = ask("POST", path, R"({"note":"called all of them"})");
    ASSERT_EQ(first.status, 200) << first.body;
    EXPECT_EQ(first.body["by"], "anna");
    EXPECT_TRUE(first.body["ticked_now"].get<bool>());
    token = administrator;
    const Answer second = ask("POST", path, R"({"note":"me too"})");
    ASSERT_EQ(second.status, 200) << second.body;
    EXPECT_FALSE(second.body["ticked_now"].get<bool>());
    EXPECT_EQ(second.body["note"], "called all of them");
    EXPECT_EQ(second.body["at"], first.body["at"]);
    const auto trail = entries();
    ASSERT_EQ(trail.size(), 1U);
    EXPECT_EQ(trail[0]["actor"], "anna");
    EXPECT_EQ(trail[0]["object"], "quarterly/contacts");
    EXPECT_EQ(trail[0]["details"]["note"], "called all of them");
    EXPECT_EQ(got("/v1/checklists/quarterly?periods=60")["periods"][0]["items"][2]["by"], "anna");

    EXPECT_EQ(ask("POST", "/v1/checklists/quarterly/items/nothing/tick", "{}").status, 404);
    EXPECT_EQ(ask("POST", "/v1/checklists/yearly/items/contacts/tick", "{}").status, 404);
    EXPECT_EQ(ask("GET", "/v1/checklists/yearly").status, 404);
    EXPECT_EQ(ask("GET", "/v1/checklists/daily?periods=61").status, 400);
    EXPECT_EQ(field_at_fault(path, R"({"remark":"x"})"), "remark");

    // And with the command line.
    const ProgramRun ticked = at_server({"checklist", "tick", "monthly", "objectives", "--note", "5 min"});
    EXPECT_EQ(ticked.exit_code, 0) << ticked.error;
    EXPECT_THAT(ticked.out, HasSubstr("objectives of monthly is ticked until"));
    EXPECT_THAT(at_server({"checklist", "tick", "monthly", "objectives"}).out, HasSubstr("it was before: "));
    EXPECT_EQ(item("monthly", "objectives")["note"], "5 min");
    const ProgramRun listed = at_server({"checklist", "list"});
    EXPECT_THAT(listed.out, HasSubstr("due     deletions       What was deleted was meant to be\n"));
    EXPECT_THAT(listed.out, HasSubstr("done    objectives"));
    EXPECT_THAT(at_server({"checklist", "show", "monthly"}).out, HasSubstr("each month, UTC"));
    EXPECT_EQ(at_server({"checklist", "tick", "monthly", "nothing"}).exit_code, 1);
    EXPECT_THAT(at_server({"status"}).out, HasSubstr("Checklists: "));
}

TEST_F(ServeChecklists, AreReadAgainWithTheFile) {
    const std::string reviews = "[checklist.weekly]\noff = true\n[checklist.reviews]\nevery = \"month\"\n"
                                "[[checklist.reviews.item]]\nname = \"rpo\"\ntext = \"Still right\"\n";
    configure("");
    serve();
    EXPECT_EQ(ask("GET", "/v1/checklists/weekly").status, 200);
    EXPECT_EQ(ask("GET", "/v1/checklists/reviews").status, 404);
    configure(reviews);
    server->signal(SIGHUP);
    wait_until(*server, [&] { return ask("GET", "/v1/checklists/reviews").status == 200; });
    EXPECT_EQ(ask("GET", "/v1/checklists/weekly").status, 404);
    EXPECT_EQ(ask("POST", "/v1/checklists/reviews/items/rpo/tick").status, 200);
    // A mistake changes nothing.
    configure(reviews + "chek = \"log\"\n");
    server->signal(SIGHUP);
    wait_until(*server, [&] {
        return server->error_so_far().find("checklist.reviews.item[0].chek") != std::string::npos;
    });
    EXPECT_EQ(item("reviews", "rpo")["state"], "done");
    // A month ago it was known and nobody looked: missed, and told as such.
    const Timestamp long_ago = system_clock().now() - std::chrono::days(70);
    beside().catalog.with([&](Database& database) {
        database.query("UPDATE checklist_items SET since = $1", {sql(long_ago)});
        return database.query("DELETE FROM checklist_ticks WHERE list = 'reviews'");
    });
    EXPECT_EQ(item("reviews", "rpo")["last"]["state"], "missed");
    const Json periods = got("/v1/checklists/reviews")["periods"];
    ASSERT_GE(periods.size(), 3U);
    EXPECT_EQ(periods[1]["items"][0]["state"], "missed");
    EXPECT_TRUE(periods.back()["items"].empty()) << "of the first, which was not whole, nothing is missed";
    EXPECT_THAT(at_server({"checklist", "list"}).out, HasSubstr("missed in the last period"));
}

} // namespace
} // namespace holdfast::test
