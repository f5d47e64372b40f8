// 'holdfast restore SOURCE' as it is typed: the new cluster protected, lent for a time, and the ways back
// when the first one fails.
#include "base/error.h"
#include "integration/postgres/data_directory.h"
#include "support/protected_source.h"

#include <csignal>
#include <fstream>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace holdfast::postgres {
namespace {

namespace fs = std::filesystem;
using holdfast::test::ProgramRun;
using holdfast::test::shared_cluster;
using testing::HasSubstr;
using testing::Not;

class Source : public holdfast::test::ProtectedCluster {
  public:
    explicit Source(int version) : ProtectedCluster(version) {
        server.execute("CREATE ROLE holdfast LOGIN");
        server.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS i");
        back_up();
        server.execute("INSERT INTO t VALUES (1001)");
        push();
        std::ofstream(configuration_file(), std::ios::app)
            << fmt::format("connection = \"{}\"\n", server.conninfo("postgres", "holdfast"));
    } // Started; what its server is is looked up when it is over.
    ProgramRun restore_by_program(const std::string& target, std::vector<std::string> more) {
        std::vector<std::string> words{
            "--json", "restore", "orders",      "--to",
            target,   "--start", "--pg-bindir", holdfast::test::postgres_programs(server.version())};
        words.insert(words.end(), more.begin(), more.end());
        return run_program(words);
    }
};

// The server over a directory, ended with the test.
class Started {
  public:
    explicit Started(std::string directory) : directory_(std::move(directory)) {}
    ~Started() {
        const auto process = running_server(directory_);
        if (!process) return;
        ::kill(*process, SIGINT);
        while (running_server(directory_)) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    Started(const Started&) = delete;
    Started& operator=(const Started&) = delete;
    std::string value(const std::string& sql) const {
        Connection connection({.conninfo = fmt::format("host={} user=postgres dbname=postgres", directory_)});
        return connection.query_value(sql).value_or("");
    }
    void execute(const std::string& sql) const {
        Connection connection({.conninfo = fmt::format("host={} user=postgres dbname=postgres", directory_)});
        connection.execute(sql);
    }

  private:
    const std::string directory_;
};

class RestoreCommand : public testing::TestWithParam<int> {
  protected:
    Source& source_ = shared_cluster<Source>(GetParam());
};

TEST_P(RestoreCommand, TheNewClusterIsProtectedInOneGo) {
    const std::string target = source_.new_place("restored");
    const Started started(target);
    const ProgramRun run = source_.restore_by_program(target, {"--protect-as", "again"});
    ASSERT_EQ(run.exit_code, 0) << run.out << run.error;
    const nlohmann::json report = nlohmann::json::parse(run.out);
    EXPECT_EQ(started.value("SELECT max(i) FROM public.t"), "1001");
    EXPECT_EQ(report["protected"]["configuration_file"], source_.configuration_file());
    const std::string configuration = test::text_of_file(source_.configuration_file());
    EXPECT_THAT(configuration, HasSubstr("[source.again]\nkind = \"postgresql\"\n"));
    EXPECT_THAT(configuration, HasSubstr(fmt::format("data_directory = \"{}\"\n", target)));
    EXPECT_THAT(configuration, HasSubstr(fmt::format("host={} port=5432 user=holdfast", target)));
    EXPECT_EQ(started.value("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'holdfast'"), "1");
    // That it can be received is looked at, too.
    EXPECT_TRUE(report["problems"].empty()) << report["problems"];
    std::set<std::string> checked;
    for (const nlohmann::json& check : report["protected"]["checks"]) checked.insert(check["check"]);
    EXPECT_TRUE(checked.contains("slot") && checked.contains("replication_connection"))
        << report["protected"];
    // And it is, by the very words that are said.
    const nlohmann::json receive = report["protected"]["receive"];
    EXPECT_EQ(receive, nlohmann::json({"holdfast", "--config", source_.configuration_file(), "wal", "receive",
                                       "again"}));
    std::vector<std::string> words = receive;
    words.front() = source_.program();
    {
        holdfast::test::RunningProgram receiver(
            words, {.environment = {{"XDG_STATE_HOME", source_.new_place("state")}}});
        const char* receiving =
            "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'holdfast' AND active";
        while (started.value(receiving) != "1" && !receiver.ended())
            std::this_thread::sleep_for(std::chrono::milliseconds(50));
        receiver.signal(SIGTERM);
        const ProgramRun received = receiver.finish();
        EXPECT_EQ(received.exit_code, 0)
            << "stopped in its first moments, it has nothing left: " << received.error;
    }
    // As its own, from the section that was written.
    started.execute("INSERT INTO public.t VALUES (2000)");
    const ProgramRun next = source_.run_program({"--json", "backup", "again"});
    EXPECT_EQ(next.exit_code, 0) << next.error;
    const ProgramRun all = source_.run_program({"--json", "snapshots", "--source", "again"});
    const nlohmann::json snapshots = nlohmann::json::parse(all.out);
    ASSERT_EQ(snapshots.size(), 2U) << all.out;
    // The newest before a time.
    const ProgramRun first = source_.run_program({"--json", "snapshots", "--source", "again", "--before",
                                                  snapshots[1]["end"].get<std::string>(), "--newest", "1"});
    EXPECT_EQ(nlohmann::json::parse(first.out).at(0)["id"], snapshots[1]["id"]) << first.out;

    const std::string other = source_.new_place("restored");
    const ProgramRun taken = source_.restore_by_program(other, {"--protect-as", "again"});
    EXPECT_NE(taken.exit_code, 0);
    EXPECT_THAT(taken.error, HasSubstr("has a source 'again' already"));
    EXPECT_FALSE(fs::exists(other)) << "found out too late";
    const ProgramRun unstarted =
        source_.run_program({"restore", "orders", "--to", other, "--protect-as", "third"});
    EXPECT_THAT(unstarted.error, HasSubstr("--start"));
}

TEST_P(RestoreCommand, ItBecomesAStandbyOfTheOriginal) {
    const std::string target = source_.new_place("restored");
    const Started started(target);
    const ProgramRun run = source_.restore_by_program(target, {"--standby-of", source_.server.conninfo()});
    ASSERT_EQ(run.exit_code, 0) << run.out << run.error;
    EXPECT_EQ(started.value("SELECT pg_is_in_recovery()"), "t");
    source_.server.execute("INSERT INTO t VALUES (5000)");
    while (started.value("SELECT count(*) FROM public.t WHERE i = 5000") != "1")
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    source_.server.execute("DELETE FROM t WHERE i = 5000");
}

// Another machine, of which nothing is known: no configuration, no home.
TEST_P(RestoreCommand, NeedsNothingButRepositoryKeyAndProgram) {
    const std::string target = source_.new_place("restored");
    const Started started(target);
    source_.hand_over();
    const ProgramRun run = holdfast::test::run_program(
        {source_.program(), "--key-file", source_.key_file(), "restore", "orders", "--repo",
         source_.repository_directory(), "--to", target, "--start", "--pg-bindir",
         holdfast::test::postgres_programs(source_.server.version())},
        {.environment = {{"XDG_STATE_HOME", source_.new_place("state")}}});
    ASSERT_EQ(run.exit_code, 0) << run.out << run.error;
    EXPECT_EQ(started.value("SELECT max(i) FROM public.t"), "1001");
}

TEST_P(RestoreCommand, TheServerHasNoSecretsInItsEnvironment) {
    const std::string target = source_.new_place("restored");
    const Started started(target);
    source_.hand_over();
    const ProgramRun run = holdfast::test::run_program(
        {source_.program(), "--config", source_.configuration_file(), "restore", "orders", "--to", target,
         "--start", "--pg-bindir", holdfast::test::postgres_programs(source_.server.version())},
        {.environment = {{"XDG_STATE_HOME", source_.new_place("state")},
                         {"AWS_SECRET_ACCESS_KEY", "a secret"},
                         {"HOLDFAST_CACHE_DIRECTORY", source_.new_place("cache")},
                         {"MY_TOKEN", "a third"}}});
    ASSERT_EQ(run.exit_code, 0) << run.out << run.error;
    EXPECT_EQ(started.value("SELECT max(i) FROM public.t"), "1001");
    const auto process = running_server(target);
    ASSERT_TRUE(process);
    const std::string environment = test::text_of_file(fmt::format("/proc/{}/environ", *process));
    EXPECT_THAT(environment, HasSubstr("PATH="));
    for (const char* name : {"SECRET", "HOLDFAST", "TOKEN"}) EXPECT_THAT(environment, Not(HasSubstr(name)));
    EXPECT_FALSE(fs::exists(target + "/holdfast-access")) << "it was for the recovery";
}

TEST_P(RestoreCommand, ItIsLentForATimeAndThenRemoved) {
    const std::string target = source_.new_place("restored");
    const std::string told = source_.new_place("told");
    const Started started(target);
    const ProgramRun run = source_.restore_by_program(
        target, {"--tag", "purpose=drill", "--expires", "1s", "--then",
                 fmt::format("psql \"$HOLDFAST_CONNECTION user=postgres\" -At -c 'SELECT max(i) FROM t' > {}",
                             told)});
    ASSERT_EQ(run.exit_code, 0) << run.out << run.error;
    EXPECT_EQ(test::text_of_file(told), "1001\n");
    const nlohmann::json report = nlohmann::json::parse(run.out);
    EXPECT_EQ(report["tags"]["purpose"], "drill");
    EXPECT_THAT(report["creator"].get<std::string>(), HasSubstr("@"));
    const ProgramRun list = source_.run_program({"--json", "instances"});
    EXPECT_THAT(list.out, HasSubstr(target));
    EXPECT_THAT(list.out, HasSubstr("drill"));
    std::this_thread::sleep_for(std::chrono::seconds(1));
    const ProgramRun removed = source_.run_program({"--json", "instances", "--remove-expired"});
    EXPECT_EQ(removed.exit_code, 0) << removed.error;
    EXPECT_THAT(removed.out, HasSubstr(target));
    EXPECT_FALSE(fs::exists(target));
    EXPECT_FALSE(running_server(target));
    EXPECT_EQ(source_.server.query_value("SELECT max(i) FROM t"), "1001") << "the original stays";
}

TEST_P(RestoreCommand, ACommandThatFailsIsToldAndTheClusterStays) {
    const std::string target = source_.new_place("restored");
    const Started started(target);
    const ProgramRun run = source_.restore_by_program(target, {"--then", "exit 7"});
    EXPECT_EQ(run.exit_code, 3) << run.error;
    EXPECT_THAT(run.error, HasSubstr("the command ended with 7"));
    EXPECT_EQ(started.value("SELECT max(i) FROM public.t"), "1001");
    const ProgramRun removed = source_.run_program({"instances", "--remove", target});
    EXPECT_EQ(removed.exit_code, 0) << removed.error;
    EXPECT_FALSE(fs::exists(target));
}

TEST_P(RestoreCommand, WhatIsNotWhatWasRestoredIsNotRemoved) {
    const std::string target = source_.new_place("restored");
    const ProgramRun run = source_.run_program({"restore", "orders", "--to", target});
    ASSERT_EQ(run.exit_code, 0) << run.error;
    EXPECT_THAT(run.out, HasSubstr("Restoring 'orders' to the end of the log"));
    EXPECT_THAT(run.out, HasSubstr("for the files"));
    fs::remove_all(target);
    fs::create_directory(target);
    std::ofstream(target + "/precious") << "data";
    const ProgramRun removed = source_.run_program({"instances", "--remove", target});
    EXPECT_EQ(removed.exit_code, 3);
    EXPECT_THAT(removed.error, HasSubstr("is not what was restored there"));
    EXPECT_EQ(test::text_of_file(target + "/precious"), "data");
}

// As of a variable that is not set: the end of the log would be another moment than the one that was meant.
TEST_P(RestoreCommand, AnEmptyTargetIsRefused) {
    const std::string target = source_.new_place("restored");
    for (const char* option : {"--at", "--lsn", "--restore-point", "--snapshot"}) {
        const ProgramRun run = source_.run_program({"restore", "orders", "--to", target, option, ""});
        EXPECT_EQ(run.exit_code, 2) << option;
        EXPECT_THAT(run.error, HasSubstr(fmt::format("{}: an empty value", option)));
    }
    EXPECT_EQ(source_.run_program({"restore", "orders", "--to", target, "--xid", "0"}).exit_code, 2);
    EXPECT_EQ(source_.run_program({"restore", "", "--to", target}).exit_code, 2);
    EXPECT_FALSE(fs::exists(target));
}

TEST_P(RestoreCommand, WhatIsDeletedInPlaceIsTold) {
    const std::string target = source_.new_place("restored");
    ASSERT_EQ(source_.run_program({"restore", "orders", "--to", target}).exit_code, 0);
    std::ofstream(target + "/mine") << "mine";
    fs::create_directory(target + "/log");
    const std::vector<std::string> words{"restore", "orders", "--to", target, "--in-place"};
    std::vector<std::string> dry = words;
    dry.emplace_back("--dry-run");
    EXPECT_THAT(source_.run_program(dry).out, HasSubstr("what the snapshot does not have is deleted from"));
    EXPECT_TRUE(fs::exists(target + "/mine"));
    const ProgramRun run = source_.run_program(words);
    EXPECT_EQ(run.exit_code, 0) << run.error;
    EXPECT_THAT(run.out, HasSubstr("that the snapshot does not have"));
    EXPECT_FALSE(fs::exists(target + "/mine"));
}

TEST_P(RestoreCommand, TheFirstStepOfALadderThatWorksIsTheLast) {
    const std::string target = source_.new_place("restored");
    const ProgramRun run = source_.restore_by_program(target, {"--ladder", "--restart-command", "true"});
    ASSERT_EQ(run.exit_code, 0) << run.error;
    const nlohmann::json report = nlohmann::json::parse(run.out);
    EXPECT_TRUE(report["restarted"]);
    EXPECT_EQ(report["steps"].size(), 1U);
    EXPECT_FALSE(fs::exists(target));
}

// A snapshot and three segments of log behind it.
class RestoreLadder : public testing::Test {
  protected:
    RestoreLadder() : source(15), snapshot(source.back_up()) {
        for (int i = 0; i < 3; ++i) {
            source.server.execute("INSERT INTO t VALUES (3000)");
            source.push();
        }
        const fs::path logs = fs::path(source.repository_directory()) / "logs";
        for (const auto& entry : fs::recursive_directory_iterator(logs)) {
            const auto slice = LogSliceId::from_name("logs/" + fs::relative(entry.path(), logs).string());
            if (entry.is_regular_file() && slice && slice->range.begin >= snapshot.log->range.end)
                behind.push_back(entry.path());
        }
        std::ranges::sort(behind);
    }
    nlohmann::json climb(const std::string& target) {
        const ProgramRun run = source.restore_by_program(target, {"--ladder", "--restart-command", "false"});
        if (run.exit_code != 0) throw std::runtime_error(run.out + run.error);
        return nlohmann::json::parse(run.out);
    }

    Source source;
    const Snapshot snapshot;
    std::vector<fs::path> behind;
};

TEST_F(RestoreLadder, BeforeAGapInTheLogThatIsTheEnd) {
    ASSERT_GE(behind.size(), 2U);
    fs::remove(behind[0]);
    const std::string target = source.new_place("restored");
    const Started started(target);
    const nlohmann::json report = climb(target);
    ASSERT_EQ(report["steps"].size(), 3U) << report;
    EXPECT_EQ(report["steps"][0]["step"], "restart");
    EXPECT_THAT(report["steps"][1]["why_not"].get<std::string>(), HasSubstr("is missing"));
    EXPECT_THAT(report["steps"][2]["step"].get<std::string>(), HasSubstr("where the log breaks off"));
    EXPECT_TRUE(report["steps"][2]["done"]);
    EXPECT_EQ(report["snapshot"], snapshot.id.hex());
    EXPECT_EQ(started.value("SELECT max(i) FROM public.t"), "1001");
}

// A recovery that cannot even be planned is no leave to write over what is there.
TEST_F(RestoreLadder, WhatWasThereBeforeIsNotWrittenOver) {
    const std::string target = source.new_place("restored");
    ASSERT_EQ(source.run_program({"restore", "orders", "--to", target}).exit_code, 0);
    std::ofstream(target + "/mine") << "mine";
    const ProgramRun run =
        source.restore_by_program(target, {"--ladder", "--restore-point", "there is none of this name"});
    EXPECT_EQ(run.exit_code, 2) << run.out;
    EXPECT_THAT(run.error, HasSubstr("is not empty"));
    EXPECT_EQ(test::text_of_file(target + "/mine"), "mine");
    EXPECT_FALSE(running_server(target));
}

TEST_F(RestoreLadder, WhatCameBehindTheTargetDoesNotComeBack) {
    const auto refused = [&](const std::vector<std::string>& target_words) {
        const std::string target = source.new_place("restored");
        std::vector<std::string> words{"--ladder"};
        words.insert(words.end(), target_words.begin(), target_words.end());
        const ProgramRun run = source.restore_by_program(target, words);
        EXPECT_EQ(run.exit_code, 1) << run.out;
        EXPECT_FALSE(fs::exists(target));
        return run.error;
    };
    EXPECT_THAT(refused({"--at", to_rfc3339(snapshot.end - std::chrono::seconds(1))}),
                HasSubstr("no snapshot was complete by then"));
    EXPECT_THAT(refused({"--lsn", "0/100"}), HasSubstr("no snapshot is consistent before it"));
    EXPECT_THAT(refused({"--restore-point", "none"}), HasSubstr("none"));
    // Behind the end of the log: what is there is all from before.
    const std::string target = source.new_place("restored");
    const Started started(target);
    const ProgramRun run = source.restore_by_program(
        target, {"--ladder", "--at", to_rfc3339(snapshot.end + std::chrono::hours(1))});
    ASSERT_EQ(run.exit_code, 0) << run.error;
    EXPECT_EQ(nlohmann::json::parse(run.out)["snapshot"], snapshot.id.hex());
}

// It seems to be there, and the server that asks for it learns better.
TEST_F(RestoreLadder, WithItsLogDamagedTheSnapshotIsTheLastStep) {
    ASSERT_GE(behind.size(), 2U);
    fs::resize_file(behind[0], fs::file_size(behind[0]) - 100);
    const std::string target = source.new_place("restored");
    const Started started(target);
    const nlohmann::json report = climb(target);
    ASSERT_EQ(report["steps"].size(), 4U) << report;
    EXPECT_FALSE(report["steps"][1]["done"]);
    EXPECT_FALSE(report["steps"][2]["done"]);
    EXPECT_TRUE(report["steps"][3]["done"]);
    EXPECT_EQ(report["snapshot"], snapshot.id.hex());
    EXPECT_EQ(started.value("SELECT max(i) FROM public.t"), "1001");
}

INSTANTIATE_TEST_SUITE_P(Version, RestoreCommand, testing::Values(15, 18), testing::PrintToStringParamName());

} // namespace
} // namespace holdfast::postgres
