// The whole server held against its contract.
#include "integration/server/serve_fixture.h"
#include "support/postgres_server.h"

#include <gtest/gtest.h>

namespace holdfast::test {
namespace {

TEST_F(Serve, KeepsItsContract) {
    const PostgresServer postgres({.version = 15, .settings = "wal_keep_size = '1GB'\nfsync = off\n"});
    configure(fmt::format("[source.orders]\nkind = \"postgresql\"\nconnection = \"{}\"\n"
                          "data_directory = \"{}\"\nspool_directory = \"{}\"\n"
                          "[channel.ops]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\n"
                          "secret_file = \"{}\"\nsuccesses = [\"backup\"]\n",
                          postgres.conninfo("postgres"), postgres.data_directory(), scratch.file("spool"),
                          scratch.file("secret")));
    std::ofstream(scratch.file("secret")) << "a key for the signatures\n";
    json({"backup", "orders"});
    const std::string until = json({"window", "orders"})["ranges"][0]["until"];
    nlohmann::json known = {
        {"values",
         {{"name", {"orders"}},
          {"at", {until}},
          {"hold", {"legal", "name"}},
          {"list", {"quarterly"}},
          {"item", {"contacts"}},
          {"If-Match", {"*"}},
          {"id", nlohmann::json::array()}}},
        {"reached",
         {"getSnapshot", "forgetSnapshot", "holdSnapshot", "releaseHold", "getTags", "changeTags",
          "listHolds", "getRepository", "getWindow", "listChecklists", "getChecklist", "tickChecklistItem"}}};
    // Some stay, whatever is asked for.
    for (int i = 0; i < 6; ++i) {
        write("a", fmt::format("{}", i));
        const std::string id = json({"backup", "home"})["id"];
        for (const char* owner : {"keep", "legal", "name"})
            if (i < 3) json({"hold", "add", id, "--reason", "test", "--owner", owner});
        known["values"]["id"].push_back(id);
    }
    std::ofstream(scratch.file("known")) << known;
    const auto server = start({"serve"});
    wait_until(*server, [&] { return server->error_so_far().find(" port=") != std::string::npos; });
    const std::string log = server->error_so_far(), out = content_of(scratch.file("state/first-token"));
    const std::string port = std::to_string(std::stoi(log.substr(log.find(" port=") + 6)));
    const auto at = out.find("hf_");
    ASSERT_NE(at, std::string::npos) << out;
    const ProgramRun run =
        run_program({"/usr/bin/python3", HOLDFAST_CONTRACT_SCRIPT, port,
                     out.substr(at, out.find('\n', at) - at), "7", "whole", scratch.file("known")},
                    {});
    EXPECT_EQ(run.exit_code, 0) << run.out << run.error << server->error_so_far();
}

} // namespace
} // namespace holdfast::test
