// The command line at a server: policies, what they would do, what was forgotten, rules of alerts; and which
// commands a server is asked for at all.
#include "integration/server/command_line_at_server.h"
#include "support/scripted_server.h"

#include <algorithm>
#include <sstream>

#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

using Json = nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string keeping(int last) {
    return fmt::format("[policy.kept]\nsources = [\"home\"]\n[policy.kept.retention]\nlast = {}\n", last);
}

class RulesAtServer : public CommandLineAtServer {
  protected:
    void back_up_there(std::size_t times) {
        for (std::size_t i = 0; i < times; ++i) json_at_server({"backup", "home"});
        wait_until(*server_, [&] { return json_at_server({"snapshots"}).size() == times; });
    }
    // What the server is asked otherwise than by the command line.
    std::string curl(const Words& more) const {
        Words words{"/usr/bin/curl", "--silent",
                    "--cacert",      scratch.file("state/server.crt"),
                    "--header",      "Authorization: Bearer " + token};
        words.insert(words.end(), more.begin(), more.end());
        return run_program(words, {}).out;
    }
    void change_file(const std::string& from, const std::string& to) const {
        const std::string file = scratch.file("holdfast.toml");
        std::string text = content_of(file);
        text.replace(text.find(from), from.size(), to);
        std::ofstream(file) << text;
    }
};

TEST_F(RulesAtServer, ShowsThePoliciesThatAreInForce) {
    serve("[policy.kept]\nsources = [\"home\"]\n[[policy.kept.backup]]\nname = \"nightly\"\n"
          "cron = \"30 2 * * *\"\n[policy.kept.retention]\nlast = 3\n");
    const Json made =
        Json::parse(curl({"--header", "Content-Type: application/json", "--data",
                          R"({"name": "uploads", "sources": ["uploads"], "retention": {"daily": 30}})",
                          address + "/v1/policies"}));
    ASSERT_EQ(made["origin"], "api") << made;
    const Words words{"policy", "--at", "2026-11-20T12:00:00Z", "--runs", "2"};
    const Json here = json(words), there = json_at_server(words);
    ASSERT_EQ(there.size(), 2U) << there;
    ASSERT_EQ(here.size(), 1U);
    EXPECT_EQ(there[0], here[0]);
    EXPECT_EQ(there[0]["next"][0]["runs"].size(), 2U);
    EXPECT_EQ(there[1]["name"], "uploads");
    EXPECT_EQ(there[1]["origin"], "api");
    EXPECT_THAT(at_server(words).out, AllOf(HasSubstr("kept: home\n"), HasSubstr("  home, nightly: "),
                                            HasSubstr("uploads: uploads (made by API)")));
    EXPECT_EQ(run(words).out, at_server(words).out.substr(0, run(words).out.size()));
}

TEST_F(RulesAtServer, PlansAndAppliesTheServersFile) {
    write("a", "content");
    serve(keeping(3));
    back_up_there(3);
    EXPECT_TRUE(json_at_server({"plan"})["policies"].empty());
    EXPECT_THAT(at_server({"plan"}).out, HasSubstr("The policies are those that are in effect."));
    change_file("last = 3", "last = 1");
    Json here = json({"plan"}), there = json_at_server({"plan"});
    ASSERT_EQ(there["sooner"].size(), 2U) << there;
    EXPECT_TRUE(there["sooner"][0]["goes_now"].get<bool>());
    for (Json* plan : {&here, &there})
        for (Json& effect : (*plan)["sooner"]) effect.erase("goes_after"); // now
    EXPECT_EQ(there, here);
    EXPECT_THAT(at_server({"plan"}).out,
                AllOf(HasSubstr("Policy kept: changed"), HasSubstr("goes now"), HasSubstr("Keeps less: ")));
    EXPECT_THAT(failure_at_server({"plan", "--horizon", "21y"}, 2), HasSubstr("21y"));
    EXPECT_THAT(failure_at_server({"plan", "--horizon", "5m"}, 2), HasSubstr("minutes or months"));

    // Nobody is there to ask.
    EXPECT_THAT(failure_at_server({"apply"}, 2), HasSubstr("--yes"));
    EXPECT_FALSE(json_at_server({"plan"})["policies"].empty());
    const Json applied = json_at_server({"apply", "--yes"});
    EXPECT_TRUE(applied["applied"].get<bool>());
    EXPECT_TRUE(applied["served"].get<bool>());
    EXPECT_EQ(applied["sooner"].size(), 2U);
    wait_until(*server_, [&] { return json_at_server({"plan"})["policies"].empty(); });
    EXPECT_TRUE(json({"plan"})["policies"].empty());
    EXPECT_THAT(at_server({"apply"}).out, HasSubstr("Applied; the server takes it up now."));
    EXPECT_THAT(at_server({"policy"}).out, HasSubstr("kept: home"));
    // What cannot be understood is told, and changes nothing.
    change_file("last = 1", "lats = 1");
    EXPECT_THAT(failure_at_server({"plan"}, 2), HasSubstr("policy.kept.retention.lats"));
    EXPECT_THAT(failure_at_server({"apply", "--yes"}, 2), HasSubstr("policy.kept.retention.lats"));
}

TEST_F(RulesAtServer, AppliesWhatKeepsLessWithASecondPerson) {
    write("a", "content");
    serve(keeping(3) + "[server.protection]\n\"retention.shorten\" = \"second-person\"\n");
    back_up_there(2);
    change_file("last = 3", "last = 1");
    const ProgramRun asked = at_server({"apply", "--yes"});
    EXPECT_EQ(asked.exit_code, 3) << asked.error;
    EXPECT_THAT(asked.out, HasSubstr("holdfast approvals approve"));
    EXPECT_FALSE(json_at_server({"plan"})["policies"].empty());
}

TEST_F(RulesAtServer, SimulatesRetention) {
    write("a", "content");
    serve(keeping(2));
    back_up_there(3);
    const Words words{"retention", "simulate", "--at", "2040-01-01T00:00:00Z", "--horizon", "1y"};
    const Json there = json_at_server(words);
    ASSERT_EQ(there.size(), 1U) << there;
    EXPECT_EQ(there[0]["policy"], "kept");
    ASSERT_EQ(there[0]["snapshots"].size(), 3U);
    EXPECT_EQ(there[0]["snapshots"][0]["goes"], "2040-01-01T00:00:00Z");
    EXPECT_EQ(there, json(words));
    EXPECT_EQ(at_server(words).out, run(words).out);
    EXPECT_THAT(at_server({"retention", "simulate", "home"}).out, HasSubstr("goes now"));
    EXPECT_THAT(failure_at_server({"retention", "simulate", "nothing"}, 1), HasSubstr("'nothing'"));
    EXPECT_THAT(failure_at_server({"retention", "simulate", "--at", "soon"}, 2), HasSubstr("'soon'"));
    failure({"retention", "simulate", "nothing"}, 1);
}

TEST_F(RulesAtServer, SimulatesRetentionOfWhatNoPolicyCovers) {
    write("a", "content");
    serve();
    back_up_there(1);
    EXPECT_THAT(failure_at_server({"retention", "simulate"}, 2), HasSubstr("there is no policy"));
    failure({"retention", "simulate"}, 2);
    curl({"--header", "Content-Type: application/json", "--data",
          R"({"name": "uploads", "sources": ["uploads"], "retention": {"daily": 30}})",
          address + "/v1/policies"});
    const Json there = json_at_server({"retention", "simulate"});
    EXPECT_TRUE(there[0]["policy"].is_null());
    EXPECT_EQ(there[0]["snapshots"].size(), 1U);
    EXPECT_EQ(there, json({"retention", "simulate"}));
    EXPECT_EQ(at_server({"retention", "simulate"}).out, "home: no policy; all 1 snapshot stay\n");
}

TEST_F(RulesAtServer, WhatWasForgottenBeforeIsAsForgottenAsHere) {
    write("a", "content");
    serve();
    back_up_there(3);
    const Json listed = json_at_server({"snapshots"});
    const std::string first = listed[2]["id"], second = listed[1]["id"];
    EXPECT_EQ(json_at_server({"forget", first}), (Json{{"forgotten", {first}}}));
    const Json before{{"forgotten", {first}}, {"forgotten_before", {first}}};
    EXPECT_EQ(json_at_server({"forget", first}), before);
    wait_until(*server_, [&] { return json_at_server({"snapshots"}).size() == 2; });
    EXPECT_EQ(json_at_server({"forget", first}), before);
    EXPECT_EQ(json({"forget", first}), before);
    EXPECT_THAT(at_server({"forget", first, second}).out,
                AllOf(HasSubstr(first.substr(0, 8) + " was forgotten before"),
                      HasSubstr("Forgot " + second.substr(0, 8))));
    wait_until(*server_, [&] { return json_at_server({"snapshots"}).size() == 1; });
    // That it is not there says nothing by itself, and no beginning of an id does.
    for (const std::string& name : {std::string(32, '0'), first.substr(0, 8)}) {
        for (const Words& words : {Words{"forget", name}, Words{"tag", name, "a=b"},
                                   Words{"hold", "add", name, "--reason", "none"}}) {
            EXPECT_THAT(failure_at_server(words, 2), HasSubstr("there is no snapshot '" + name)) << words[0];
            EXPECT_THAT(failure(words, 2), HasSubstr("there is no snapshot '" + name)) << words[0];
        }
    }
    const Json told = Json::parse(curl({address + "/v1/forgets/" + first}));
    EXPECT_EQ(told["snapshot"], first);
    EXPECT_TRUE(told["time"].is_string());
    EXPECT_EQ(Json::parse(curl({address + "/v1/forgets/" + std::string(32, '0')}))["status"], 404);
    EXPECT_EQ(Json::parse(curl({address + "/v1/forgets/" + first.substr(0, 8)}))["status"], 400);
}

TEST_F(RulesAtServer, SaysOfListsWhatIsMissingInThem) {
    write("a", "content");
    serve();
    back_up_there(2);
    const std::string damaged = json_at_server({"snapshots"})[1]["id"];
    for (const auto& file : std::filesystem::recursive_directory_iterator(repository() + "/commits"))
        if (file.is_regular_file() && file.path().filename().string().starts_with(damaged))
            std::filesystem::resize_file(file.path(), file.file_size() / 2);
    EXPECT_EQ(json({"snapshots"}, 3).size(), 1U);
    at_server({"backup", "home"}); // so that it looks again
    wait_until(*server_, [&] { return at_server({"snapshots"}).exit_code == 3; });
    EXPECT_EQ(json_at_server({"snapshots"}, 3).size(), 2U);
    for (const Words& words :
         {Words{"snapshots"}, Words{"hold", "list"}, Words{"audit", "export", "--what", "snapshots"}}) {
        const ProgramRun there = at_server(words), here = run(words);
        EXPECT_EQ(there.exit_code, 3) << words.front();
        EXPECT_EQ(here.exit_code, 3) << words.front();
        EXPECT_EQ(there.out, here.out);
        EXPECT_THAT(there.error, HasSubstr("passed over")) << words.front();
    }
}

TEST_F(RulesAtServer, TriesRulesOfAlerts) {
    ScriptedServer receiver(
        [](const std::string&) { return Answer{http_answer("200 OK"), Answer::Then::keep_open}; });
    std::ofstream(scratch.file("secret")) << "key";
    serve(fmt::format("[channel.hook]\ntype = \"webhook\"\nurl = \"{}/\"\nsecret_file = \"{}\"\n"
                      "successes = [\"alert-test\"]\n",
                      receiver.endpoint(), scratch.file("secret")));
    const auto metric = [&](const std::string& name) {
        const std::string text = curl({address + "/metrics"});
        const std::size_t at = text.find(name + "{rule=\"backup_failed\"} ");
        return at == std::string::npos ? "" : text.substr(at, text.find('\n', at) - at);
    };
    const Json quiet = json_at_server({"alerts", "test", "backup_failed", "--no-channels"});
    expect_same_members(json({"alerts", "test", "backup_failed", "--no-channels"}), quiet);
    EXPECT_EQ(metric("holdfast_alert_self_test_passed"), "") << "nothing was proven of channels";
    const std::size_t told = receiver.requests().size();
    EXPECT_THAT(at_server({"alerts", "test", "backup_failed"}).out,
                AllOf(HasSubstr("backup_failed: passed"), HasSubstr("told: hook")));
    EXPECT_GE(receiver.requests().size(), told + 2);
    wait_until(*server_, [&] { return !metric("holdfast_alert_self_test_passed").empty(); });
    EXPECT_THAT(metric("holdfast_alert_self_test_passed"), HasSubstr("} 1"));
    EXPECT_NE(metric("holdfast_alert_self_test_timestamp_seconds"), "");
    // That an operation succeeded is told who asked for that.
    wait_until(*server_, [&] {
        return std::ranges::any_of(receiver.requests(), [](const std::string& request) {
            return request.find("\"alert-test_succeeded\"") != std::string::npos;
        });
    });
    EXPECT_THAT(failure_at_server({"alerts", "test", "nonsense"}, 2), HasSubstr("there is no rule"));
    EXPECT_THAT(failure_at_server({"alerts", "test"}, 2), HasSubstr("no rule is named"));
    EXPECT_THAT(failure_at_server({"alerts", "test", "--all", "--directory", "/tmp"}, 2),
                HasSubstr("--directory"));
    // It tells people of what is not so: not everybody may.
    RunOptions reader = remote;
    reader.environment["HOLDFAST_TOKEN"] =
        first_line(at_server({"tokens", "create", "reader", "--role", "operator"}).out);
    failure(with_certificate({"alerts", "test", "backup_failed"}), 1, reader);
}

// Of each command one of three: it is the server that does it, it is refused, or it is about this machine.
TEST_F(HoldfastUser, KnowsOfEachCommandWhetherAServerIsMeant) {
    const std::string zeros(32, '0');
    const std::vector<Words> there{{"backup", "home"},
                                   {"verify"},
                                   {"restore", "home", "--to", "x"},
                                   {"forget", zeros},
                                   {"prune"},
                                   {"retention", "simulate"},
                                   {"retention", "enforce"},
                                   {"tag", zeros, "a=b"},
                                   {"hold", "add", zeros, "--reason", "r"},
                                   {"hold", "list"},
                                   {"hold", "release", zeros},
                                   {"policy"},
                                   {"plan"},
                                   {"apply"},
                                   {"snapshots"},
                                   {"stats"},
                                   {"window", "home"},
                                   {"status"},
                                   {"audit", "verify"},
                                   {"audit", "export"},
                                   {"alerts", "rules"},
                                   {"alerts", "test", "no_backup"},
                                   {"alerts", "test-channel", "x"},
                                   {"alerts", "list"},
                                   {"checklist", "list"},
                                   {"operations", "list"},
                                   {"tokens", "list"},
                                   {"approvals", "list"}};
    const std::vector<Words> refused{{"ls", "latest"},       {"find", "x"},       {"cat", "latest", "x"},
                                     {"diff", zeros, zeros}, {"repair", "index"}, {"key", "list"},
                                     {"key", "remove", "x"}, {"key", "rotate"}};
    const std::vector<Words> here{{"init"},
                                  {"serve"},
                                  {"wal", "verify", "home"},
                                  {"doctor", "home"},
                                  {"setup", "postgresql", "--connection", "host=" + scratch.file("nowhere")},
                                  {"instances"},
                                  {"key", "identity", scratch.file("identity")},
                                  {"completion", "bash"},
                                  {"version"}};
    RunOptions named = options;
    named.environment["HOLDFAST_SERVER"] = "https://127.0.0.1:1";
    std::set<std::string> known;
    for (const Words& words : there) {
        known.insert(words.front());
        EXPECT_THAT(failure(words, 2, named), HasSubstr("there is no token for")) << words.back();
    }
    for (const Words& words : refused) {
        known.insert(words.front());
        EXPECT_THAT(failure(words, 2, named), HasSubstr("does not work at a server")) << words.front();
    }
    for (const Words& words : here) {
        known.insert(words.front());
        EXPECT_THAT(run(words, named).error,
                    AllOf(Not(HasSubstr("token")), Not(HasSubstr("does not work at a server"))))
            << words.front();
        Words typed = words;
        typed.insert(typed.end(), {"--server", "https://127.0.0.1:1"});
        EXPECT_THAT(failure(typed, 2), HasSubstr("does not work at a server")) << words.front();
    }
    // All of them.
    const std::string help = run({"--help"}).out;
    std::istringstream lines(help.substr(help.find("Subcommands:")));
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line) && line.starts_with("  ")) {
        const std::string name = line.substr(2, line.find(' ', 2) - 2);
        EXPECT_TRUE(name.empty() || known.contains(name)) << name;
    }
}

} // namespace
} // namespace holdfast::test
