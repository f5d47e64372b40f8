// A restore that is killed, at several moments, and then done again.
#include "base/error.h"
#include "support/cluster_rows.h"
#include "support/protected_source.h"

#include <csignal>
#include <filesystem>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

namespace fs = std::filesystem;
using holdfast::test::cluster_rows;
using holdfast::test::ClusterRows;
using holdfast::test::PostgresServer;
using holdfast::test::ProgramRun;
using holdfast::test::row_difference;
using holdfast::test::RunningProgram;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// A cluster with a tablespace, what its rows are, and all of its log stored.
class Source : public holdfast::test::ProtectedCluster {
  public:
    explicit Source(int version) : ProtectedCluster(version) {
        server.execute("CREATE TABLESPACE space LOCATION '" + server.make_directory("space") + "'");
        server.execute("CREATE TABLE t AS SELECT i AS id, md5(i::text) || md5((i + 1)::text) AS v FROM "
                       "generate_series(1, 60000) i");
        server.execute("CREATE TABLE s TABLESPACE space AS SELECT * FROM t WHERE id % 2 = 0");
        back_up();
        server.execute("UPDATE t SET v = 'new' WHERE id % 10 = 0");
        server.execute("INSERT INTO s SELECT -id, v FROM t WHERE id % 3 = 0");
        rows = cluster_rows(server);
        push();
    }

    ClusterRows rows;
};

class KilledRestore : public testing::TestWithParam<int> {
  protected:
    std::vector<std::string> command(const std::string& to, const std::string& space) const {
        return {"restore", source.name(), "--to", to, "--tablespace", "space=" + space};
    }
    // Slowly enough that a moment can be met.
    std::unique_ptr<RunningProgram> begin(std::vector<std::string> words) const {
        source.hand_over();
        words.insert(words.begin(),
                     {source.program(), "--config", source.configuration_file(), "--limit-download", "1M"});
        return std::make_unique<RunningProgram>(
            words, holdfast::test::RunOptions{
                       .environment = {{"XDG_STATE_HOME", source.repository_directory() + "/../state"}}});
    }
    // Of regular files; some may come and go meanwhile.
    static std::uint64_t bytes_in(const std::string& directory) {
        std::uint64_t bytes = 0;
        std::error_code error;
        for (fs::recursive_directory_iterator entry(directory, error), end; !error && entry != end;
             entry.increment(error)) {
            std::error_code gone;
            const std::uint64_t size = entry->is_regular_file(gone) ? entry->file_size(gone) : 0;
            if (!gone) bytes += size;
        }
        return bytes;
    }
    // Kills a restore once `met`; whether it was not over before.
    bool kill_when(const std::vector<std::string>& words, const std::function<bool()>& met) const {
        const auto program = begin(words);
        while (!met() && !program->ended()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        program->signal(SIGKILL);
        return program->finish().exit_code == 128 + SIGKILL;
    }

    Source& source = holdfast::test::shared_cluster<Source>(GetParam());
};

TEST_P(KilledRestore, IsToldAndGoesOnInPlace) {
    const std::string whole = source.new_place("whole"), its_space = source.new_place("space");
    ASSERT_EQ(source.run_program(command(whole, its_space)).exit_code, 0);
    const std::uint64_t all_bytes = bytes_in(whole);
    for (const unsigned hundredths : {0U, 20U, 60U, 90U}) {
        const std::string target = source.new_place("restored"), space = source.new_place("space");
        const auto reached = [&] {
            std::error_code none;
            return fs::exists(target + "/PG_VERSION", none) &&
                   bytes_in(target) * 100 >= all_bytes * hundredths;
        };
        ASSERT_TRUE(kill_when(command(target, space), reached)) << hundredths;
        EXPECT_FALSE(fs::exists(target + "/global/pg_control")) << "a server would start over half of it";
        const ProgramRun again = source.run_program(command(target, space));
        EXPECT_EQ(again.exit_code, 2);
        EXPECT_THAT(again.error, AllOf(HasSubstr("is not empty"), HasSubstr("--in-place")));

        std::vector<std::string> in_place = command(target, space);
        in_place.emplace_back("--in-place");
        // Who goes on may be killed as well.
        const std::uint64_t there = bytes_in(target);
        kill_when(in_place, [&] { return bytes_in(target) > there; });
        const ProgramRun last = source.run_program(in_place);
        ASSERT_EQ(last.exit_code, 0) << last.out << last.error;
        PostgresServer::give(target);
        PostgresServer::give(space);
        const auto server = PostgresServer::over(target, {.version = GetParam()});
        server->start();
        server->wait_until_writable();
        EXPECT_EQ(row_difference(source.rows, cluster_rows(*server)), "") << hundredths;
    }
}

TEST_P(KilledRestore, WithinATablespaceGoesOnWithTheSamePlace) {
    const std::string target = source.new_place("restored"), space = source.new_place("space");
    ASSERT_TRUE(kill_when(command(target, space), [&] { return bytes_in(space) > 0; }));
    std::vector<std::string> in_place = command(target, space);
    in_place.emplace_back("--in-place");
    const ProgramRun last = source.run_program(in_place);
    ASSERT_EQ(last.exit_code, 0) << last.out << last.error;
    PostgresServer::give(target);
    PostgresServer::give(space);
    const auto server = PostgresServer::over(target, {.version = GetParam()});
    server->start();
    server->wait_until_writable();
    EXPECT_EQ(row_difference(source.rows, cluster_rows(*server)), "");
}

TEST_P(KilledRestore, OfChosenDatabasesBeginsAnew) {
    const std::string target = source.new_place("restored"), space = source.new_place("space");
    std::vector<std::string> words = command(target, space);
    words.insert(words.end(), {"--database", "postgres"});
    ASSERT_TRUE(kill_when(words, [&] { return fs::exists(target + "/PG_VERSION"); }));
    const ProgramRun again = source.run_program(words);
    EXPECT_EQ(again.exit_code, 2);
    EXPECT_THAT(again.error, AllOf(HasSubstr("is not empty"), Not(HasSubstr("--in-place"))));
    fs::remove_all(target);
    fs::remove_all(space);
    const ProgramRun last = source.run_program(words);
    EXPECT_EQ(last.exit_code, 0) << last.out << last.error;
}

INSTANTIATE_TEST_SUITE_P(Version, KilledRestore, testing::ValuesIn(holdfast::test::postgres_versions),
                         testing::PrintToStringParamName());

} // namespace
} // namespace holdfast::postgres
