// A slot that is lost with the log that it kept: the server takes the snapshot that the log goes on from.
#include "integration/server/serve_api.h"
#include "support/postgres_server.h"

#include <csignal>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::test {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;
using testing::SizeIs;

class ServeChains : public ServeApi {
  protected:
    ServeChains() {
        configure(fmt::format("[source.orders]\nkind = \"postgresql\"\nconnection = \"{}\"\n"
                              "data_directory = \"{}\"\nspool_directory = \"{}\"\n"
                              "[policy.database]\nsources = [\"orders\"]\n"
                              "[[policy.database.backup]]\nname = \"yearly\"\ncron = \"0 0 1 1 *\"\n",
                              postgres.conninfo("postgres"), postgres.data_directory(),
                              scratch.file("spool")),
                  "", "gap_patience = \"5s\"\n");
        postgres.execute("CREATE TABLE t (i int)");
    }

    // Of this source, newest first.
    std::vector<Operation> backups() {
        std::vector<Operation> found = operations(*server);
        std::erase_if(found,
                      [](const Operation& one) { return one.kind != "backup" || one.source != "orders"; });
        return found;
    }
    // The repository is looked at once a minute, and a gap must be seen twice.
    void wait_for_backups(std::size_t count) {
        const auto done = [&] {
            const auto found = backups();
            return found.size() >= count && std::ranges::all_of(found, [](const Operation& one) {
                       return one.state == OperationState::succeeded;
                   });
        };
        wait_until(*server, done, 60'000);
    }
    void receive(const std::vector<std::string>& more = {}) {
        std::vector<std::string> words{"wal",      "receive",          "orders", "--slot",
                                       "holdfast", "--flush-interval", "1"};
        words.insert(words.end(), more.begin(), more.end());
        receiver = start(words);
    }
    void stop_receiving() {
        receiver->signal(SIGTERM);
        EXPECT_EQ(receiver->finish().exit_code, 0);
    }
    // Commits, and waits until all of it is stored.
    void store_more() {
        postgres.execute("INSERT INTO t VALUES (1)");
        const std::string written = postgres.query_value("SELECT pg_current_wal_lsn()");
        wait_until(*receiver, [&] {
            return postgres.query_value(
                       "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'holdfast' "
                       "AND restart_lsn >= '" +
                       written + "'") == "1";
        });
    }
    // Until the server has thrown away what it had.
    void lose_log() {
        const std::string first = oldest_segment();
        for (int i = 0; i < 100 && oldest_segment() == first; ++i) {
            postgres.execute("INSERT INTO t VALUES (2)");
            postgres.execute("SELECT pg_switch_wal()");
            postgres.execute("CHECKPOINT");
        }
        ASSERT_NE(oldest_segment(), first);
    }
    std::string oldest_segment() const {
        return postgres.query_value("SELECT min(name) FROM pg_ls_waldir() WHERE length(name) = 24");
    }

    PostgresServer postgres{
        {.version = 15,
         .wal_segment_mib = 1,
         .settings = "fsync = off\nmin_wal_size = 2MB\nmax_wal_size = 2MB\nwal_keep_size = 0\n"}};
    std::unique_ptr<RunningProgram> receiver;
};

TEST_F(ServeChains, WhatASlotLostIsMendedByANewSnapshot) {
    serve();
    wait_for_backups(1);
    receive({"--create-slot"});
    store_more();
    stop_receiving();
    postgres.execute("SELECT pg_drop_replication_slot('holdfast')");
    for (int i = 0; i < 3; ++i) lose_log();
    receive({"--create-slot"});
    store_more();
    wait_for_backups(2);
    const Operation mending = backups().front();
    EXPECT_EQ(mending.plan, "new base");
    EXPECT_EQ(mending.requested_by, "plan new base");
    EXPECT_THAT(mending.request, HasSubstr("of timeline 1 is missing"));
    EXPECT_THAT(server->error_so_far(), HasSubstr("a snapshot is taken, because the log does not lead on"));
    const Json window = json({"window", "orders"}, 3);
    ASSERT_THAT(window["gaps"], SizeIs(1));
    EXPECT_TRUE(window["gaps"][0]["before"].is_string()) << window;
    EXPECT_THAT(window["ranges"], SizeIs(2));
    stop_receiving();
}

} // namespace
} // namespace holdfast::test
