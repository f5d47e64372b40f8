// The log of a PostgreSQL, and a power cut of the machine that archives it: what the server was told is
// durable is.
#include "faults/power_loss/power_fixture.h"
#include "postgres/wal/lsn.h"
#include "support/postgres_server.h"

#include <fstream>
#include <thread>

#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

class PowerCutOfLog : public PowerUser, public testing::WithParamInterface<Survives> {
  protected:
    PowerCutOfLog() {
        std::ofstream(scratch.file("holdfast.toml")) << fmt::format(
            "[source.orders]\nkind = 'postgresql'\nconnection = \"{}\"\ndata_directory = '{}'\n"
            "spool_directory = '{}'\nslot = 'holdfast'\n",
            server.conninfo(), server.data_directory(), on_machine("spool"));
        options.environment["HOLDFAST_CONFIG"] = scratch.file("holdfast.toml");
        json({"init"}, 0, counted());
        server.execute("CREATE TABLE rows (i bigserial, at timestamptz DEFAULT clock_timestamp())");
    }
    template <typename Wanted>
    void wait_until(Wanted&& wanted) {
        for (int i = 0; i < 6000 && !wanted(); ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        ASSERT_TRUE(wanted());
    }
    postgres::Lsn position(const std::string& sql) const {
        return postgres::parse_lsn(server.query_value(sql)).value_or(postgres::Lsn{});
    }
    // From which on the server still has to keep its log.
    postgres::Lsn acknowledged() const {
        return position("SELECT coalesce(max(restart_lsn), '0/0') FROM pg_replication_slots");
    }

    PostgresServer server{{.version = 15, .wal_segment_mib = 1, .settings = "wal_keep_size = 0\n"}};
};
INSTANTIATE_TEST_SUITE_P(Leaves, PowerCutOfLog,
                         testing::Values(Survives::synced_only, Survives::names_as_at_end),
                         [](const auto& each) {
                             return each.param == Survives::synced_only ? "WhatWasSynced" : "AllNames";
                         });

// The server throws away what was acknowledged: would the receiver have lost it, there would be a gap.
TEST_P(PowerCutOfLog, WhatAReceiverAcknowledgedIsNotLost) {
    const Words receiving{"wal", "receive", "orders", "--create-slot", "--flush-interval", "0.2"};
    ASSERT_EQ(server.run_tool("pgbench", {"-i", "-s", "1", "postgres"}).exit_code, 0);
    const auto load = server.start_tool("pgbench", {"-c", "2", "-n", "-T", "600", "-R", "300", "postgres"});
    postgres::Lsn before;
    for (int round = 0; round < 6; ++round) {
        const auto receiver = start_counted(receiving);
        ASSERT_NO_FATAL_FAILURE(wait_until([&] { return acknowledged() > before || receiver->ended(); }));
        ASSERT_FALSE(receiver->ended()) << receiver->finish().error;
        if (round == 0) json({"backup", "orders"}, 0, counted());
        std::this_thread::sleep_for(std::chrono::milliseconds(100 + round * 97));
        receiver->signal(SIGKILL);
        receiver->finish();
        before = acknowledged();
        power.fail(GetParam());
        server.execute("SELECT pg_switch_wal(); CHECKPOINT"); // takes the log away that no one needs
    }
    load->signal(SIGTERM);
    load->finish();
    server.execute("INSERT INTO rows SELECT FROM generate_series(1, 1000)");
    const postgres::Lsn end = position("SELECT pg_current_wal_flush_lsn()");
    const auto receiver = start_counted(receiving);
    ASSERT_NO_FATAL_FAILURE(wait_until([&] { return acknowledged() >= end || receiver->ended(); }));
    receiver->signal(SIGTERM);
    EXPECT_EQ(receiver->finish().exit_code, 0);
    const nlohmann::json verified = json({"wal", "verify", "orders"});
    EXPECT_TRUE(verified.at("intact").get<bool>()) << verified.dump(2);
    EXPECT_TRUE(verified.at("gaps").empty()) << verified.dump(2);
    const nlohmann::json stretches = verified.at("timelines").at(0).at("stretches");
    ASSERT_EQ(stretches.size(), 1U) << verified.dump(2);
    EXPECT_GE(postgres::parse_lsn(stretches[0].at("end_lsn").get<std::string>()).value(), end);
}

TEST_P(PowerCutOfLog, WhatWasPushedIsThere) {
    json({"backup", "orders"}, 0, counted());
    for (int round = 0; round < 4; ++round) {
        server.execute("INSERT INTO rows SELECT FROM generate_series(1, 1000)");
        const std::string name = server.query_value("SELECT pg_walfile_name(pg_current_wal_lsn())");
        server.execute("SELECT pg_switch_wal()");
        const std::string path = server.data_directory() + "/pg_wal/" + name;
        json({"wal", "push", "orders", path}, 0, counted());
        const std::string content = content_of(path);
        power.fail(GetParam());
        json({"wal", "fetch", "orders", name, scratch.file(name)});
        EXPECT_EQ(content_of(scratch.file(name)), content) << name;
    }
    expect_all_is_well();
}

TEST_P(PowerCutOfLog, ARestoredClusterIsOnDisk) {
    server.execute("CREATE TABLE more AS SELECT i, md5(i::text) FROM generate_series(1, 20000) i");
    json({"backup", "orders"});
    power.sync_all();
    json({"restore", "orders", "--snapshot", "latest", "--to", on_machine("back")}, 0, counted());
    const auto restored = list_tree(on_machine("back"));
    ASSERT_GT(restored.size(), 100U);
    power.fail(GetParam());
    EXPECT_EQ(difference(restored, list_tree(on_machine("back"))), "");
}

} // namespace
} // namespace holdfast::test
