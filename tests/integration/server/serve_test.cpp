// The server as an administrator runs it: what policies say is done by itself, once, and survives its end.
#include "integration/server/serve_fixture.h"

#include <csignal>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

constexpr std::uint64_t megabyte = 1'000'000;

TEST_F(Serve, BacksUpWhatAPolicyCovers) {
    write("a", "content");
    configure(nightly("home"));
    const auto server = start({"serve"});
    wait_until_all_over(*server, 1);
    const auto all = operations(*server);
    ASSERT_EQ(all.size(), 1U);
    const Operation& operation = all.front();
    EXPECT_EQ(operation.state, OperationState::succeeded) << operation.error.value_or("");
    EXPECT_EQ(operation.source, "home");
    EXPECT_EQ(operation.plan, "production/nightly");
    const Json snapshots = json({"snapshots"});
    ASSERT_EQ(snapshots.size(), 1U);
    EXPECT_EQ(snapshots[0]["source"], "home");
    EXPECT_EQ(snapshots[0]["tags"]["operation"], operation.id);
    EXPECT_EQ(snapshots[0]["tags"]["class"], "full");
    EXPECT_TRUE(snapshots[0]["tags"].contains("expires"));
    EXPECT_EQ(Json::parse(operation.result.value())["id"], snapshots[0]["id"]);
    expect_restore_equals_source();

    server->signal(SIGTERM);
    EXPECT_EQ(server->finish().exit_code, 0);
    // Started again it knows what it did.
    const auto again = start({"serve"});
    beside().operations.add({.kind = "verify", .request = R"({"depth":"all"})", .requested_by = "anna"});
    wait_until_all_over(*again, 2);
    const auto now = operations(*again);
    ASSERT_EQ(now.size(), 2U);
    EXPECT_EQ(now.front().kind, "verify");
    EXPECT_EQ(now.front().state, OperationState::succeeded) << now.front().error.value_or("");
    EXPECT_EQ(json({"snapshots"}).size(), 1U);
}

TEST_F(Serve, ReadsItsConfigurationAgainAndGoesByWhatMadeSense) {
    write("a", "content");
    configure("");
    const auto server = start({"serve"});
    EXPECT_TRUE(operations(*server).empty());
    const auto said = [&](const std::string& text) {
        wait_until(*server, [&] { return server->error_so_far().find(text) != std::string::npos; });
    };
    // What is no configuration, and one that contradicts itself, change nothing, not for operations either.
    std::ofstream(scratch.file("holdfast.toml"), std::ios::app) << "this is no configuration\n";
    server->signal(SIGHUP);
    said("configuration not read again");
    beside().operations.add({.kind = "backup", .source = "home", .requested_by = "anna"});
    wait_until_all_over(*server, 1);
    EXPECT_EQ(operations(*server).front().state, OperationState::succeeded);
    configure(nightly("home") + "[policy.other]\nsources = [\"home\"]\n");
    server->signal(SIGHUP);
    said("both cover the source");
    // A second server changes nothing of the first one's either.
    configure("", "limit_upload = \"1\"\n");
    EXPECT_THAT(failure({"serve"}, 2), HasSubstr("another server has the state directory"));
    EXPECT_EQ(content_of(scratch.file("state/holdfast.toml")).find("limit_upload"), std::string::npos);
    // What was never verified is, at once.
    configure("[policy.p]\nsources = [\"home\"]\n[[policy.p.verify]]\ncron = \"0 5 * * 0\"\n");
    server->signal(SIGHUP);
    said("configuration read again");
    wait_until_all_over(*server, 2);
    EXPECT_EQ(operations(*server).front().kind, "verify");
    EXPECT_EQ(operations(*server).front().state, OperationState::succeeded);
    server->signal(SIGINT);
    EXPECT_EQ(server->finish().exit_code, 0);
}

// What is under way goes on as it was begun, whatever is read meanwhile.
TEST_F(Serve, ReadsItsConfigurationAgainWhileItWorks) {
    for (unsigned i = 0; i < 4; ++i) write_random(fmt::format("{}", i), 10 * megabyte, i);
    std::filesystem::create_directory(scratch.file("other"));
    std::ofstream(scratch.file("other/a")) << "content";
    const std::string other =
        fmt::format("[source.other]\nkind = \"documents\"\npaths = [\"{}\"]\n", scratch.file("other"));
    configure(nightly("home"), "limit_upload = \"5M\"\n");
    const auto server = start({"serve"});
    const auto reload = [&](const std::string& answer) {
        const std::size_t before = server->error_so_far().size();
        server->signal(SIGHUP);
        const std::size_t at = said(*server, answer, before);
        return server->error_so_far().substr(at);
    };
    wait_until(*server, [&] { return repository_bytes() > 5 * megabyte; });
    // Neither what cannot be read nor one that has no place for what is under way takes it away.
    std::ofstream(scratch.file("holdfast.toml"), std::ios::app) << "\n[source.home\n";
    EXPECT_THAT(reload("configuration not read again"), HasSubstr("holdfast.toml"));
    std::ofstream(scratch.file("holdfast.toml"))
        << fmt::format("[server]\nlisten = \"127.0.0.1:0\"\nstate_directory = \"{}\"\n"
                       "retention = \"never\"\n{}{}",
                       scratch.file("state"), other, nightly("other"));
    reload("configuration read again");
    wait_until(*server, [&] { return operations(*server).size() == 2; });
    ASSERT_EQ(operations(*server).back().state, OperationState::running);
    // It holds for what begins from now on.
    beside().operations.add({.kind = "backup", .source = "home", .requested_by = "anna"});
    wait_until_all_over(*server, 3);
    const auto all = operations(*server);
    ASSERT_EQ(all.size(), 3U);
    EXPECT_EQ(all[2].source, "home");
    EXPECT_EQ(all[2].attempts, 1);
    EXPECT_EQ(all[1].source, "other");
    for (const std::size_t i : {1U, 2U})
        EXPECT_EQ(all[i].state, OperationState::succeeded) << all[i].error.value_or("");
    EXPECT_EQ(all[0].state, OperationState::failed);
    EXPECT_THAT(all[0].error.value_or(""), HasSubstr("there is no source 'home'"));
    EXPECT_EQ(json({"snapshots"}).size(), 2U);
    expect_restore_equals_source();
}

TEST_F(Serve, PutsBackWhatIsUnderWayWhenItIsStopped) {
    for (unsigned i = 0; i < 30; ++i) write_random(fmt::format("{}", i), 10 * megabyte, i);
    configure(nightly("home"), "limit_upload = \"10M\"\n");
    {
        const auto server = start({"serve"});
        wait_until(*server, [&] { return repository_bytes() > 5 * megabyte; });
        server->signal(SIGTERM);
        EXPECT_EQ(server->finish().exit_code, 0);
    }
    const auto put_back = beside().operations.list({});
    ASSERT_EQ(put_back.size(), 1U);
    EXPECT_EQ(put_back.front().state, OperationState::queued);
    EXPECT_EQ(json({"snapshots"}).size(), 0U);
    configure(nightly("home"));
    const auto server = start({"serve"});
    wait_until_all_over(*server, 1);
    const auto all = operations(*server);
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all.front().state, OperationState::succeeded) << all.front().error.value_or("");
    EXPECT_EQ(all.front().attempts, 2);
    EXPECT_EQ(all.front().interruptions, 1);
    EXPECT_EQ(all.front().failures, 0);
    EXPECT_TRUE(Json::parse(all.front().result.value())["resumed"].get<bool>());
}

// The program that carries an operation out ends with its server, and the next one takes the operation over
// when the lease has run out.
TEST_F(Serve, KilledItLeavesNothingRunningAndNothingUndone) {
    for (unsigned i = 0; i < 30; ++i) write_random(fmt::format("{}", i), 10 * megabyte, i);
    configure(nightly("home"), "limit_upload = \"10M\"\n");
    {
        const auto server = start({"serve"});
        wait_until(*server, [&] { return repository_bytes() > 5 * megabyte; });
        server->signal(SIGKILL);
        server->finish();
    }
    const auto lost = beside().operations.list({}).front();
    EXPECT_EQ(lost.state, OperationState::running);
    for (int i = 0; i < 12'000 && is_somebody_at(lost.id); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_FALSE(is_somebody_at(lost.id));
    EXPECT_EQ(json({"snapshots"}).size(), 0U);
    configure(nightly("home"));
    const auto server = start({"serve"});
    // Beside its lease, nothing tells that its server is lost.
    wait_until_all_over(*server, 1);
    const auto all = operations(*server);
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all.front().state, OperationState::succeeded) << all.front().error.value_or("");
    EXPECT_EQ(all.front().attempts, 2);
    EXPECT_EQ(all.front().interruptions, 1);
    EXPECT_EQ(all.front().failures, 0);
    EXPECT_EQ(json({"snapshots"}).size(), 1U);
    expect_restore_equals_source();
}

TEST_F(Serve, EnforcesRetentionAndFreesWhatItForgot) {
    configure("[policy.short]\nsources = [\"home\"]\n[policy.short.retention]\nlast = 1\n");
    for (unsigned i = 0; i < 3; ++i) {
        write_random("a", 3 * megabyte, i);
        settle();
        json({"backup", "home"});
    }
    const auto server = start({"serve"});
    operations(*server);
    beside().operations.add({.kind = "retention", .requested_by = "anna"});
    wait_until_all_over(*server, 2);
    const auto all = operations(*server);
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[1].kind, "retention");
    EXPECT_EQ(all[1].state, OperationState::succeeded) << all[1].error.value_or("");
    EXPECT_EQ(all[0].kind, "prune");
    EXPECT_EQ(all[0].state, OperationState::succeeded) << all[0].error.value_or("");
    EXPECT_EQ(json({"snapshots"}).size(), 1U);
    const auto trail = beside().catalog.with([](Database& database) {
        return database.query(
            "SELECT actor, action FROM audit WHERE action = 'snapshot.forget' ORDER BY number");
    });
    ASSERT_EQ(trail.size(), 2U);
    EXPECT_EQ(trail[0].text(0), "anna");
    EXPECT_EQ(trail[0].text(1), "snapshot.forget");
}

// What a window lets go of log grows with the time, also where nothing is forgotten.
TEST_F(Serve, PrunesOnceADayWhereAPolicyHasAWindow) {
    write("a", "content");
    configure("[policy.short]\nsources = [\"home\"]\n[policy.short.retention]\nwindow = \"7d\"\n");
    json({"backup", "home"});
    const auto server = start({"serve"});
    operations(*server);
    for (std::size_t over = 2; over <= 3; ++over) {
        beside().operations.add({.kind = "retention", .requested_by = "plan", .plan = "retention"});
        wait_until_all_over(*server, over);
    }
    const auto all = operations(*server);
    ASSERT_EQ(all.size(), 3U);
    EXPECT_EQ(all[0].kind, "retention");
    EXPECT_EQ(all[1].kind, "prune");
    EXPECT_EQ(all[1].state, OperationState::succeeded) << all[1].error.value_or("");
    EXPECT_EQ(all[2].kind, "retention");
}

TEST_F(Serve, SaysWhatIsWrongWithWhatIsAskedFor) {
    write("a", "content");
    configure("");
    const auto server = start({"serve"});
    operations(*server);
    const auto id = beside().operations.add({.kind = "backup", .source = "other", .requested_by = "anna"});
    wait_until_all_over(*server, 1);
    const Operation operation = beside().operations.find(id.value()).value();
    EXPECT_EQ(operation.state, OperationState::failed);
    EXPECT_THAT(operation.error.value(), HasSubstr("there is no source 'other'"));
    EXPECT_EQ(Json::parse(operation.error.value())["field"], "source");
}

TEST_F(Serve, IsAloneWithItsStateAndNeedsAConfiguration) {
    configure("");
    const auto server = start({"serve"});
    operations(*server);
    EXPECT_THAT(failure({"serve"}, 2), HasSubstr("another server has the state directory"));
    std::ofstream(scratch.file("holdfast.toml"))
        << "[server]\nlisten = \"x\"\nstate_directory = \"relative\"\n";
    EXPECT_THAT(failure({"serve"}, 2), HasSubstr("server.state_directory"));
}

} // namespace
} // namespace holdfast::test
