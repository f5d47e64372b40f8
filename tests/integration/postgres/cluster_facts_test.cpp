#include "postgres/server/cluster_facts.h"
#include "postgres/server/slots.h"
#include "support/error_matchers.h"
#include "support/postgres_server.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include <gtest/gtest.h>

using namespace holdfast;
using namespace holdfast::postgres;
using namespace holdfast::test;

class ClusterFactsTest : public testing::TestWithParam<int> {
  protected:
    static ClusterFacts facts_of(PostgresServer& server, const std::string& user = "postgres",
                                 const FactsOptions& options = {}) {
        Connection connection({.conninfo = server.conninfo("postgres", user)});
        return read_cluster_facts(connection, system_clock(), options);
    }
};

INSTANTIATE_TEST_SUITE_P(Versions, ClusterFactsTest, testing::ValuesIn(postgres_versions));

TEST_P(ClusterFactsTest, AreThoseOfTheCluster) {
    PostgresServer server({.version = GetParam(),
                           .checksums = false,
                           .wal_segment_mib = 4,
                           .settings =
                               "max_slot_wal_keep_size = 3MB\nwal_level = logical\nmax_wal_senders = 7\n"
                               "hba_file = '/nowhere/pg_hba.conf'\nwal_log_hints = on\n",
                           .start = false});
    // A file outside: the setting names it, so it must be there.
    const std::string outside = server.make_directory("etc") + "/pg_hba.conf";
    std::filesystem::copy(server.data_directory() + "/pg_hba.conf", outside);
    std::filesystem::permissions(outside, std::filesystem::perms(0644));
    server.add_settings("hba_file = '" + outside + "'");
    server.start();
    const std::string place = server.make_directory("space");
    server.execute("CREATE TABLESPACE space LOCATION '" + place + "'");
    server.execute("CREATE DATABASE orders");

    const ClusterFacts facts = facts_of(server, "postgres", {.database_sizes = true});
    EXPECT_EQ(facts.major(), GetParam());
    EXPECT_EQ(std::to_string(facts.system_identifier),
              server.query_value("SELECT system_identifier FROM pg_control_system()"));
    EXPECT_EQ(facts.timeline, 1u);
    EXPECT_FALSE(facts.in_recovery);
    EXPECT_TRUE(facts.position);
    EXPECT_TRUE(facts.redo);
    EXPECT_LE(facts.redo, facts.position);
    EXPECT_EQ(facts.block_bytes, 8192u);
    EXPECT_EQ(facts.wal_block_bytes, 8192u);
    EXPECT_EQ(facts.wal_segment_bytes, 4u << 20);
    EXPECT_FALSE(facts.checksums);
    EXPECT_EQ(facts.wal_level, "logical");
    EXPECT_TRUE(facts.full_page_writes);
    EXPECT_TRUE(facts.wal_log_hints);
    EXPECT_EQ(facts.archive_mode, "off");
    EXPECT_EQ(facts.archive_command, "");
    EXPECT_EQ(facts.max_wal_senders, 7u);
    EXPECT_EQ(facts.wal_senders_used, 0u);
    EXPECT_EQ(facts.max_slot_wal_keep_bytes, 3u << 20);
    EXPECT_EQ(facts.data_directory, server.data_directory());
    EXPECT_EQ(facts.files_outside(), std::vector<std::string>{outside});
    ASSERT_EQ(facts.tablespaces.size(), 1u);
    EXPECT_EQ(facts.tablespaces[0].name, "space");
    EXPECT_EQ(facts.tablespaces[0].location, place);
    const auto orders = std::ranges::find(facts.databases, "orders", &DatabaseFacts::name);
    ASSERT_NE(orders, facts.databases.end());
    EXPECT_GT(orders->bytes.value_or(0), 1u << 20);
    EXPECT_TRUE(facts.role.superuser);
    EXPECT_TRUE(facts.role.starts_backups);
    EXPECT_LT(std::chrono::abs(facts.clock_ahead), facts.clock_uncertainty + std::chrono::milliseconds(1));
    std::filesystem::remove_all(place);
}

TEST_P(ClusterFactsTest, AreSeenAsFarAsTheRoleMay) {
    PostgresServer& server = PostgresServer::shared(GetParam());
    server.execute("CREATE ROLE humble LOGIN");
    const ClusterFacts facts = facts_of(server, "humble");
    EXPECT_EQ(facts.role.name, "humble");
    EXPECT_FALSE(facts.role.superuser);
    EXPECT_FALSE(facts.role.replication);
    EXPECT_FALSE(facts.role.reads_all_settings);
    EXPECT_FALSE(facts.role.starts_backups);
    EXPECT_EQ(facts.data_directory, std::nullopt);
    EXPECT_TRUE(facts.checksums);
    server.execute("DROP ROLE humble");
}

TEST_P(ClusterFactsTest, OfAStandbyFollowItsPromotion) {
    PostgresServer& primary = PostgresServer::shared(GetParam());
    const auto standby = PostgresServer::standby_of(primary);
    primary.execute("SELECT pg_switch_wal()");
    standby->catch_up_with(primary);
    ClusterFacts facts = facts_of(*standby);
    EXPECT_TRUE(facts.in_recovery);
    EXPECT_EQ(facts.timeline, 1u);
    EXPECT_TRUE(facts.position);
    // It may have had all that from its copy, and ask for more only now.
    for (int i = 0; i < 6000 && facts_of(primary).wal_senders_used == 0; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_EQ(facts_of(primary).wal_senders_used, 1u);
    for (int i = 0; i < 6000 && facts.received < facts.position; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        facts = facts_of(*standby);
    }
    EXPECT_GE(facts.received, facts.position);
    // Without the checkpoint that follows a promotion the control file still says 1.
    standby->promote();
    facts = facts_of(*standby);
    EXPECT_FALSE(facts.in_recovery);
    EXPECT_EQ(facts.timeline, 2u);
    EXPECT_EQ(facts.system_identifier, facts_of(primary).system_identifier);
}

TEST_P(ClusterFactsTest, OfSlots) {
    PostgresServer& server = PostgresServer::shared(GetParam());
    Connection connection({.conninfo = server.conninfo()});
    EXPECT_FALSE(read_slot(connection, "kept"));
    EXPECT_TRUE(create_slot(connection, "kept"));
    EXPECT_FALSE(create_slot(connection, "kept"));
    const auto slot = read_slot(connection, "kept");
    ASSERT_TRUE(slot);
    EXPECT_TRUE(slot->physical);
    EXPECT_FALSE(slot->lost());
    EXPECT_EQ(slot->wal_status, "reserved");
    EXPECT_TRUE(slot->restart);
    EXPECT_FALSE(slot->active_pid);
    EXPECT_TRUE(drop_slot(connection, "kept"));
    EXPECT_FALSE(drop_slot(connection, "kept"));
    expect_error(ErrorCode::usage, [&] { create_slot(connection, "No Good"); });
}

TEST_P(ClusterFactsTest, OfASlotThatLostItsLog) {
    PostgresServer server(
        {.version = GetParam(),
         .wal_segment_mib = 1,
         .settings =
             "max_slot_wal_keep_size = 2MB\nmax_wal_size = 2MB\nmin_wal_size = 2MB\nwal_keep_size = 0"});
    Connection connection({.conninfo = server.conninfo()});
    ASSERT_TRUE(create_slot(connection, "slow"));
    for (int i = 0; i < 8; ++i)
        server.execute("CREATE TABLE t (i int); DROP TABLE t; SELECT pg_switch_wal()");
    server.execute("CHECKPOINT");
    const auto slot = read_slot(connection, "slow");
    ASSERT_TRUE(slot);
    EXPECT_TRUE(slot->lost()) << slot->wal_status;
}
