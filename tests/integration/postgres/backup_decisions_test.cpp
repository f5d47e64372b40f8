// Backups that look right and would not be: of the wrong server, behind a storage that was set back, of a
// timeline whose history nobody has archived. What they decide is held against rows that come back.
#include "support/error_matchers.h"
#include "support/protected_source.h"

#include <csignal>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

using namespace holdfast;
using namespace holdfast::postgres;
using namespace holdfast::test;
using testing::HasSubstr;
using testing::IsEmpty;

namespace {

namespace fs = std::filesystem;

constexpr const char* digest_of_rows = "SELECT md5(string_agg(t::text, '|' ORDER BY id)) FROM public.t t";

PostgresOptions small(int version = 15) {
    return {.version = version,
            .wal_segment_mib = 1,
            .settings = "archive_mode = off\nwal_keep_size = 1GB\nmax_wal_size = 64MB\nautovacuum = off\n"};
}

void make_rows(const PostgresServer& server) {
    server.execute("CREATE TABLE t AS SELECT i AS id, md5(i::text) AS v FROM generate_series(1, 5000) i");
}

class BackupDecisions : public testing::Test {
  protected:
    // The rows of the newest snapshot, at the moment when it is consistent.
    std::string restored_rows(const PostgresBackupResult& backup) {
        PostgresRestore what = source.restore_to(RecoverToConsistency{});
        what.request.snapshot = backup.report.snapshot.id;
        what.start = StartSettings{};
        const PostgresRestoreResult result = source.restore(what);
        std::string rows;
        {
            Connection connection({.conninfo = result.started->connection + " user=postgres"});
            rows = connection.query_value(digest_of_rows).value_or("");
        }
        ::kill(result.started->process, SIGINT);
        ::waitpid(result.started->process, nullptr, 0);
        return rows;
    }

    ProtectedSource source;
};

void copy_directory(const std::string& from, const std::string& to) {
    ASSERT_EQ(run_program({"/bin/cp", "-a", from, to}, {}).exit_code, 0);
}

} // namespace

TEST_F(BackupDecisions, ATimelineWhoseHistoryNobodyArchivedIsRecovered) {
    PostgresServer primary(small());
    make_rows(primary);
    const auto standby = PostgresServer::standby_of(primary, {}, small().settings);
    standby->promote();
    standby->execute("UPDATE t SET v = 'promoted' WHERE id % 7 = 0");
    const PostgresBackupResult backup = source.back_up(*standby);
    EXPECT_EQ(backup.log.timeline, 2U);
    EXPECT_THAT(backup.alarms, IsEmpty());
    EXPECT_EQ(restored_rows(backup), standby->query_value(digest_of_rows));
    // Once is enough.
    EXPECT_THAT(source.back_up(*standby).alarms, IsEmpty());
}

TEST_F(BackupDecisions, TheDirectoryOfAnotherServerIsRefused) {
    PostgresServer primary(small());
    make_rows(primary);
    const auto standby = PostgresServer::standby_of(primary, {}, small().settings);
    PostgresBackup what = source.backup_of(primary);
    what.data_directory = standby->data_directory();
    const std::optional<Error> error = error_of([&] { source.back_up(what); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), ErrorCode::usage);
    EXPECT_THAT(error->message(), HasSubstr("is not the data directory of the server that began the backup"));
    what = source.backup_of(*standby);
    EXPECT_EQ(source.back_up(what).report.snapshot.state, SnapshotState::complete);
}

TEST_F(BackupDecisions, AServerThatWasSetBackAndHasGoneOnIsReadWhole) {
    PostgresServer server(small());
    make_rows(server);
    source.back_up(server);
    server.stop();
    const std::string copy = source.new_place("storage");
    copy_directory(server.data_directory(), copy);

    server.start();
    server.execute("UPDATE t SET v = 'forgotten' WHERE id % 3 = 0");
    server.execute("CHECKPOINT");
    const PostgresBackupResult before = source.back_up(server);
    ASSERT_TRUE(before.incremental) << before.full_because;
    server.stop();

    fs::remove_all(server.data_directory());
    copy_directory(copy, server.data_directory());
    server.start();
    // Past everything that the archive knows of.
    for (int i = 0; i < 4; ++i) {
        server.execute("INSERT INTO t SELECT 10000 + i, repeat('x', 500) FROM generate_series(1, 4000) i");
        server.execute("DELETE FROM t WHERE id > 10000");
    }
    const PostgresBackupResult after = source.back_up(server);
    EXPECT_FALSE(after.incremental);
    EXPECT_THAT(after.full_because, HasSubstr("set back"));
    EXPECT_FALSE(after.alarms.empty());
    EXPECT_EQ(restored_rows(after), server.query_value(digest_of_rows));
}
