// A data directory that was copied, and both servers running: with one system identifier, on one timeline,
// into one archive.
#include "base/error.h"
#include "integration/postgres/data_directory.h"
#include "support/protected_source.h"

#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

namespace fs = std::filesystem;
using holdfast::test::PostgresServer;
using holdfast::test::ProgramRun;
using holdfast::test::ProtectedSource;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* settings = "wal_keep_size = '1GB'\n";

class SplitBrain : public testing::Test {
  protected:
    SplitBrain() {
        first.execute("CREATE TABLE t (who text, i int, filler text)");
        source.back_up(first);
        write(first, "both", 400, 300);
        common_time = first.query_value("SELECT clock_timestamp() AT TIME ZONE 'UTC'");
        write(first, "both", 100, 300);
        source.push(first);
        first.stop();
        const std::string copy = first.make_directory("copy");
        fs::remove(copy);
        fs::copy(first.data_directory(), copy, fs::copy_options::recursive);
        first.start();
        second = PostgresServer::over(copy, {.version = 15, .settings = settings});
        second->start();
        for (int round = 0; round < 3; ++round) {
            write(first, "first", 1000, 3000);
            write(*second, "second", 700, 4100);
            source.push(round == 1 ? first : *second);
            source.push(round == 1 ? *second : first);
        }
    }

    static void write(const PostgresServer& server, const std::string& who, int rows, int length) {
        server.execute(fmt::format("INSERT INTO t SELECT '{}', i, string_agg(md5(i || '{}' || j), '') FROM "
                                   "generate_series(1, {}) i, generate_series(1, {}) j GROUP BY i",
                                   who, who, rows, length / 32));
    }
    RecoveryWindow window() const {
        return recovery_window(load_recovery_source(source.repository(), "orders"));
    }
    PostgresRestore restore_to_branch(const std::string& branch) {
        PostgresRestore what = source.restore_to(RecoverToEnd{});
        what.request.branches = {branch};
        return what;
    }
    static std::string rows(const PostgresServer& server) {
        return server.query_value(
            "SELECT string_agg(who || ' ' || count, ', ' ORDER BY who) FROM (SELECT who, "
            "count(*) FROM t GROUP BY who) AS c");
    }

    ProtectedSource source;
    PostgresServer first{{.version = 15, .locale = "C.UTF-8", .settings = settings}};
    std::unique_ptr<PostgresServer> second;
    std::string common_time;
};

TEST_F(SplitBrain, ARecoveryHasTheRowsOfOneOfThem) {
    const RecoveryWindow both = window();
    ASSERT_THAT(both.forks, SizeIs(1));
    ASSERT_THAT(both.forks[0].branches, SizeIs(2));
    EXPECT_FALSE(both.forks[0].decided);
    const Error refusal = source.refusal(source.restore_to(RecoverToEnd{}));
    EXPECT_EQ(refusal.code(), ErrorCode::not_found);
    for (const LogBranch& branch : both.forks[0].branches)
        EXPECT_THAT(refusal.message(), HasSubstr(branch.name));
    EXPECT_THAT(refusal.hint(), HasSubstr("--branch"));

    std::vector<std::string> found;
    for (const LogBranch& branch : both.forks[0].branches) {
        const auto recovered = source.recover(restore_to_branch(branch.name));
        found.push_back(rows(*recovered));
        // What a server at work writes does not come from here again.
        recovered->execute("INSERT INTO t VALUES ('later', 1, '')");
    }
    EXPECT_THAT(found, testing::UnorderedElementsAre("both 500, first 3000", "both 500, second 2100"));
}

TEST_F(SplitBrain, WhatLiesBeforeNeedsNoChoice) {
    const auto recovered = source.recover(source.restore_to(RecoverToTime{
        from_rfc3339(fmt::format("{}T{}Z", common_time.substr(0, 10), common_time.substr(11)))}));
    EXPECT_EQ(rows(*recovered), "both 400");
}

TEST_F(SplitBrain, TheNextSnapshotOfTheOneThatStaysDecides) {
    second->stop();
    // Behind all that the other one has stored.
    write(first, "first", 1000, 3000);
    write(first, "first", 1000, 3000);
    source.push(first);
    source.back_up(first);
    write(first, "later", 10, 100);
    source.push(first);
    const auto recovered = source.recover(source.restore_to(RecoverToEnd{}));
    EXPECT_EQ(rows(*recovered), "both 500, first 5000, later 10");
}

TEST_F(SplitBrain, TheProgramNamesBothAndTakesAChoice) {
    std::ofstream(source.configuration_file(), std::ios::app)
        << fmt::format("connection = \"{}\"\n", first.conninfo());
    const ProgramRun verify = source.run_program({"wal", "verify", "orders"});
    const ProgramRun shown = source.run_program({"window", "orders"});
    EXPECT_NE(verify.exit_code, 0);
    const RecoveryWindow both = window();
    ASSERT_THAT(both.forks, SizeIs(1));
    for (const LogBranch& branch : both.forks[0].branches) {
        EXPECT_THAT(verify.out + verify.error, HasSubstr(branch.name));
        EXPECT_THAT(shown.out, HasSubstr(branch.name));
    }
    const std::string segment = segment_name(1, both.forks[0].at, std::uint64_t{16} << 20);
    const ProgramRun fetched =
        source.run_program({"wal", "fetch", "orders", segment, source.new_place("fetched")});
    EXPECT_EQ(fetched.exit_code, 200) << "nobody has said whose it is to be";
    EXPECT_THAT(fetched.error, HasSubstr("2 logs of timeline 1"));
    const LogBranch& chosen = both.forks[0].branches[1];
    const std::string target = source.new_place("restored");
    const ProgramRun run = source.run_program({"restore", "orders", "--to", target, "--branch", chosen.name});
    ASSERT_EQ(run.exit_code, 0) << run.error;
    EXPECT_THAT(run.out, HasSubstr(fmt::format("{} to", chosen.name)));
    EXPECT_THAT(run.out, HasSubstr("is used"));
    EXPECT_THAT(test::text_of_file(target + "/postgresql.auto.conf"), HasSubstr("--slices"));
    EXPECT_THAT(test::text_of_file(target + "/holdfast-log-slices"), HasSubstr("logs/"));
}

} // namespace
} // namespace holdfast::postgres
