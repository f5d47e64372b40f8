// What would be lost with a real server: the age of the oldest commit that is not stored.
#include "service/exposure.h"
#include "support/protected_source.h"

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using test::PostgresServer;
using test::ProtectedSource;
using testing::HasSubstr;

class ExposureOf : public testing::TestWithParam<int> {
  protected:
    // Through its files, or (without) as it sends its log.
    enum class Files { seen, unseen };

    Exposure measured(const PostgresServer& server, Files files, const std::string& user = "postgres") const {
        const postgres::RecoverySource from =
            postgres::load_recovery_source(source.repository(), source.name());
        return measure_exposure(
            {server.conninfo("postgres", user), files == Files::seen ? server.data_directory() : ""},
            source.repository(), from, postgres::recovery_window(from), {});
    }
    static Timestamp now_at(const PostgresServer& server) {
        return Timestamp(std::chrono::microseconds(std::stoll(
            server.query_value("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"))));
    }
    // Log of which no transaction is the reason, as a server writes it by itself.
    static void move_without_commit(const PostgresServer& server) {
        server.execute("CHECKPOINT");
        server.execute("SELECT pg_create_restore_point('nothing happened')");
    }

    ProtectedSource source;
};

INSTANTIATE_TEST_SUITE_P(Versions, ExposureOf, testing::ValuesIn(test::postgres_versions));

TEST_P(ExposureOf, OfAnIdleServerIsNothingThoughItsLogGoesOn) {
    const PostgresServer server({.version = GetParam(), .settings = "autovacuum = off\n"});
    source.back_up(server);
    server.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS i");
    source.push(server);
    const Timestamp stored = now_at(server);
    // Transactions that write, and are undone, are nothing that could be lost.
    server.execute("BEGIN; INSERT INTO t SELECT generate_series(1, 1000); ROLLBACK");
    move_without_commit(server);
    for (const Files files : {Files::seen, Files::unseen}) {
        const Exposure exposure = measured(server, files);
        ASSERT_TRUE(exposure.known) << exposure.unknown;
        EXPECT_GT(exposure.known->bytes, 0U);
        EXPECT_LE(exposure.known->last_stored, stored);
        EXPECT_EQ(exposure.bound, "");
        EXPECT_FALSE(exposure.since);
        EXPECT_EQ(exposure.seconds(stored + std::chrono::hours(24)), 0.0);
    }
}

TEST_P(ExposureOf, CountsFromTheOldestCommitThatIsNotStored) {
    const PostgresServer server({.version = GetParam(), .settings = "autovacuum = off\n"});
    source.back_up(server);
    server.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS i");
    source.push(server);
    move_without_commit(server);
    const Timestamp before = now_at(server);
    server.execute("INSERT INTO t VALUES (1)");
    const Timestamp after = now_at(server);
    // Archiving stands still over several segments.
    for (int i = 0; i < 3; ++i) server.execute("INSERT INTO t VALUES (2); SELECT pg_switch_wal()");
    for (const Files files : {Files::seen, Files::unseen}) {
        const Exposure exposure = measured(server, files);
        ASSERT_TRUE(exposure.since) << exposure.unknown << exposure.bound;
        EXPECT_EQ(exposure.bound, "");
        EXPECT_GE(*exposure.since, before);
        EXPECT_LE(*exposure.since, after);
        EXPECT_GE(*exposure.seconds(after + std::chrono::minutes(20)), 20 * 60);
    }
    source.push(server);
    EXPECT_EQ(measured(server, Files::unseen).seconds(after + std::chrono::hours(1)), 0.0);
    server.execute("INSERT INTO t VALUES (3)");
    const Exposure last = measured(server, Files::seen);
    ASSERT_TRUE(last.since);
    EXPECT_GT(*last.since, after);
}

TEST_P(ExposureOf, IsABoundWhereTheLogCannotBeRead) {
    const PostgresServer server({.version = GetParam(),
                                 .wal_segment_mib = 1,
                                 .settings = "autovacuum = off\nmax_wal_size = 2MB\nmin_wal_size = 2MB\n"
                                             "wal_keep_size = 0\n"});
    server.execute("CREATE ROLE humble LOGIN");
    source.back_up(server);
    server.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS i");
    source.push(server);
    const Timestamp stored = now_at(server);
    move_without_commit(server);
    const Exposure unread = measured(server, Files::unseen, "humble");
    ASSERT_TRUE(unread.since) << unread.unknown;
    EXPECT_LE(*unread.since, stored);
    EXPECT_EQ(*unread.since, unread.known->last_stored);
    EXPECT_THAT(unread.bound, HasSubstr("humble may not replicate"));
    // The files need no role.
    EXPECT_EQ(measured(server, Files::seen, "humble").bound, "");

    for (int i = 0; i < 8; ++i) {
        server.execute("INSERT INTO t VALUES (1); SELECT pg_switch_wal()");
        server.execute("CHECKPOINT");
    }
    for (const Files files : {Files::seen, Files::unseen}) {
        const Exposure removed = measured(server, files);
        ASSERT_TRUE(removed.since) << removed.unknown;
        EXPECT_EQ(*removed.since, removed.known->last_stored);
        EXPECT_NE(removed.bound, "");
    }
}

TEST_P(ExposureOf, IsFollowedThroughAPromotion) {
    PostgresServer primary({.version = GetParam(), .settings = "autovacuum = off\nwal_keep_size = 1GB\n"});
    source.back_up(primary);
    const auto standby = PostgresServer::standby_of(primary); // it has all log from here on
    primary.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS i");
    source.push(primary);
    move_without_commit(primary);
    standby->catch_up_with(primary);
    for (const Files files : {Files::seen, Files::unseen})
        EXPECT_EQ(measured(*standby, files).seconds(now_at(primary)), 0.0)
            << measured(*standby, files).unknown;
    standby->promote();
    const std::string history = postgres::history_name(2);
    EXPECT_FALSE(measured(*standby, Files::seen).known) << "nothing leads to timeline 2 yet";
    push_wal(source.repository(), standby->data_directory() + "/pg_wal/" + history, source.push_settings(),
             {});
    for (const Files files : {Files::seen, Files::unseen}) {
        const Exposure idle = measured(*standby, files);
        ASSERT_TRUE(idle.known) << idle.unknown;
        EXPECT_EQ(idle.bound, "");
        EXPECT_FALSE(idle.since);
    }
    const Timestamp before = now_at(*standby);
    standby->execute("INSERT INTO t VALUES (1)");
    for (const Files files : {Files::seen, Files::unseen}) {
        const Exposure exposure = measured(*standby, files);
        ASSERT_TRUE(exposure.since) << exposure.unknown;
        EXPECT_EQ(exposure.bound, "");
        EXPECT_GE(*exposure.since, before);
    }
}

// Asking for the log must not let commits return that wait for a standby.
TEST_P(ExposureOf, LookingCountsAsNoSynchronousStandby) {
    const PostgresServer server({.version = GetParam(), .settings = "autovacuum = off\n"});
    source.back_up(server);
    server.execute("CREATE TABLE t (i int)");
    source.push(server);
    server.add_settings("synchronous_standby_names = '*'\n");
    server.reload();
    const std::jthread commits([&server] { server.execute("INSERT INTO t VALUES (1)"); });
    // Whatever becomes of this: the commit ends.
    struct LetIn {
        const PostgresServer& server;
        ~LetIn() {
            server.add_settings("synchronous_standby_names = ''\n");
            server.reload();
        }
    } const let_in{server};
    const auto waiting = [&server] {
        return server.query_value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    };
    while (waiting() != "1") std::this_thread::sleep_for(std::chrono::milliseconds(10));
    for (int i = 0; i < 5; ++i) {
        const Exposure exposure = measured(server, Files::unseen);
        EXPECT_TRUE(exposure.since) << exposure.unknown << exposure.bound;
        EXPECT_EQ(waiting(), "1");
    }
}

} // namespace
} // namespace holdfast
