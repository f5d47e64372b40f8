// Several servers on one PostgreSQL catalog, under load, while they are killed.
#include "integration/server/serve_fixture.h"
#include "support/postgres_server.h"
#include "support/tls_client.h"

#include <csignal>
#include <fstream>
#include <set>

#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

constexpr std::size_t kilobyte = 1'000;

class ServeTogether : public Serve {
  protected:
    // One server of several: a configuration, a state and an address of its own.
    std::unique_ptr<RunningProgram> start_server(const std::string& name, const std::string& what) {
        const std::string file = scratch.file(name + ".toml");
        std::ofstream(file) << fmt::format("limit_upload = \"200k\"\n[server]\nlisten = \"127.0.0.1:0\"\n"
                                           "state_directory = \"{}\"\ncatalog = \"{}\"\n"
                                           "retention = \"never\"\nat_once = 12\n{}",
                                           scratch.file(name), url, what);
        options.environment["HOLDFAST_CONFIG"] = file;
        return start({"serve"});
    }
    std::string name_of(unsigned number) const { return fmt::format("source-{:02}", number); }
    // Sources of some documents each, and a policy that has all of them backed up at once.
    std::string make_sources(unsigned count) {
        std::string text = "[policy.all]\nsources = [\"*\"]\n[[policy.all.backup]]\nname = \"nightly\"\n"
                           "cron = \"0 2 * * *\"\n";
        for (unsigned i = 0; i < count; ++i) {
            write_random(name_of(i) + "/a", 100 * kilobyte, 2 * i);
            write_random(name_of(i) + "/b", 50 * kilobyte, 2 * i + 1);
            text += fmt::format("[source.{}]\nkind = \"documents\"\npaths = [\"{}\"]\n", name_of(i),
                                place(name_of(i)));
        }
        return text;
    }

    struct Counts {
        std::size_t asked = 0, over = 0;
        std::set<std::string> held; // the operations that the server of this process has under way
    };
    Counts counts(pid_t process) {
        Counts counts;
        for (const Operation& one : all()) {
            ++counts.asked;
            if (is_over(one.state)) ++counts.over;
            const bool theirs =
                one.owner && one.owner->find(fmt::format("/{}/", process)) != std::string::npos;
            if (one.state == OperationState::running && theirs) counts.held.insert(one.id);
        }
        return counts;
    }
    std::vector<Operation> all() { return operations->list({.limit = 1000}); }
    struct Server {
        std::string name;
        std::unique_ptr<RunningProgram> program;
    };
    // Kills the one of them that has more under way, when so many operations are over, and returns what it
    // took along. How they share the work is theirs: a busy machine may leave one of them with nothing.
    std::set<std::string> kill_busier(std::vector<Server>& servers, std::size_t over, Server*& killed) {
        std::set<std::string> held;
        wait_until(*servers.front().program, [&] {
            if (counts(0).over < over) return false;
            killed = &*std::ranges::max_element(
                servers, {}, [&](const Server& one) { return counts(one.program->process()).held.size(); });
            killed->program->signal(SIGSTOP); // what it holds does not change any more
            held = counts(killed->program->process()).held;
            if (held.size() < 2) killed->program->signal(SIGCONT);
            return held.size() >= 2;
        });
        killed->program->signal(SIGKILL);
        killed->program->finish();
        return held;
    }
    PostgresServer postgres{{.settings = "max_connections = 100\n"}};
    std::string url = "postgresql://postgres@/postgres?host=" + postgres.socket_directory();
    std::unique_ptr<Catalog> catalog = std::make_unique<Catalog>(url, silent_logger());
    std::unique_ptr<Operations> operations =
        std::make_unique<Operations>(*catalog, system_clock(), system_random());
};

TEST_F(ServeTogether, WhatKilledServersHadIsDoneOnceByTheOthers) {
    constexpr unsigned sources = 40;
    const std::string what = make_sources(sources);
    std::vector<Server> servers;
    for (const std::string name : {"first", "second"}) servers.push_back({name, start_server(name, what)});
    std::set<std::string> lost;
    for (const std::size_t over : {6U, 12U}) {
        Server* killed = nullptr;
        std::set<std::string> held = kill_busier(servers, over, killed);
        EXPECT_GE(held.size(), 2U);
        // What they carried out ends with them.
        for (const std::string& id : held)
            for (int i = 0; i < 6000 && is_somebody_at(id); ++i)
                std::this_thread::sleep_for(std::chrono::milliseconds(10));
        for (const std::string& id : held) EXPECT_FALSE(is_somebody_at(id));
        lost.merge(held);
        killed->program = start_server(killed->name, what);
    }
    wait_until(*servers[0].program, [&] { return counts(0).over == sources; });
    EXPECT_FALSE(servers[1].program->ended());

    expect_done_once(*operations);
    std::set<std::string> of;
    unsigned interrupted = 0;
    for (const Operation& one : all()) {
        EXPECT_TRUE(of.insert(one.source.value()).second) << "asked for twice: " << *one.source;
        EXPECT_EQ(one.attempts, 1 + one.interruptions) << one.id;
        EXPECT_EQ(one.failures, 0) << one.error.value_or("");
        if (lost.contains(one.id) && one.interruptions > 0) ++interrupted;
    }
    EXPECT_EQ(of.size(), sources);
    EXPECT_GE(interrupted, 2U);
    for (const Server& server : servers) {
        server.program->signal(SIGTERM);
        const ProgramRun run = server.program->finish();
        EXPECT_EQ(run.exit_code, 0) << run.error;
        EXPECT_THAT(run.error, testing::Not(testing::HasSubstr("taken over by another server")));
    }
    EXPECT_EQ(run({"verify", "--read-data"}).exit_code, 0);
}

// Whichever of them it is sent to.
TEST_F(ServeTogether, OneKeyIsOneOperation) {
    const std::string what = make_sources(1);
    const auto first = start_server("first", what), second = start_server("second", what);
    const std::uint16_t ports[]{port_of(*first), port_of(*second)};
    wait_until(*first, [&] { return counts(0).over == 1; });
    const std::string token = first_token("first") + first_token("second"); // one of them was the first
    const std::string body = R"({"source":"source-00"})";
    const std::string request = fmt::format("POST /v1/backups HTTP/1.1\r\nHost: localhost\r\nAuthorization: "
                                            "Bearer {}\r\nContent-Type: application/json\r\nContent-Length: "
                                            "{}\r\nIdempotency-Key: together\r\n\r\n{}",
                                            token, body.size(), body);
    std::vector<std::unique_ptr<TlsClient>> clients;
    for (unsigned i = 0; i < 20; ++i) clients.push_back(std::make_unique<TlsClient>(ports[i % 2]));
    for (const auto& client : clients) client->send(request);
    std::set<std::string> answers;
    for (const auto& client : clients) {
        const auto answer = client->receive();
        ASSERT_TRUE(answer);
        EXPECT_EQ(answer->status, 202) << answer->body;
        answers.insert(answer->body);
    }
    EXPECT_EQ(answers.size(), 1U);
    EXPECT_EQ(all().size(), 2U);
    wait_until(*first, [&] { return counts(0).over == 2; });
    expect_done_once(*operations);
}

} // namespace
} // namespace holdfast::test
