// Clusters backed up over the replication protocol alone, under way, and brought back.
#include "base/error.h"
#include "integration/postgres/data_directory.h"
#include "postgres/archive/restored_pages.h"
#include "postgres/server/backup_session.h"
#include "repository/protocol/snapshot_list.h"
#include "support/error_matchers.h"
#include "support/protected_source.h"

#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

namespace fs = std::filesystem;
using holdfast::test::expect_error;
using holdfast::test::Instance;
using holdfast::test::postgres_versions;
using test::PostgresServer;
using testing::HasSubstr;

class Protection : public holdfast::test::ProtectedSource {
  public:
    std::vector<Snapshot> snapshots() const { return list_snapshots(repository().context()).snapshots; }

    PostgresBackup over_protocol(const PostgresServer& server, const std::string& role = "holdfast") const {
        PostgresBackup what = backup_of(server);
        what.connection = server.conninfo("postgres", role);
        what.data_directory.clear();
        what.spool_directory.clear();
        return what;
    }
    PostgresBackupResult back_up(const PostgresBackup& what, std::stop_token stop = {}) const {
        Progress progress;
        PostgresBackupResult result = back_up_postgres(repository(), what, progress, std::move(stop));
        EXPECT_EQ(progress.total_bytes() > 0, what.data_directory.empty());
        return result;
    }
    PostgresBackupResult back_up(const PostgresServer& server) const {
        return back_up(over_protocol(server));
    }

    PostgresRestoreResult restore(RecoveryTarget target, const std::string& tablespace = {}) {
        PostgresRestore what = restore_to(std::move(target));
        if (!tablespace.empty()) what.tablespaces = {{tablespace, new_place("space")}};
        return ProtectedSource::restore(what);
    }
};

// Writes until it is destroyed.
class Load {
  public:
    explicit Load(const PostgresServer& server)
        : thread_([&server](const std::stop_token& stop) {
              Connection session = server.connect();
              for (int i = 0; !stop.stop_requested(); ++i) {
                  session.execute(fmt::format(
                      "INSERT INTO t SELECT {0} * 1000 + g, md5(g::text), 0 FROM generate_series(1, 200) g; "
                      "UPDATE t SET n = n + 1 WHERE id % 53 = {1}",
                      1000 + i, i % 53));
                  std::this_thread::sleep_for(std::chrono::milliseconds(20));
              }
          }) {}

  private:
    std::jthread thread_;
};

constexpr const char* digest_of_all = "SELECT md5(string_agg(row, '|' ORDER BY row)) FROM ("
                                      "SELECT 't' || t::text AS row FROM public.t UNION ALL "
                                      "SELECT 's' || s::text FROM public.s) AS rows";

void make_tables(PostgresServer& server, int rows) {
    server.execute("CREATE ROLE holdfast LOGIN REPLICATION");
    server.execute("CREATE TABLESPACE space LOCATION '" + server.make_directory("space") + "'");
    server.execute(fmt::format("CREATE TABLE t AS SELECT i AS id, md5(i::text) || repeat('x', 200) AS v, 0 "
                               "AS n FROM generate_series(1, {}) i",
                               rows));
    server.execute("CREATE TABLE s TABLESPACE space AS SELECT i AS id, md5(i::text) AS v FROM "
                   "generate_series(1, 3000) i");
    server.execute("CREATE UNLOGGED TABLE forgotten AS SELECT generate_series(1, 1000) AS i");
    server.execute("VACUUM");
}

} // namespace

class StreamBackup : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(Version, StreamBackup, testing::ValuesIn(postgres_versions),
                         testing::PrintToStringParamName());

TEST_P(StreamBackup, UnderLoadItComesBackAtATime) {
    PostgresServer server(
        {.version = GetParam(), .settings = "wal_keep_size = '1GB'\nshared_buffers = 2MB\nfsync = off"});
    make_tables(server, 70'000); // more than 16 MiB
    Protection protection;
    PostgresBackupResult first;
    {
        const Load load(server);
        first = protection.back_up(server);
    }
    EXPECT_EQ(first.report.snapshot.state, SnapshotState::complete);
    EXPECT_FALSE(first.incremental);
    EXPECT_FALSE(was_incremental(first.report.snapshot));
    EXPECT_THAT(first.full_because, HasSubstr("replication protocol"));
    EXPECT_EQ(first.capture.pages.bad_pages, 0U);
    EXPECT_GT(first.capture.bytes_from_disk, 30'000'000U);

    server.execute("DELETE FROM t WHERE id % 3 = 0; INSERT INTO s VALUES (-1, 'in time')");
    const std::string digest = server.query_value(digest_of_all);
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    const Timestamp then = system_clock().now();
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    server.execute("DROP TABLE t");
    protection.push(server);

    const PostgresRestoreResult restored = protection.restore(RecoverToTime{then}, "space");
    EXPECT_EQ(restored.plan.snapshot.id, first.report.snapshot.id);
    EXPECT_GT(restored.restored->manifest_files, 500U);
    const auto verified =
        server.run_tool("pg_verifybackup", {"--no-parse-wal", restored.restored->data_directory});
    EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.error;
    EXPECT_EQ(Instance(protection.start(restored)).value(digest_of_all), digest);
}

TEST_P(StreamBackup, ASecondOneAddsWhatHasChangedWhicheverWayItIsMade) {
    PostgresServer server({.version = GetParam(), .settings = "fsync = off"});
    make_tables(server, 70'000);
    Protection protection;
    const PostgresBackupResult first = protection.back_up(server);
    server.execute("UPDATE t SET n = 1 WHERE id = 7");
    PostgresBackup what = protection.over_protocol(server);
    what.type = PostgresBackupType::incremental;
    const PostgresBackupResult second = protection.back_up(what);
    const SnapshotTotals& totals = second.report.snapshot.totals;
    EXPECT_GT(totals.bytes, 35'000'000U);
    EXPECT_LT(totals.new_bytes, 1'000'000U);
    EXPECT_LT(totals.stored_bytes, 300'000U);
    EXPECT_GT(totals.unchanged_files, totals.files * 9 / 10);
    EXPECT_GT(totals.changed_files, 0U);

    // From the data directory: what the log names is read, the rest is as the stream brought it.
    what.connection = server.conninfo();
    what.data_directory = server.data_directory();
    what.spool_directory = protection.spool_directory();
    const PostgresBackupResult beside = protection.back_up(what);
    EXPECT_TRUE(beside.incremental);
    EXPECT_TRUE(was_incremental(beside.report.snapshot));
    EXPECT_LT(beside.report.snapshot.totals.new_bytes, 1'000'000U);
    EXPECT_EQ(beside.report.snapshot.totals.files, totals.files);
    EXPECT_EQ(beside.report.snapshot.totals.directories, totals.directories);
    what.type = PostgresBackupType::full;
    EXPECT_LT(protection.back_up(what).report.snapshot.totals.new_bytes, 1'000'000U);
    EXPECT_LT(protection.back_up(server).report.snapshot.totals.new_bytes, 1'000'000U);

    const PostgresRestoreResult restored = protection.restore(RecoverToEnd{}, "space");
    EXPECT_EQ(Instance(protection.start(restored)).value(digest_of_all), server.query_value(digest_of_all));
}

TEST_P(StreamBackup, ABadPageIsReportedAndTheBackupMarked) {
    PostgresServer server({.version = GetParam(), .settings = "fsync = off"});
    make_tables(server, 2000);
    const std::string path = server.query_value("SELECT pg_relation_filepath('t')");
    server.stop();
    {
        std::fstream file(server.data_directory() + "/" + path,
                          std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(3 * 8192 + 5000);
        file << "damage";
    }
    server.start();
    Protection protection;
    const PostgresBackupResult result = protection.back_up(server);
    EXPECT_EQ(result.report.snapshot.state, SnapshotState::partial);
    ASSERT_EQ(result.capture.pages.bad_pages, 1U);
    EXPECT_EQ(result.capture.pages.bad[0].path, path);
    EXPECT_EQ(result.capture.pages.bad[0].block, 3U);
}

TEST_P(StreamBackup, AServerThatIsKilledMeanwhileIsAnErrorAndNothingIsCommitted) {
    PostgresServer server({.version = GetParam(), .settings = "fsync = off"});
    make_tables(server, 10'000);
    Protection protection;
    PostgresBackup what = protection.over_protocol(server);
    what.bytes_per_second = 8 << 20;
    {
        const std::jthread killer([&] {
            while (server.query_value("SELECT count(*) FROM pg_stat_replication WHERE state = 'backup'") !=
                   "1") {
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(200));
            server.stop(holdfast::test::PostgresStop::kill);
        });
        expect_error(ErrorCode::unavailable, [&] { protection.back_up(what); });
    }
    EXPECT_TRUE(protection.snapshots().empty());
    server.start();
    EXPECT_EQ(protection.back_up(server).report.snapshot.state, SnapshotState::complete);
}

TEST_P(StreamBackup, AfterAStopTheNextGoesOn) {
    PostgresServer server({.version = GetParam(), .settings = "fsync = off"});
    make_tables(server, 10'000);
    Protection protection;
    PostgresBackup what = protection.over_protocol(server);
    what.bytes_per_second = 16 << 20;
    std::stop_source stop;
    {
        const std::jthread stopper([&] {
            while (server.query_value("SELECT count(*) FROM pg_stat_replication WHERE state = 'backup'") !=
                   "1") {
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(500));
            stop.request_stop();
        });
        expect_error(ErrorCode::cancelled, [&] { protection.back_up(what, stop.get_token()); });
    }
    EXPECT_TRUE(protection.snapshots().empty());
    const PostgresBackupResult next = protection.back_up(server);
    EXPECT_TRUE(next.report.resumed);
    EXPECT_EQ(next.report.snapshot.state, SnapshotState::complete);
    // What it had the server keep goes with its session.
    while (server.query_value("SELECT count(*) FROM pg_replication_slots") != "0") {
    }
}

TEST_P(StreamBackup, OfAStandbyItComesBackUnlessThatIsPromotedMeanwhile) {
    PostgresServer primary({.version = GetParam(), .settings = "wal_keep_size = '1GB'\nfsync = off"});
    make_tables(primary, 10'000);
    primary.execute("DROP TABLE s"); // a standby on the same host has no other place for its tablespace
    primary.execute("DROP TABLESPACE space");
    primary.execute("CREATE TABLE s (id int, v text)");
    const auto standby = PostgresServer::standby_of(primary);
    primary.execute("CHECKPOINT");
    primary.execute("INSERT INTO s VALUES (1, 'late')");
    standby->catch_up_with(primary);
    Protection protection;
    const PostgresBackupResult result = protection.back_up(*standby);
    EXPECT_EQ(result.report.snapshot.state, SnapshotState::complete);
    const PostgresRestoreResult restored = protection.restore(RecoverToEnd{});
    EXPECT_EQ(Instance(protection.start(restored)).value(digest_of_all), primary.query_value(digest_of_all));

    PostgresBackup what = protection.over_protocol(*standby);
    what.bytes_per_second = 8 << 20;
    {
        const std::jthread promoter([&] {
            while (standby->query_value("SELECT count(*) FROM pg_stat_replication WHERE state = 'backup'") !=
                   "1") {
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
            standby->promote();
        });
        expect_error(ErrorCode::unavailable, [&] { protection.back_up(what); }, "promoted during a backup");
    }
    EXPECT_EQ(protection.snapshots().size(), 1U);
}

TEST_P(StreamBackup, APageThatTheLogRestoresIsNotBad) {
    PostgresServer server({.version = GetParam(), .settings = "autovacuum = off\nfsync = off"});
    make_tables(server, 2000);
    server.execute("CREATE TABLE calm AS SELECT * FROM t");
    server.execute("VACUUM");
    server.execute("CHECKPOINT");
    const Lsn begin = *parse_lsn(server.query_value("SELECT pg_current_wal_insert_lsn()"));
    server.execute("UPDATE t SET n = 1 WHERE ctid = '(5,1)'");
    Protection protection;
    protection.push(server);
    const Lsn end = *parse_lsn(server.query_value("SELECT pg_current_wal_lsn()"));
    const Lsn last{end.value / (16 << 20) * (16 << 20)};

    const auto page = [&](const std::string& table, Fork fork, std::uint32_t block) {
        BadPage bad;
        bad.path = server.query_value("SELECT pg_relation_filepath('" + table + "')");
        bad.segment = parse_data_path(bad.path).segment();
        bad.segment.relation.fork = fork;
        bad.block = block;
        return bad;
    };
    PageFindings findings;
    findings.bad = {page("t", Fork::main, 5), page("t", Fork::main, 6), page("calm", Fork::main, 5),
                    page("t", Fork::visibility_map, 0), page("calm", Fork::visibility_map, 0)};
    findings.bad_pages = findings.bad.size();
    findings.unsettled = {page("calm", Fork::main, 7)};
    const WalArchive archive(
        protection.repository().context(),
        wal_archive_id(protection.repository().keys(), "orders",
                       std::stoull(server.query_value("SELECT system_identifier FROM pg_control_system()"))));
    settle_by_log(findings, archive, {1, begin, last}, 131072, true);
    EXPECT_TRUE(findings.unsettled.empty());
    EXPECT_EQ(findings.bad_pages, 4U);
    std::vector<std::pair<Fork, std::uint32_t>> left;
    for (const BadPage& bad : findings.bad) left.emplace_back(bad.segment.relation.fork, bad.block);
    EXPECT_THAT(left, testing::UnorderedElementsAre(std::pair(Fork::main, 6U), std::pair(Fork::main, 5U),
                                                    std::pair(Fork::main, 7U),
                                                    std::pair(Fork::visibility_map, 0U)));
}

TEST_P(StreamBackup, WhatCannotBeSaysWhatToDo) {
    PostgresServer& server = PostgresServer::shared(GetParam());
    Protection protection;
    PostgresBackup what = protection.over_protocol(server, "postgres");
    const auto refusal = [&] {
        try {
            protection.back_up(what);
        } catch (const Error& error) {
            return error;
        }
        return Error(ErrorCode::internal, "it was not refused");
    };
    what.compare = true;
    EXPECT_THAT(refusal().message(), HasSubstr("--compare needs the data directory"));
    what.compare = false;
    what.type = PostgresBackupType::incremental;
    EXPECT_THAT(refusal().message(), HasSubstr("no earlier snapshot"));
    what.type = PostgresBackupType::automatic;
    what.data_directory = "/nowhere/at/all";
    EXPECT_THAT(refusal().hint(), HasSubstr("leave data_directory out"));
    what.data_directory.clear();
    server.execute("CREATE ROLE plain LOGIN");
    what.connection = server.conninfo("postgres", "plain");
    EXPECT_EQ(refusal().code(), ErrorCode::access_denied);
    server.execute("DROP ROLE plain");
    EXPECT_TRUE(protection.snapshots().empty());
}

TEST(StreamBackupOfTablespacesInPlace, IsRefusedWhereServersLeaveThemOut) {
    for (const int version : {15, 17}) {
        PostgresServer server(
            {.version = version, .settings = "allow_in_place_tablespaces = on\nfsync = off"});
        server.execute("CREATE TABLESPACE here LOCATION ''");
        server.execute("CREATE TABLE t AS SELECT generate_series(1, 100) AS i");
        server.execute("CREATE TABLE s TABLESPACE here AS SELECT generate_series(1, 1000) AS i");
        Protection protection;
        const PostgresBackup what = protection.over_protocol(server, "postgres");
        if (version < 16) {
            expect_error(ErrorCode::unsupported, [&] { protection.back_up(what); }, "the tablespace here");
            EXPECT_TRUE(protection.snapshots().empty());
            continue;
        }
        protection.back_up(what);
        const PostgresRestoreResult restored = protection.restore(RecoverToEnd{});
        EXPECT_EQ(Instance(protection.start(restored)).value(digest_of_all),
                  server.query_value(digest_of_all));
    }
}

TEST_P(StreamBackup, PastItsLimitWhoHoldsTheCheckpointUpIsTold) {
    PostgresServer server({.version = GetParam(),
                           .settings = "checkpoint_timeout = 1h\ncheckpoint_completion_target = 0.9\n"
                                       "bgwriter_lru_maxpages = 0\nfsync = off"});
    server.execute("CREATE TABLE t AS SELECT i, repeat('x', 500) FROM generate_series(1, 20000) i");
    Protection protection;
    PostgresBackup what = protection.over_protocol(server, "postgres");
    what.fast_checkpoint = false;
    what.wait_limit = std::chrono::seconds(1);
    try {
        protection.back_up(what);
        FAIL() << "it started at once";
    } catch (const BackupTimedOut& error) {
        ASSERT_EQ(error.held_up().holders.size(), 1U) << error.message();
        EXPECT_EQ(error.held_up().holders[0].backend_type, "checkpointer");
    }
    while (server.query_value("SELECT count(*) FROM pg_stat_replication") != "0") {
    }
}

} // namespace holdfast::postgres
