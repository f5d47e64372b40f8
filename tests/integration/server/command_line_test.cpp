// The command line at a server: the same words, output, JSON and exit codes as beside the repository.
#include "integration/server/command_line_at_server.h"

#include <csignal>

#include <gmock/gmock.h>
#include <sys/stat.h>

namespace holdfast::test {
namespace {

using Json = nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST_F(CommandLineAtServer, DoesThereWhatItDoesHere) {
    write("a", "content");
    write("d/b", "more");
    serve();
    const Json there = json_at_server({"backup", "home", "--tag", "why=test", "--name", "first"});
    const Json here = json({"backup", "home", "--tag", "operation=none"});
    expect_same_members(here, there);
    EXPECT_EQ(there["tags"]["why"], "test");
    // What people read differs in numbers alone.
    EXPECT_THAT(at_server({"backup", "home"}).out,
                AllOf(HasSubstr("Snapshot "), HasSubstr(" of 'home'"), HasSubstr("2 files in"),
                      HasSubstr("added to the repository"), HasSubstr("took ")));

    expect_same_members(json({"verify"}), json_at_server({"verify"}));
    const Json sampled = json_at_server({"verify", "--source", "home", "--read-data"});
    EXPECT_EQ(sampled["content"], "decrypted");
    EXPECT_EQ(sampled["snapshots"].size(), 3U);
    EXPECT_THAT(at_server({"verify"}).out, HasSubstr("Intact\n"));

    wait_until(*server_, [&] { return json_at_server({"snapshots"}).size() == 3; });
    const Json listed = json_at_server({"snapshots"});
    expect_same_members(json({"snapshots"}), listed);
    EXPECT_EQ(json_at_server({"snapshots", "--newest", "1"})[0], listed[0]);
    EXPECT_EQ(json_at_server({"snapshots", "--source", "nothing"}).size(), 0U);
    EXPECT_EQ(json({"snapshots"})[2]["id"], there["id"]);
    EXPECT_EQ(run({"snapshots", "--server", "here"}).out, at_server({"snapshots"}).out);

    const Json restored = json_at_server({"restore", "home", "--to", "back"});
    EXPECT_EQ(restored["files"], 2);
    EXPECT_EQ(restored["directory"], scratch.file("restored/back"));
    const std::string id = there["id"].get<std::string>();
    EXPECT_THAT(at_server({"restore", id.substr(0, 8), "--to", "again"}).out,
                AllOf(HasSubstr("Restored snapshot " + id.substr(0, 8)), HasSubstr("2 files")));
    EXPECT_TRUE(std::filesystem::exists(scratch.file("restored/again") + place("a")));

    expect_same_members(json({"prune", "--dry-run"}), json_at_server({"prune"}));
    EXPECT_THAT(at_server({"status"}).out, AllOf(HasSubstr("home (documents)"), HasSubstr("3 snapshots")));
    expect_same_members(json({"status"})["sources"], json_at_server({"status"})["sources"]);
}

TEST_F(CommandLineAtServer, HoldsTagsAndForgets) {
    write("a", "content");
    serve();
    const std::string first = json_at_server({"backup", "home"})["id"],
                      second = json_at_server({"backup", "home"})["id"];
    EXPECT_EQ(json_at_server({"snapshots"}).size(), 2U);
    const Json held =
        json_at_server({"hold", "add", first.substr(0, 8), "--reason", "case 7", "--owner", "legal"});
    EXPECT_EQ(held["snapshot"], first);
    EXPECT_EQ(json_at_server({"hold", "list"}), json({"hold", "list"}));
    EXPECT_EQ(at_server({"hold", "list"}).out, run({"hold", "list"}).out);
    EXPECT_THAT(failure_at_server({"forget", first}, 1), HasSubstr("case 7"));
    json_at_server({"hold", "add", first, "--reason", "case 8", "--owner", "anna"});
    EXPECT_THAT(failure_at_server({"hold", "release", first}, 2), HasSubstr("is held by 2 owners"));
    EXPECT_EQ(json({"hold", "list"}).size(), 2U);
    at_server({"hold", "release", first, "--owner", "anna"});
    EXPECT_THAT(at_server({"hold", "release", first, "--owner", "legal"}).out,
                HasSubstr("no longer held: case 7"));
    EXPECT_THAT(failure_at_server({"hold", "release", first}, 1), HasSubstr("has no such hold"));
    EXPECT_THAT(at_server({"hold", "add", first, "--reason", "again"}).out, HasSubstr("is held: again"));
    EXPECT_EQ(json_at_server({"hold", "release", first})["released"].size(), 1U);

    const Json tagged = json_at_server({"tag", second, "ticket=17", "--remove", "operation"});
    EXPECT_EQ(tagged, (Json{{"snapshot", second}, {"set", {{"ticket", "17"}}}, {"removed", {"operation"}}}));
    EXPECT_EQ(json({"snapshots"})[0]["tags"]["ticket"], "17");
    EXPECT_EQ(json_at_server({"snapshots"})[0]["tags"]["ticket"], "17");

    EXPECT_EQ(json_at_server({"forget", first}), (Json{{"forgotten", {first}}}));
    EXPECT_EQ(json({"snapshots"}).size(), 1U);
    failure_at_server({"forget", second}, 1);
    EXPECT_THAT(at_server({"forget", second, "--even-the-last"}).out,
                AllOf(HasSubstr("Forgot " + second.substr(0, 8)), HasSubstr("prune")));
    EXPECT_EQ(json({"snapshots"}).size(), 0U);
}

TEST_F(CommandLineAtServer, TellsOfTheRepository) {
    write("a", "content");
    serve();
    json_at_server({"backup", "home"});
    const Json there = json_at_server({"stats"});
    EXPECT_EQ(there["snapshots"], 1);
    EXPECT_THAT(at_server({"stats"}).out, AllOf(HasSubstr("1 snapshot of 7 B"), HasSubstr("NEWEST SIZE")));
    EXPECT_THAT(failure_at_server({"stats", "--detail"}, 2), HasSubstr("--detail"));
    // Of documents there is no log.
    EXPECT_THAT(failure_at_server({"window", "home"}, 1), HasSubstr("home"));
}

TEST_F(CommandLineAtServer, EndsWithTheExitCodeOfTheWork) {
    write("a", "content");
    serve();
    EXPECT_THAT(failure_at_server({"backup", "nothing"}, 2), HasSubstr("there is no source 'nothing'"));
    EXPECT_THAT(failure_at_server({"backup", "home", "other"}, 2), HasSubstr("one source at a time"));
    EXPECT_THAT(failure_at_server({"backup", "home", "--exclude", "x"}, 2), HasSubstr("--exclude"));
    EXPECT_THAT(failure_at_server({"restore", "home", "--to", "a/b"}, 2), HasSubstr("below its own"));
    // A source of which there is nothing: the operation fails, and its error is the command's.
    EXPECT_THAT(failure_at_server({"restore", "home", "--to", "back"}, 2),
                HasSubstr("no snapshots of source 'home'"));
    json_at_server({"backup", "home"});
    json_at_server({"restore", "home", "--to", "back"});
    const std::string again = failure_at_server({"restore", "home", "--to", "back"}, 2);
    EXPECT_THAT(again, HasSubstr("restored/back"));
    // Damage is told as here.
    for (const auto& file : std::filesystem::recursive_directory_iterator(repository() + "/packs"))
        if (file.is_regular_file()) std::filesystem::resize_file(file.path(), file.file_size() - 1);
    EXPECT_THAT(at_server({"verify"}).out, HasSubstr("DAMAGED"));
    EXPECT_EQ(at_server({"verify"}).exit_code, 1);
    EXPECT_FALSE(json_at_server({"verify"}, 1)["intact"].get<bool>());
}

TEST_F(CommandLineAtServer, LeavesAndComesBack) {
    write("a", "content");
    serve();
    const ProgramRun detached = at_server({"backup", "home", "--detach"});
    EXPECT_EQ(detached.exit_code, 0);
    const std::string id = first_line(detached.out);
    EXPECT_EQ(detached.out, id + "\n");
    const Json result = json_at_server({"operations", "follow", id});
    EXPECT_EQ(result["source"], "home");
    const Json shown = json_at_server({"operations", "show", id});
    EXPECT_EQ(shown["state"], "succeeded");
    EXPECT_EQ(shown["result"], result);
    EXPECT_THAT(at_server({"operations", "show", id}).out, HasSubstr("backup of home: succeeded"));
    EXPECT_THAT(at_server({"operations", "list"}).out, AllOf(HasSubstr(id), HasSubstr("100%")));
    EXPECT_EQ(at_server({"operations", "log", id}).exit_code, 0);
    EXPECT_EQ(json_at_server({"operations", "list", "--state", "failed"}).size(), 0U);
    failure_at_server({"operations", "cancel", id}, 1);
    EXPECT_THAT(failure_at_server({"operations", "show", "0123"}, 1), HasSubstr("0123"));
}

TEST_F(CommandLineAtServer, StopsFollowingAndNotTheWork) {
    write_random("large", 6 << 20, 1);
    serve("", "limit_upload = \"1M\"\n");
    RunningProgram following(with_certificate({HOLDFAST_PROGRAM, "backup", "home"}), remote);
    Json running;
    wait_until(*server_, [&] {
        running = json_at_server({"operations", "list", "--state", "running"});
        return running.size() == 1;
    });
    const std::string id = running[0]["id"];
    following.signal(SIGINT);
    const ProgramRun stopped = following.finish();
    EXPECT_EQ(stopped.exit_code, 1);
    EXPECT_THAT(stopped.error,
                AllOf(HasSubstr(id), HasSubstr("goes on"), HasSubstr("holdfast operations cancel " + id)));
    // Of one source there is one at a time: the next waits, and is over when it is cancelled.
    const std::string next = first_line(at_server({"backup", "home", "--detach"}).out);
    EXPECT_THAT(at_server({"operations", "cancel", next}).out, HasSubstr("asked to stop"));
    EXPECT_EQ(json_at_server({"operations", "show", next})["state"], "cancelled");
    EXPECT_THAT(failure_at_server({"operations", "follow", next}, 1), HasSubstr(next));
    EXPECT_EQ(json_at_server({"operations", "follow", id})["files"], 1);
}

TEST_F(CommandLineAtServer, GoesOnFollowingWhenTheServerComesBack) {
    for (int i = 0; i < 40; ++i) write_random("f" + std::to_string(i), 1 << 20, static_cast<unsigned>(i));
    serve();
    const std::string id = first_line(at_server({"backup", "home", "--detach"}).out);
    Words words = with_certificate({HOLDFAST_PROGRAM, "operations", "follow", id, "--json"});
    RunningProgram following(words, remote);
    wait_until(*server_, [&] { return is_somebody_at(id) || json({"snapshots"}).size() == 1; });
    server_->signal(SIGKILL);
    server_->finish();
    // It is back at the same place.
    const std::string file = scratch.file("holdfast.toml");
    std::string text = content_of(file);
    text.replace(text.find("127.0.0.1:0"), 11, "127.0.0.1:" + port);
    std::ofstream(file) << text;
    server_ = start({"serve"});
    listening();
    const ProgramRun followed = following.finish();
    EXPECT_EQ(followed.exit_code, 0) << followed.error;
    EXPECT_EQ(Json::parse(followed.out)["files"], 40);
    wait_until(*server_, [&] { return json({"snapshots"}).size() == 1; });
}

TEST_F(CommandLineAtServer, SaysWhatIsWrongWithTokenCertificateAndPlace) {
    serve();
    const auto fails = [&](RunOptions as, Words words) { return failure(words, 1, as); };
    RunOptions as = remote;
    // Neither is it trusted blindly, nor is the system's store enough.
    EXPECT_THAT(fails(as, {"snapshots"}), AllOf(HasSubstr("--server-ca"), HasSubstr(address)));
    as.environment["HOLDFAST_TOKEN"] = "hf_" + std::string(64, '0');
    EXPECT_THAT(fails(as, with_certificate({"snapshots"})),
                AllOf(HasSubstr("not known"), HasSubstr("HOLDFAST_TOKEN"), Not(HasSubstr("hf_0000"))));
    as.environment.erase("HOLDFAST_TOKEN");
    EXPECT_THAT(failure(with_certificate({"snapshots"}), 2, as), HasSubstr("there is no token"));
    as = remote;
    as.environment["HOLDFAST_SERVER"] = "https://127.0.0.1:1";
    EXPECT_THAT(fails(as, with_certificate({"snapshots"})), HasSubstr("holdfast serve"));
    as.environment["HOLDFAST_SERVER"] = "nonsense";
    EXPECT_THAT(failure(with_certificate({"snapshots"}), 2, as), HasSubstr("'nonsense' is no server"));
    // A file of a token is for nobody else.
    const std::string file = scratch.file("token");
    std::ofstream(file) << token << "\nsecond line\n";
    as = remote;
    as.environment.erase("HOLDFAST_TOKEN");
    ::chmod(file.c_str(), 0644);
    EXPECT_THAT(failure(with_certificate({"snapshots", "--token-file", file}), 2, as),
                HasSubstr("chmod 600"));
    ::chmod(file.c_str(), 0600);
    EXPECT_EQ(json(with_certificate({"snapshots", "--token-file", file}), 0, as).size(), 0U);
    // On the server's own machine its configuration says where the certificate is.
    RunOptions beside = options;
    beside.environment["HOLDFAST_SERVER"] = address;
    beside.environment["HOLDFAST_TOKEN"] = token;
    EXPECT_EQ(json({"snapshots"}, 0, beside).size(), 0U);
}

TEST_F(CommandLineAtServer, ChoosesBetweenHereAndThere) {
    write("a", "content");
    serve();
    back_up();
    RunOptions both = options;
    both.environment["HOLDFAST_SERVER"] = "https://127.0.0.1:1";
    both.environment["HOLDFAST_TOKEN"] = token;
    failure({"snapshots"}, 1, both);
    EXPECT_EQ(json({"snapshots", "--repo", repository()}, 0, both).size(), 1U) << "typed, it is meant";
    EXPECT_EQ(json({"snapshots", "--server", "here"}, 0, both).size(), 1U);
    // What a server does not do is not done elsewhere unasked.
    EXPECT_THAT(failure({"ls", "latest"}, 2, both), AllOf(HasSubstr("'ls' does not work at a server")));
    EXPECT_EQ(run({"ls", "latest", "--server", "here"}, both).exit_code, 0);
    EXPECT_THAT(failure({"ls", "latest", "--server", address}, 2), HasSubstr("--server"));
    EXPECT_THAT(failure({"snapshots", "--server", address, "--repo", repository()}, 2),
                HasSubstr("each say where to work"));
    EXPECT_EQ(run({"version"}, both).exit_code, 0);
    EXPECT_THAT(failure({"operations", "list"}, 2), HasSubstr("--server"));
    EXPECT_THAT(failure({"snapshots", "--detach"}, 2), HasSubstr("--detach"));
    // From the configuration.
    std::ofstream(scratch.file("token")) << token;
    ::chmod(scratch.file("token").c_str(), 0600);
    std::ofstream(scratch.file("client.toml"))
        << fmt::format("[client]\nserver = \"{}\"\ntoken_file = \"{}\"\nca_file = \"{}\"\n", address,
                       scratch.file("token"), scratch.file("state/server.crt"));
    RunOptions configured;
    configured.environment["HOLDFAST_CONFIG"] = scratch.file("client.toml");
    EXPECT_EQ(json({"operations", "list"}, 0, configured).size(), 0U);
}

TEST_F(CommandLineAtServer, MakesAndRevokesTokens) {
    serve();
    const ProgramRun made = at_server({"tokens", "create", "reader", "--role", "viewer", "--expires", "1d"});
    ASSERT_EQ(made.exit_code, 0) << made.error;
    const std::string secret = first_line(made.out);
    EXPECT_EQ(made.out, secret + "\n") << "and nothing else, so that it can go into a file";
    EXPECT_THAT(made.error, Not(HasSubstr(secret)));
    EXPECT_THAT(at_server({"tokens", "list"}).out, AllOf(HasSubstr("reader"), Not(HasSubstr(secret))));
    RunOptions reader = remote;
    reader.environment["HOLDFAST_TOKEN"] = secret;
    EXPECT_EQ(json(with_certificate({"operations", "list"}), 0, reader).size(), 0U);
    EXPECT_THAT(failure(with_certificate({"backup", "home"}), 1, reader), HasSubstr("operator"));
    EXPECT_THAT(at_server({"tokens", "revoke", "reader"}).out, HasSubstr("reader is revoked"));
    failure(with_certificate({"operations", "list"}), 1, reader);
    EXPECT_THAT(failure_at_server({"tokens", "revoke", "nobody"}, 1), HasSubstr("nobody"));
    EXPECT_EQ(json_at_server({"approvals", "list", "--all"}).size(), 0U);
    EXPECT_EQ(json_at_server({"audit", "verify"})["intact"], true);
    EXPECT_THAT(at_server({"audit", "export"}).out,
                AllOf(HasSubstr("token.create"), HasSubstr("NUMBER,TIME")));
}

TEST_F(CommandLineAtServer, WaitsForASecondPerson) {
    write("a", "content");
    serve("[server.protection]\n\"backups.delete\" = \"second-person\"\n");
    json_at_server({"backup", "home"});
    const ProgramRun asked = at_server({"prune"});
    EXPECT_EQ(asked.exit_code, 3) << asked.error;
    EXPECT_THAT(asked.out, HasSubstr("holdfast approvals approve"));
    const Json waiting = json_at_server({"approvals", "list"});
    ASSERT_EQ(waiting.size(), 1U);
    const std::string id = waiting[0]["id"];
    EXPECT_THAT(at_server({"approvals", "show", id}).out, HasSubstr("POST /v1/prunes"));
    EXPECT_THAT(failure_at_server({"approvals", "approve", id}, 1), HasSubstr("another person"));
    RunOptions second = remote;
    second.environment["HOLDFAST_TOKEN"] =
        first_line(at_server({"tokens", "create", "second", "--role", "administrator"}).out);
    const Json decided = json(with_certificate({"approvals", "approve", id}), 0, second);
    EXPECT_EQ(decided["state"], "approved");
    const std::string operation = decided["answer"]["body"]["operation"];
    EXPECT_FALSE(json_at_server({"operations", "follow", operation})["dry_run"].get<bool>());
    EXPECT_EQ(json_at_server({"approvals", "list"}).size(), 0U);
    EXPECT_EQ(json_at_server({"approvals", "list", "--all"}).size(), 1U);
    failure(with_certificate({"approvals", "reject", id}), 1, second);
}

TEST_F(CommandLineAtServer, TellsAndSilencesAlerts) {
    serve();
    expect_same_members(json({"alerts", "rules"}), json_at_server({"alerts", "rules"}));
    EXPECT_EQ(at_server({"alerts", "list"}).exit_code, 0);
    const Json silence =
        json_at_server({"alerts", "silence", "--rule", "no_backup", "--for", "1h", "--reason", "a test"});
    const std::string id = silence["id"];
    EXPECT_EQ(json_at_server({"alerts", "silences"})[0]["reason"], "a test");
    EXPECT_EQ(at_server({"alerts", "unsilence", id}).exit_code, 0);
    EXPECT_EQ(json_at_server({"alerts", "silences"}).size(), 0U);
    failure_at_server({"alerts", "silence", "--reason", "no end"}, 2);
    EXPECT_THAT(failure_at_server({"alerts", "show", "0123"}, 1), HasSubstr("0123"));
}

} // namespace
} // namespace holdfast::test
