// Recovery settings, taken by real servers: to each kind of target, from an archive.
#include "integration/postgres/data_directory.h"
#include "postgres/files/recovery_settings.h"

#include <map>
#include <thread>

#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

using holdfast::test::postgres_versions;
using test::PostgresServer;
using test::text_of_file;

constexpr std::string_view configuration_file = "postgresql.auto.conf";
constexpr std::string_view restore_point = "it's \\ here";

// One row for each transaction, and what is known of it.
struct Commit {
    std::uint64_t xid;
    Timestamp time;
    Lsn end;
};

// A server with a base backup, and six commits after it in its archive; the restore point is behind the
// second.
struct Source {
    explicit Source(int version) : server({.version = version, .settings = "track_commit_timestamp = on\n"}) {
        archive = server.make_directory("archive");
        server.add_settings("archive_mode = on\narchive_command = 'cp %p " + archive + "/%f'\n");
        server.restart();
        server.execute("CREATE TABLE t (i int)");
        base = server.make_directory("base");
        std::filesystem::remove(base);
        server.base_backup(base);
        for (int i = 1; i <= 6; ++i) commit(i);
        const std::string last = server.query_value("SELECT pg_walfile_name(pg_current_wal_lsn())");
        server.execute("SELECT pg_switch_wal()");
        while (server.query_value("SELECT last_archived_wal >= '" + last + "' FROM pg_stat_archiver") !=
               "t") {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
    }

    void commit(int row) {
        auto session = server.connect();
        const std::string xid = *session.query_value("WITH row AS (INSERT INTO public.t VALUES ($1::int) "
                                                     "RETURNING 1) SELECT pg_current_xact_id() FROM row",
                                                     {std::to_string(row)});
        const std::string time =
            *session.query_value("SELECT to_char(pg_xact_commit_timestamp($1::text::xid) AT TIME ZONE 'UTC', "
                                 "'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')",
                                 {xid});
        const std::string end = *session.query_value("SELECT pg_current_wal_insert_lsn()");
        commits.push_back({std::stoull(xid), from_rfc3339(time), *parse_lsn(end)});
        if (row == 2) session.query("SELECT pg_create_restore_point($1)", {std::string(restore_point)});
    }

    // Made when it is first asked for, and kept for the other tests of the version.
    static Source& of(int version) {
        static std::map<int, std::unique_ptr<Source>> sources;
        auto& source = sources[version];
        if (!source) source = std::make_unique<Source>(version);
        return *source;
    }

    PostgresServer server;
    std::string archive;
    std::string base;
    std::vector<Commit> commits;
    int copies = 0;
};

class RecoverySettingsOnAServer : public testing::TestWithParam<int> {
  protected:
    RecoverySettings to(RecoveryTarget target, bool inclusive = true) const {
        RecoverySettings settings;
        settings.target = std::move(target);
        settings.inclusive = inclusive;
        settings.restore_command = "cp " + source_.archive + "/%f %p";
        // Or the timelines that the copies begin would be in the archive, and followed by the next one.
        settings.more = {{"archive_mode", "off"}};
        return settings;
    }

    // A copy of the base backup, recovered; its rows' number is what the target says.
    std::unique_ptr<PostgresServer> recovered(const RecoverySettings& settings,
                                              const std::string& before = {}) {
        const std::filesystem::path copy =
            source_.server.make_directory("copy" + std::to_string(++source_.copies));
        std::filesystem::remove(copy);
        std::filesystem::copy(source_.base, copy, std::filesystem::copy_options::recursive);
        const std::filesystem::path configuration = copy / configuration_file;
        std::ofstream(configuration, std::ios::app) << before;
        const std::string with = with_recovery_lines(text_of_file(configuration), recovery_lines(settings));
        std::ofstream(configuration, std::ios::trunc) << with;
        std::ofstream(copy / signal_file(settings)).flush();
        auto server = PostgresServer::over(copy, {.version = GetParam()});
        server->start();
        while (!settings.standby && server->query_value("SELECT pg_is_in_recovery()") == "t") {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
        return server;
    }
    std::string rows_at(const RecoverySettings& settings) {
        return recovered(settings)->query_value("SELECT count(*) FROM t");
    }

    Source& source_ = Source::of(GetParam());
};

TEST_P(RecoverySettingsOnAServer, StopWhereTheyShould) {
    EXPECT_EQ(rows_at(to(RecoverToConsistency{})), "0");
    EXPECT_EQ(rows_at(to(RecoverToName{std::string(restore_point)})), "2");
    EXPECT_EQ(rows_at(to(RecoverToTime{source_.commits[2].time}, true)), "3");
    EXPECT_EQ(rows_at(to(RecoverToTime{source_.commits[2].time}, false)), "2");
    EXPECT_EQ(rows_at(to(RecoverToXid{source_.commits[3].xid}, true)), "4");
    EXPECT_EQ(rows_at(to(RecoverToXid{source_.commits[3].xid}, false)), "3");
    EXPECT_EQ(rows_at(to(RecoverToLsn{source_.commits[4].end}, false)), "5");
    EXPECT_EQ(rows_at(to(RecoverToEnd{})), "6");
}

TEST_P(RecoverySettingsOnAServer, WinOverTheCopiedServersAndAreRemovedAgain) {
    RecoverySettings settings = to(RecoverToXid{source_.commits[0].xid});
    const std::string odd = "a'b\\c\nd\re # $x ''";
    settings.more.emplace_back("holdfast.test", odd);
    settings.timeline = 1;
    const std::string before = "recovery_target_name = 'elsewhere'\nrestore_command = 'false'\n"
                               "primary_slot_name = 'old'\nrecovery_target_action = 'shutdown'\n";
    const auto server = recovered(settings, before);
    EXPECT_EQ(server->query_value("SELECT count(*) FROM t"), "1");
    EXPECT_EQ(server->query_value("SHOW holdfast.test"), odd);
    EXPECT_EQ(server->query_value("SHOW primary_slot_name"), "");
    EXPECT_EQ(server->query_value("SELECT count(*) FROM pg_file_settings WHERE error IS NOT NULL"), "0");
}

TEST_P(RecoverySettingsOnAServer, AStandbyStaysOne) {
    RecoverySettings settings = to(RecoverToEnd{});
    settings.standby = true;
    settings.primary_connection = source_.server.conninfo();
    const auto standby = recovered(settings);
    standby->catch_up_with(source_.server);
    EXPECT_EQ(standby->query_value("SELECT pg_is_in_recovery()"), "t");
    EXPECT_EQ(standby->query_value("SELECT count(*) FROM t"), "6");
}

INSTANTIATE_TEST_SUITE_P(Version, RecoverySettingsOnAServer, testing::ValuesIn(postgres_versions),
                         testing::PrintToStringParamName());

} // namespace
} // namespace holdfast::postgres
