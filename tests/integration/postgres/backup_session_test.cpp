#include "postgres/server/backup_session.h"
#include "support/error_matchers.h"
#include "support/postgres_server.h"

#include <filesystem>
#include <thread>

#include <gtest/gtest.h>

using namespace holdfast;
using namespace holdfast::postgres;
using namespace holdfast::test;
using namespace std::chrono_literals;

class BackupSessionTest : public testing::TestWithParam<int> {
  protected:
    static ConnectionSettings settings_of(PostgresServer& server) { return {.conninfo = server.conninfo()}; }
};

INSTANTIATE_TEST_SUITE_P(Versions, BackupSessionTest, testing::ValuesIn(postgres_versions));

TEST_P(BackupSessionTest, StartsAndStopsOnAPrimary) {
    PostgresServer server({.version = GetParam()});
    const std::string place = server.make_directory("space");
    server.execute("CREATE TABLESPACE space LOCATION '" + place + "'");
    BackupSession session(settings_of(server), {.label = "it's a label"});
    EXPECT_FALSE(session.on_standby());
    EXPECT_TRUE(session.start());
    server.execute("CREATE TABLE t AS SELECT generate_series(1, 1000)");
    session.check();
    const BackupStop end = session.finish();
    EXPECT_GT(end.stop, session.start());
    EXPECT_EQ(end.label.start, session.start());
    EXPECT_GE(end.label.checkpoint, end.label.start);
    EXPECT_EQ(end.label.timeline, 1u);
    EXPECT_FALSE(end.label.from_standby());
    EXPECT_EQ(end.label.label, "it's a label");
    EXPECT_NE(end.tablespace_map.find(place), std::string::npos) << end.tablespace_map;
    std::filesystem::remove_all(place);
    expect_error(ErrorCode::usage, [&] { BackupSession(settings_of(server), {.label = "two\nlines"}); });
}

TEST_P(BackupSessionTest, EndsWithItsSession) {
    PostgresServer& server = PostgresServer::shared(GetParam());
    {
        const BackupSession forgotten(settings_of(server), {});
    }
    BackupSession session(settings_of(server), {});
    server.execute("SELECT pg_terminate_backend(" + std::to_string(session.backend_pid()) + ")");
    expect_error(ErrorCode::unavailable, [&] { session.check(); });
    expect_error(ErrorCode::unavailable, [&] { session.finish(); });
}

TEST_P(BackupSessionTest, WorksOnAStandby) {
    PostgresServer& primary = PostgresServer::shared(GetParam());
    const auto standby = PostgresServer::standby_of(primary);
    BackupSession session(settings_of(*standby), {});
    EXPECT_TRUE(session.on_standby());
    const BackupStop end = session.finish();
    EXPECT_TRUE(end.label.from_standby());
    EXPECT_GE(end.stop, session.start());
}

TEST_P(BackupSessionTest, IsVoidOnceTheStandbyIsPromoted) {
    PostgresServer& primary = PostgresServer::shared(GetParam());
    const auto standby = PostgresServer::standby_of(primary);
    BackupSession watched(settings_of(*standby), {});
    BackupSession unwatched(settings_of(*standby), {});
    standby->promote();
    expect_error(ErrorCode::unavailable, [&] { watched.check(); }, "promoted");
    expect_error(ErrorCode::unavailable, [&] { unwatched.finish(); }, "promoted");
}

TEST_P(BackupSessionTest, IsRefusedWhereThePrimaryWritesNoFullPages) {
    PostgresServer primary({.version = GetParam()});
    const auto standby = PostgresServer::standby_of(primary);
    BackupSession under_way(settings_of(*standby), {});
    primary.execute("ALTER SYSTEM SET full_page_writes = off");
    primary.reload();
    primary.execute("SELECT pg_switch_wal()");
    primary.execute("CHECKPOINT");
    standby->catch_up_with(primary);
    expect_error(ErrorCode::unsupported, [&] { under_way.finish(); }, "full_page_writes");
    standby->execute("CHECKPOINT"); // its own restart point: now the setting is in its control file too
    expect_error(
        ErrorCode::unsupported, [&] { BackupSession(settings_of(*standby), {}); }, "full_page_writes");
}

TEST_P(BackupSessionTest, PastItsLimitSaysWhoHoldsItAndStopsCleanly) {
    // A spread checkpoint that takes most of an hour, since there is enough to write.
    PostgresServer server(
        {.version = GetParam(),
         .settings = "checkpoint_timeout = 1h\ncheckpoint_completion_target = 0.9\nshared_buffers = 32MB\n"
                     "bgwriter_lru_maxpages = 0"});
    server.execute("CREATE TABLE t AS SELECT i, repeat('x', 500) FROM generate_series(1, 20000) i");
    try {
        BackupSession session(settings_of(server), {.fast_checkpoint = false, .limit = 1s});
        FAIL() << "it started at once";
    } catch (const BackupTimedOut& error) {
        EXPECT_EQ(error.code(), ErrorCode::timed_out);
        EXPECT_TRUE(error.retryable());
        EXPECT_NE(error.held_up().waits_for.find("Checkpoint"), std::string::npos) << error.message();
        ASSERT_EQ(error.held_up().holders.size(), 1u) << error.message();
        EXPECT_EQ(error.held_up().holders[0].backend_type, "checkpointer");
    }
    BackupSession again(settings_of(server), {.fast_checkpoint = true, .limit = 60s});
    EXPECT_TRUE(again.finish().stop);
}

TEST_P(BackupSessionTest, LocksAreFollowedToWhoHoldsThem) {
    PostgresServer& server = PostgresServer::shared(GetParam());
    server.execute("CREATE TABLE locked (i int)");
    Connection holder = server.connect();
    holder.execute("BEGIN; LOCK TABLE locked IN SHARE MODE");
    Connection middle = server.connect();
    Connection last = server.connect();
    Connection watcher({.conninfo = server.conninfo()});
    std::stop_source stop;
    const auto block = [&](Connection& connection) {
        const std::string pid = std::to_string(connection.backend_pid());
        std::jthread waits([&] {
            EXPECT_EQ(code_of([&] { connection.execute("LOCK TABLE locked", stop.get_token()); }),
                      "cancelled");
        });
        while (watcher.query_value("SELECT cardinality(pg_blocking_pids($1::int)) > 0", {pid}) != "t") {
        }
        return waits;
    };
    middle.execute("BEGIN");
    last.execute("BEGIN");
    const int last_pid = last.backend_pid();
    const std::jthread first = block(middle);
    const std::jthread second = block(last);
    const HeldUp held = who_holds_up(watcher, last_pid);
    EXPECT_EQ(held.waits_for, "Lock relation");
    ASSERT_EQ(held.holders.size(), 2u) << held.str();
    const Holder& root = held.holders[0].pid == holder.backend_pid() ? held.holders[0] : held.holders[1];
    EXPECT_EQ(root.pid, holder.backend_pid());
    EXPECT_EQ(root.state, "idle in transaction");
    EXPECT_NE(root.lock.find("ShareLock on locked"), std::string::npos) << root.lock;
    EXPECT_NE(root.str().find("LOCK TABLE locked"), std::string::npos) << root.str();
    stop.request_stop();
    holder.execute("ROLLBACK");
}
