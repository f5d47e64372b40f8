// What goes wrong around backups of real servers, and what the snapshots are worth then.
#include "base/error.h"
#include "support/cluster_rows.h"
#include "support/error_matchers.h"
#include "support/protected_source.h"
#include "support/snapshot_files.h"

#include <filesystem>
#include <fstream>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

namespace fs = std::filesystem;
namespace test = holdfast::test;
using holdfast::test::AtRest;
using holdfast::test::ClusterRows;
using holdfast::test::compare_with_files;
using holdfast::test::PostgresOptions;
using holdfast::test::PostgresServer;
using holdfast::test::PostgresStop;
using holdfast::test::ProtectedSource;
using testing::HasSubstr;

// More than 16 MiB, so that its pages are told apart, and always of the same size.
constexpr const char* make_large = "CREATE TABLE large (i int, v int) WITH (fillfactor = 10)";
constexpr const char* fill_large = "INSERT INTO large SELECT i, i % 7 FROM generate_series(1, 50000) i";

PostgresOptions options_of(int version, const std::string& settings = "wal_keep_size = 1GB\n") {
    return {.version = version, .settings = "autovacuum = off\nmax_wal_size = 1GB\n" + settings};
}

void write_some(const PostgresServer& server) {
    server.execute(
        "CREATE TABLE IF NOT EXISTS w (i int, t text); INSERT INTO w SELECT i, repeat(md5(i::text), "
        "8) FROM generate_series(1, 3000) i");
}

class BadDays : public testing::Test {
  protected:
    // That the snapshot is what a full read finds, and comes back with the rows that the server has.
    void expect_right(const PostgresServer& server, const PostgresBackupResult& result) {
        EXPECT_EQ(result.report.snapshot.state, SnapshotState::complete);
        EXPECT_EQ(compare_with_files(source.repository(), result.report.snapshot, server.data_directory(),
                                     result.log.begin, AtRest::yes)
                      .differences,
                  "");
        PostgresRestore what = source.restore_to(RecoverToConsistency{});
        what.request.snapshot = result.report.snapshot.id;
        const auto recovered = source.recover(what);
        EXPECT_EQ(test::row_difference(cluster_rows(server), cluster_rows(*recovered)), "");
    }

    static void expect_incremental(const PostgresBackupResult& result) {
        EXPECT_TRUE(result.incremental) << result.full_because;
    }

    ProtectedSource source;
};

class BadDaysOf : public BadDays, public testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(Versions, BadDaysOf, testing::Values(15, 17, 18));

TEST_F(BadDays, LogThatWasRemovedTooEarlyCostsAFullReadAndNoMore) {
    PostgresOptions options = options_of(15, "wal_keep_size = 0\nmin_wal_size = 2MB\n");
    options.settings += "max_wal_size = 2MB\n";
    options.wal_segment_mib = 1;
    PostgresServer server(options);
    write_some(server);
    source.back_up(server);
    for (int i = 0; i < 8; ++i) {
        write_some(server);
        server.execute("SELECT pg_switch_wal()");
        server.execute("CHECKPOINT");
    }
    server.add_settings("wal_keep_size = 1GB");
    server.reload();
    PostgresBackup what = source.backup_of(server);
    what.type = PostgresBackupType::incremental;
    test::expect_error(
        ErrorCode::unavailable, [&] { source.back_up(what); }, "neither in the archive nor at");
    const PostgresBackupResult second = source.back_up(server);
    EXPECT_FALSE(second.incremental);
    EXPECT_THAT(second.full_because, HasSubstr("neither in the archive nor at"));
    expect_right(server, second);
    expect_incremental(source.back_up(server));
}

TEST_P(BadDaysOf, AfterChecksumsAreSwitchedOnEverythingIsRead) {
    PostgresOptions options = options_of(GetParam());
    options.checksums = false;
    PostgresServer server(options);
    server.execute(make_large);
    server.execute(fill_large);
    source.back_up(server);
    server.stop();
    const auto run =
        server.run_tool("pg_checksums", {"--enable", "--no-sync", "-D", server.data_directory()});
    ASSERT_EQ(run.exit_code, 0) << run.error;
    server.start();
    const PostgresBackupResult second = source.back_up(server);
    EXPECT_THAT(second.full_because, HasSubstr("checksums"));
    PostgresRestore what = source.restore_to(RecoverToEnd{});
    const auto recovered = source.recover(what);
    recovered->stop();
    const auto check = recovered->run_tool("pg_checksums", {"--check", "-D", what.target});
    EXPECT_EQ(check.exit_code, 0) << check.out << check.error;
    expect_incremental(source.back_up(server));
}

// File numbers come back when the counter of object numbers has gone round; the mode of upgrades lets one
// choose.
TEST_F(BadDays, AfterPgResetwalEverythingIsRead) {
    PostgresServer server(options_of(15));
    write_some(server);
    source.back_up(server);
    write_some(server);
    server.stop();
    const auto reset = server.run_tool("pg_resetwal", {"--force", "--pgdata=" + server.data_directory()});
    ASSERT_EQ(reset.exit_code, 0) << reset.error;
    server.start();
    write_some(server);
    const PostgresBackupResult second = source.back_up(server);
    EXPECT_FALSE(second.incremental);
    EXPECT_THAT(second.full_because, HasSubstr("is neither in the archive nor at"));
    expect_right(server, second);
}

// The last snapshot is of the new primary; the next one of the old one, whose files were on another branch.
TEST_P(BadDaysOf, AServerThatWasRewoundIsReadAsItsNewTimelineSays) {
    PostgresServer old(options_of(GetParam()));
    old.execute(make_large);
    old.execute(fill_large);
    write_some(old);
    source.back_up(old);
    const auto now = PostgresServer::standby_of(old);
    now->catch_up_with(old);
    now->promote();
    old.execute("UPDATE large SET v = -1 WHERE i % 50 = 0");
    write_some(old);
    old.stop();
    write_some(*now);
    const PostgresBackupResult promoted = source.back_up(*now);
    EXPECT_FALSE(promoted.incremental) << "it is on another timeline";

    const auto rewound = old.run_tool("pg_rewind", {"--target-pgdata=" + old.data_directory(),
                                                    "--source-server=" + now->conninfo(), "--no-sync"});
    ASSERT_EQ(rewound.exit_code, 0) << rewound.error;
    std::ofstream(old.data_directory() + "/standby.signal").flush();
    PostgresServer::give(old.data_directory());
    old.add_settings(fmt::format("primary_conninfo = '{}'\n", now->conninfo()));
    old.start();
    now->execute("UPDATE large SET v = v + 1 WHERE i % 1000 = 0");
    now->execute("CHECKPOINT");
    old.catch_up_with(*now);
    old.execute("CHECKPOINT"); // from where its backup begins
    const PostgresBackupResult second = source.back_up(old);
    expect_incremental(second);
    expect_right(old, second);
}

// The standby's last checkpoint is that of the shutdown: there is nothing to replay, and no target is met.
TEST_P(BadDaysOf, AStandbyWhosePrimaryWasShutDownComesBack) {
    PostgresServer primary(options_of(GetParam()));
    write_some(primary);
    const auto standby = PostgresServer::standby_of(primary);
    standby->catch_up_with(primary);
    primary.stop();
    const PostgresBackupResult result = source.back_up(*standby);
    expect_right(*standby, result);
}

TEST_F(BadDays, ATableUnderTheFileNumberOfADroppedOne) {
    PostgresServer server(options_of(15));
    server.execute(make_large);
    server.execute(fill_large);
    const std::string file = server.query_value("SELECT pg_relation_filepath('large')");
    const std::string number = fs::path(file).filename();
    const auto size = fs::file_size(fs::path(server.data_directory()) / file);
    ASSERT_GT(size, 16u << 20);
    source.back_up(server);
    server.execute("DROP TABLE large");
    server.execute("CHECKPOINT");
    server.set_arguments({"-b"});
    server.restart();
    {
        auto session = server.connect();
        session.execute(fmt::format("SELECT binary_upgrade_set_next_heap_pg_class_oid({0}), "
                                    "binary_upgrade_set_next_heap_relfilenode({0}), "
                                    "binary_upgrade_set_next_pg_type_oid(70001), "
                                    "binary_upgrade_set_next_array_pg_type_oid(70002)",
                                    number));
        session.execute(make_large);
        session.execute("INSERT INTO large SELECT -i, i % 5 FROM generate_series(1, 50000) i");
    }
    server.set_arguments({});
    server.restart();
    ASSERT_EQ(server.query_value("SELECT pg_relation_filepath('large')"), file);
    const PostgresBackupResult second = source.back_up(server);
    EXPECT_TRUE(second.incremental) << second.full_because;
    ASSERT_EQ(fs::file_size(fs::path(server.data_directory()) / file), size);
    expect_right(server, second);
}

TEST_P(BadDaysOf, ADatabaseThatWasCopiedOverTheFilesOfADroppedOne) {
    PostgresServer server(options_of(GetParam()));
    const auto copy = [&](const char* from) {
        server.execute(fmt::format("CREATE DATABASE copied TEMPLATE {} STRATEGY file_copy OID 60000", from));
    };
    server.execute("CREATE DATABASE one");
    server.execute(make_large, "one");
    server.execute(fill_large, "one");
    server.execute("CREATE DATABASE two TEMPLATE one STRATEGY file_copy");
    // In place, so that both have the same files of the same sizes.
    server.execute("UPDATE large SET v = 100 WHERE i % 400 = 0", "two");
    copy("one");
    const PostgresBackupResult first = source.back_up(server);
    server.execute("DROP DATABASE copied");
    copy("two");
    const PostgresBackupResult second = source.back_up(server);
    EXPECT_TRUE(second.incremental) << second.full_because;
    expect_right(server, second);
}

// A disk that was set back to an earlier state: the server writes another log over the positions that the
// archive has already.
class StorageSetBack : public BadDays, public testing::WithParamInterface<bool> {};
INSTANTIATE_TEST_SUITE_P(Beyond, StorageSetBack, testing::Bool());

TEST_P(StorageSetBack, ItsSnapshotsAreRightOrRefused) {
    const bool beyond_what_is_archived = GetParam();
    PostgresServer server(options_of(15));
    server.execute(make_large);
    server.execute(fill_large);
    source.back_up(server);
    server.stop();
    const std::string earlier = server.make_directory("earlier");
    fs::remove(earlier);
    fs::copy(server.data_directory(), earlier, fs::copy_options::recursive);
    server.start();
    write_some(server);
    server.execute("UPDATE large SET v = -1 WHERE i % 300 = 0");
    source.back_up(server);
    server.execute("UPDATE large SET v = -2 WHERE i % 300 = 1");
    for (int i = 0; i < (beyond_what_is_archived ? 2 : 12); ++i) write_some(server);
    const Lsn begin = source.back_up(server).log.begin;
    server.stop(PostgresStop::kill);
    fs::remove_all(server.data_directory());
    fs::rename(earlier, server.data_directory());
    PostgresServer::give(server.data_directory());
    server.start();
    // The same kind of work, so that records meet where the old ones did.
    write_some(server);
    server.execute("UPDATE large SET v = -3 WHERE i % 300 = 5");
    for (int i = 0; i < (beyond_what_is_archived ? 12 : 1); ++i) {
        write_some(server);
        server.execute("SELECT pg_switch_wal()");
    }
    if (beyond_what_is_archived) {
        // The archive has nothing of what comes, and tells of two logs before it.
        const PostgresBackupResult result = source.back_up(server);
        EXPECT_FALSE(result.incremental) << "from " << begin.str() << " to " << result.log.begin.str();
        EXPECT_THAT(result.full_because, HasSubstr("set back"));
        EXPECT_FALSE(result.alarms.empty());
        expect_right(server, result);
        return;
    }
    const std::optional<Error> error = test::error_of([&] { source.back_up(server); });
    ASSERT_TRUE(error);
    EXPECT_THAT(error->message(), HasSubstr("than this server"));
    // What it says helps.
    server.stop();
    std::ofstream(server.data_directory() + "/standby.signal").flush();
    PostgresServer::give(server.data_directory());
    server.start();
    server.promote();
    const PostgresBackupResult result = source.back_up(server);
    EXPECT_FALSE(result.incremental);
    expect_right(server, result);
}

TEST_F(BadDays, TwoAtOnceOnOneSource) {
    PostgresServer server(options_of(15));
    server.execute(make_large);
    server.execute(fill_large);
    source.back_up(server);
    server.execute("UPDATE large SET v = -1 WHERE i % 300 = 0");
    PostgresBackupResult results[2];
    {
        std::vector<std::jthread> both;
        for (PostgresBackupResult& result : results)
            both.emplace_back([&] { EXPECT_NO_THROW(result = source.back_up(server)); });
    }
    for (const PostgresBackupResult& result : results) expect_right(server, result);
    server.execute("UPDATE large SET v = -2 WHERE i % 300 = 1");
    const PostgresBackupResult last = source.back_up(server);
    EXPECT_TRUE(last.incremental) << last.full_because;
    expect_right(server, last);
}

TEST_F(BadDays, AnotherClusterUnderTheSameNameIsRefusedUntilItIsMeant) {
    PostgresServer server(options_of(15));
    PostgresServer other(options_of(15));
    source.back_up(server);
    test::expect_error(ErrorCode::already_exists, [&] { source.back_up(other); }, "another cluster");
    PostgresBackup mixed = source.backup_of(server);
    mixed.data_directory = other.data_directory();
    test::expect_error(ErrorCode::usage, [&] { source.back_up(mixed); }, "is another cluster");
    PostgresBackup meant = source.backup_of(other);
    meant.new_cluster = true;
    expect_right(other, source.back_up(meant));
}

TEST_F(BadDays, AStandbyThatIsPromotedDuringItsBackup) {
    PostgresServer primary(options_of(15));
    primary.execute(make_large);
    primary.execute(fill_large);
    source.back_up(primary);
    const auto standby = PostgresServer::standby_of(primary);
    standby->catch_up_with(primary);
    PostgresBackup what = source.backup_of(*standby);
    what.type = PostgresBackupType::full;
    what.bytes_per_second = 8u << 20;
    Progress progress;
    std::optional<Error> error;
    std::jthread backup([&] {
        try {
            back_up_postgres(source.repository(), what, progress, {});
        } catch (const Error& said) {
            error = said;
        }
    });
    while (progress.done_bytes() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    standby->promote();
    backup.join();
    ASSERT_TRUE(error);
    EXPECT_THAT(error->message(), HasSubstr("promoted"));
    EXPECT_EQ(list_snapshots(source.repository().context()).snapshots.size(), 1U);
    write_some(*standby);
    const PostgresBackupResult next = source.back_up(*standby);
    EXPECT_THAT(next.full_because, HasSubstr("timeline"));
    expect_right(*standby, next);
}

TEST_F(BadDays, ThousandsOfSmallFiles) {
    PostgresServer server(options_of(15));
    server.execute(
        "DO $$ BEGIN FOR i IN 1..1500 LOOP EXECUTE format('CREATE TABLE small_%s (i int PRIMARY KEY)', "
        "i); END LOOP; END $$");
    const PostgresBackupResult first = source.back_up(server);
    EXPECT_GT(first.capture.totals.files, 3900U);
    server.execute("INSERT INTO small_700 VALUES (1)");
    const PostgresBackupResult second = source.back_up(server);
    EXPECT_TRUE(second.incremental);
    EXPECT_GT(second.capture.totals.unchanged_files, 3000U);
    expect_right(server, second);
}

// As of one that grew by mistake: all holes.
TEST_F(BadDays, ARelationOfAHundredGigabytesOfHoles) {
    PostgresServer server(options_of(15));
    server.execute("CREATE TABLE huge (i int); INSERT INTO huge VALUES (7)");
    const std::string file =
        server.data_directory() + "/" + server.query_value("SELECT pg_relation_filepath('huge')");
    server.stop();
    for (int segment = 0; segment < 100; ++segment) {
        const std::string path = segment == 0 ? file : fmt::format("{}.{}", file, segment);
        if (segment > 0) std::ofstream(path).flush();
        fs::resize_file(path, std::uintmax_t{1} << 30);
    }
    PostgresServer::give(server.data_directory());
    server.start();
    const PostgresBackupResult first = source.back_up(server);
    EXPECT_EQ(first.report.snapshot.state, SnapshotState::complete);
    EXPECT_GT(first.capture.totals.bytes, std::uint64_t{100} << 30);
    EXPECT_LT(first.capture.bytes_from_disk, std::uint64_t{1} << 30);
    PostgresRestore what = source.restore_to(RecoverToEnd{});
    const auto recovered = source.recover(what);
    EXPECT_EQ(recovered->query_value("SELECT i FROM huge WHERE ctid = '(0,1)'"), "7");
    EXPECT_EQ(recovered->query_value("SELECT pg_relation_size('huge')"),
              std::to_string(std::uint64_t{100} << 30));
}

} // namespace
} // namespace holdfast::postgres
