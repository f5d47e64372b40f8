// The servers that the other tests stand on: each version starts, stops, crashes, replicates and is promoted.
#include "base/error.h"
#include "support/postgres_server.h"

#include <filesystem>

#include <gtest/gtest.h>

using namespace holdfast;
using namespace holdfast::test;

class PostgresFixture : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(Versions, PostgresFixture, testing::ValuesIn(postgres_versions));

TEST_P(PostgresFixture, IsOfTheVersionThatWasAskedFor) {
    PostgresServer& server = PostgresServer::shared(GetParam());
    EXPECT_EQ(server.connect().server_version() / 10000, GetParam());
    EXPECT_EQ(server.query_value("SHOW data_checksums"), "on");
    EXPECT_EQ(server.query_value("SHOW listen_addresses"), "");
}

TEST_P(PostgresFixture, KeepsRowsThroughEachKindOfEnd) {
    PostgresServer server({.version = GetParam(), .checksums = false, .wal_segment_mib = 1});
    EXPECT_EQ(server.query_value("SHOW data_checksums"), "off");
    EXPECT_EQ(server.query_value("SHOW wal_segment_size"), "1MB");
    server.execute("CREATE TABLE t (i int)");
    int rows = 0;
    for (const PostgresStop how : {PostgresStop::fast, PostgresStop::immediate, PostgresStop::kill}) {
        server.execute("INSERT INTO t VALUES (1)");
        ++rows;
        server.restart(how);
        EXPECT_EQ(server.query_value("SELECT count(*) FROM t"), std::to_string(rows));
    }
}

TEST_P(PostgresFixture, HasStandbysThatCanBePromoted) {
    PostgresServer& primary = PostgresServer::shared(GetParam());
    const auto standby = PostgresServer::standby_of(primary);
    primary.execute("CREATE TABLE seen (i int); INSERT INTO seen VALUES (7)");
    standby->catch_up_with(primary);
    EXPECT_EQ(standby->query_value("SELECT pg_is_in_recovery()"), "t");
    EXPECT_EQ(standby->query_value("SELECT i FROM seen"), "7");
    standby->promote();
    standby->execute("INSERT INTO seen VALUES (8)");
    EXPECT_EQ(standby->query_value("SELECT count(*) FROM seen"), "2");
    primary.execute("DROP TABLE seen");
}

TEST_P(PostgresFixture, TakesAWorkload) {
    PostgresServer& server = PostgresServer::shared(GetParam());
    server.execute("CREATE DATABASE load");
    ProgramRun run = server.run_tool("pgbench", {"-i", "-s", "1", "load"});
    EXPECT_EQ(run.exit_code, 0) << run.error;
    run = server.run_tool("pgbench", {"-c", "2", "-t", "20", "load"});
    EXPECT_EQ(run.exit_code, 0) << run.error;
    EXPECT_EQ(server.query_value("SELECT count(*) FROM pgbench_history", "load"), "40");
    server.execute("DROP DATABASE load");
}

TEST(PostgresFixtureFailures, ShowTheLogOfTheServer) {
    PostgresServer server({.start = false});
    server.add_settings("no_such_setting = 1");
    try {
        server.start();
        FAIL() << "it started";
    } catch (const std::runtime_error& error) {
        EXPECT_NE(std::string(error.what()).find("no_such_setting"), std::string::npos) << error.what();
    }
    EXPECT_FALSE(server.running());
}

TEST(PostgresFixtureFailures, AVersionThatCannotBeHadIsAnError) {
    EXPECT_THROW(postgres_programs(12), std::runtime_error);
}
