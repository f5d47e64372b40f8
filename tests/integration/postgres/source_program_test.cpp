// 'window', 'doctor', 'setup postgresql' and 'wal push' as they are typed, against real servers.
#include "support/protected_source.h"
#include "support/source_user.h"

#include <filesystem>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace holdfast;
using namespace holdfast::test;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

namespace {

constexpr const char* keeps_log = "wal_keep_size = '1GB'\nfsync = off\n";

class WindowProgram : public SourceUser {};
class DoctorProgram : public SourceUser {
  protected:
    // The check of this name; a test failure when there is none.
    static nlohmann::json check_of(const nlohmann::json& checks, const std::string& name) {
        for (const nlohmann::json& check : checks)
            if (check.at("check") == name) return check;
        ADD_FAILURE() << "no check " << name << " in " << checks;
        return {{"state", "missing"}, {"found", ""}, {"mend", ""}};
    }
    static std::string step_of(const nlohmann::json& report, const std::string& what) {
        for (const nlohmann::json& step : report.at("steps"))
            if (step.at("what") == what) return step.at("state");
        return "missing";
    }
    static void let_in(const PostgresServer& server, const std::string& rules) {
        std::ofstream(server.data_directory() + "/pg_hba.conf", std::ios::trunc) << rules;
        server.reload();
    }
};
class PushProgram : public SourceUser {
  protected:
    // What a push of one segment says of it.
    std::string push(const std::string& path) {
        const nlohmann::json said = json({"wal", "push", "orders", path, "--batch", "1"});
        return said.at("files").at(0).at("outcome");
    }
};

} // namespace

TEST_F(WindowProgram, TellsTheMomentsTheExposureAndWhatARecoveryWouldUse) {
    const PostgresServer server({.version = 15, .settings = keeps_log});
    configure(server);
    init();
    EXPECT_THAT(failure({"window", "orders"}, 1), HasSubstr("has no log of source orders"));

    const std::string snapshot = json({"backup", "orders"}).at("snapshot");
    server.execute("CREATE TABLE t AS SELECT generate_series(1, 10000) AS i");
    push_all(server);
    const nlohmann::json window = json({"window", "orders"});
    ASSERT_THAT(window.at("ranges"), SizeIs(1));
    const nlohmann::json range = window.at("ranges").at(0);
    EXPECT_EQ(range.at("timeline"), 1);
    EXPECT_EQ(range.at("snapshots"), nlohmann::json::array({snapshot}));
    EXPECT_LT(from_rfc3339(range.at("from").get<std::string>()),
              from_rfc3339(range.at("until").get<std::string>()));
    EXPECT_THAT(window.at("gaps"), IsEmpty());

    // What comes now is stored nowhere.
    server.execute("INSERT INTO t SELECT generate_series(1, 50000)");
    EXPECT_GT(json({"window", "orders"}).at("exposure").at("bytes").get<std::uint64_t>(), 1'000'000U);
    EXPECT_THAT(run({"status"}).out, HasSubstr("not stored    the last "));
    const std::string until = range.at("until");
    const ProgramRun text = run({"window", "orders", "--at", until});
    EXPECT_EQ(text.exit_code, 0) << text.error;
    EXPECT_THAT(text.out, HasSubstr("'orders' can be recovered to any moment from " +
                                    range.at("from").get<std::string>() + " to " + until));
    EXPECT_THAT(text.out, HasSubstr("Not stored yet: "));
    EXPECT_THAT(text.out, HasSubstr("To " + until + ": snapshot " + snapshot.substr(0, 8)));
    EXPECT_THAT(text.out, HasSubstr("of log on timeline 1"));
    const nlohmann::json plan = json({"window", "orders", "--at", until}).at("plan");
    EXPECT_EQ(plan.at("snapshot"), snapshot);
    EXPECT_GT(plan.at("snapshot_bytes").get<std::uint64_t>(), 1'000'000U);
    EXPECT_GT(plan.at("log_bytes").get<std::uint64_t>(), 0U);

    EXPECT_THAT(failure({"window", "orders", "--at", "2026-11-21T10:00:00"}, 2), HasSubstr("zone"));
    EXPECT_THAT(failure({"window", "orders", "--at", "2001-01-01T10:00:00Z"}, 1),
                HasSubstr("no snapshot was complete by then"));
}

TEST_F(WindowProgram, WithoutItsServerTheRepositoryIsEnough) {
    PostgresServer server({.version = 15, .settings = keeps_log});
    configure(server);
    init();
    json({"backup", "orders"});
    EXPECT_EQ(json({"window", "orders"}).count("exposure"), 1U);
    server.stop();
    const nlohmann::json window = json({"window", "orders"});
    EXPECT_THAT(window.at("ranges"), SizeIs(1));
    EXPECT_EQ(window.count("exposure"), 0U);
    EXPECT_NE(window.at("exposure_unknown"), "");
    const ProgramRun text = run({"window", "orders"});
    EXPECT_EQ(text.exit_code, 0);
    EXPECT_THAT(text.out, HasSubstr("What is not stored yet is not known: "));
    EXPECT_THAT(text.out, HasSubstr("since the last commit that is, at most"));
}

TEST_F(DoctorProgram, SaysWhatIsAmissAndIsContentOnceSetUpAndInitHaveMendedIt) {
    PostgresServer server(
        {.version = 15,
         .settings = "wal_level = minimal\nmax_wal_senders = 0\nmax_slot_wal_keep_size = 1GB\n"});
    server.execute("CREATE ROLE holdfast LOGIN");
    configure(server, "holdfast", "slot = 'holdfast'\n");
    const nlohmann::json sick = json({"doctor", "orders"}, 1);
    for (const char* name : {"wal_level", "role_replication", "role_backup", "slot", "repository"}) {
        EXPECT_EQ(check_of(sick, name).at("state"), "failed") << name;
        EXPECT_NE(check_of(sick, name).at("found"), "") << name;
    }
    EXPECT_EQ(check_of(sick, "connection").at("state"), "ok");
    const ProgramRun text = run({"doctor", "orders"});
    EXPECT_EQ(text.exit_code, 1);
    EXPECT_THAT(text.out, HasSubstr("failed   role_replication"));
    EXPECT_THAT(text.out, HasSubstr("mend: ALTER ROLE \"holdfast\" REPLICATION;"));

    const std::string administrator = server.conninfo();
    const Words setup{"setup", "postgresql", "--connection", administrator};
    const ProgramRun planned =
        run({"setup", "postgresql", "--connection", administrator, "--dry-run", "--quiet"});
    EXPECT_EQ(planned.exit_code, 0) << planned.out << planned.error;
    EXPECT_THAT(planned.out, AllOf(HasSubstr("planned  role holdfast: ALTER ROLE \"holdfast\" LOGIN"),
                                   HasSubstr("Restart the server for: wal_level, max_wal_senders")));
    EXPECT_EQ(check_of(json({"doctor", "orders"}, 1), "role_replication").at("state"), "failed")
        << "a dry run changed something";
    // Without replication there is no slot yet.
    const nlohmann::json first = json(setup, 3);
    EXPECT_EQ(first.at("restart_for"), (nlohmann::json{"wal_level", "max_wal_senders"}));
    EXPECT_EQ(step_of(first, "slot holdfast"), "refused");
    server.restart();
    EXPECT_EQ(step_of(json(setup), "slot holdfast"), "done");
    EXPECT_EQ(step_of(json(setup), "slot holdfast"), "present");

    EXPECT_EQ(check_of(json({"doctor", "orders"}, 1), "repository").at("state"), "failed");
    init();
    const nlohmann::json sound = json({"doctor", "orders"});
    for (const nlohmann::json& check : sound) {
        // How full the disk of the tests is is no matter of the server's.
        if (check.at("check").get<std::string>().ends_with("_space")) continue;
        EXPECT_EQ(check.at("state"), "ok") << check;
    }
    EXPECT_EQ(run({"doctor", "orders"}).exit_code, 0);
}

TEST_F(DoctorProgram, WhereTheServerAsksForAPasswordSaysWhereOneBelongs) {
    const PostgresServer server({.version = 15});
    server.execute("SET password_encryption = 'scram-sha-256'; CREATE ROLE holdfast LOGIN PASSWORD 'sesame'");
    let_in(server, "local all postgres trust\nlocal all all scram-sha-256\n");
    configure(server, "holdfast");
    init();
    const nlohmann::json connection = check_of(json({"doctor", "orders"}, 1), "connection");
    EXPECT_EQ(connection.at("state"), "failed");
    EXPECT_THAT(connection.at("found").get<std::string>(), HasSubstr("password"));
    EXPECT_THAT(connection.at("mend").get<std::string>(),
                AllOf(HasSubstr(".pgpass"), HasSubstr("passfile=")));
    EXPECT_THAT(failure({"backup", "orders"}, 1), HasSubstr(".pgpass"));
    EXPECT_THAT(failure({"setup", "postgresql", "--connection", server.conninfo("postgres", "holdfast")}, 1),
                HasSubstr(".pgpass"));

    const std::string passwords = scratch.file("home") + "/.pgpass";
    const auto let_password_be = [&](const std::string& password) {
        std::ofstream(passwords, std::ios::trunc) << "*:*:*:holdfast:" << password << "\n";
        std::filesystem::permissions(passwords, std::filesystem::perms(0600));
    };
    let_password_be("wrong");
    EXPECT_THAT(check_of(json({"doctor", "orders"}, 1), "connection").at("mend").get<std::string>(),
                HasSubstr("password of the connection"));
    let_password_be("sesame");
    EXPECT_EQ(check_of(json({"doctor", "orders"}, 1), "connection").at("state"), "ok");
}

TEST_F(DoctorProgram, TellsThatTheRepositoryHasAnotherClusterUnderThisName) {
    const PostgresServer server({.version = 15, .settings = keeps_log});
    const PostgresServer other({.version = 15, .settings = keeps_log});
    configure(server);
    init();
    json({"backup", "orders"});
    EXPECT_EQ(check_of(json({"doctor", "orders"}, 1), "identity").at("state"), "ok");
    configure(other);
    const nlohmann::json identity = check_of(json({"doctor", "orders"}, 1), "identity");
    EXPECT_EQ(identity.at("state"), "failed");
    EXPECT_THAT(identity.at("found").get<std::string>(), HasSubstr("is another cluster than this one"));
    EXPECT_THAT(identity.at("mend").get<std::string>(),
                AllOf(HasSubstr("correct the connection"), HasSubstr("--new-cluster")));
}

TEST_F(DoctorProgram, TellsThatNothingCanBeStored) {
    const PostgresServer server({.version = 15, .settings = keeps_log});
    configure(server);
    init();
    const nlohmann::json well = json({"doctor", "orders"}, 1);
    for (const char* name :
         {"repository", "repository_role", "repository_writable", "repository_clock", "spool"})
        EXPECT_EQ(check_of(well, name).at("state"), "ok") << check_of(well, name);
    const std::string place = repository() + "/probe";
    EXPECT_EQ(objects("probe"), 0U) << "something was left";

    const std::string reader = scratch.file("reader");
    json({"key", "add", "--label", "reader", "--role", "read", "--new-key-file", reader});
    RunOptions as_reader = options;
    as_reader.environment["HOLDFAST_KEY_FILE"] = reader;
    const nlohmann::json role = check_of(json({"doctor", "orders"}, 1, as_reader), "repository_role");
    EXPECT_EQ(role.at("state"), "failed");
    EXPECT_THAT(role.at("mend").get<std::string>(), HasSubstr("--role write"));

    std::filesystem::remove_all(place);
    std::ofstream(place) << "no directory";
    std::ofstream(scratch.file("spool")) << "no directory";
    const nlohmann::json sick = json({"doctor", "orders"}, 1);
    for (const char* name : {"repository_writable", "spool"}) {
        EXPECT_EQ(check_of(sick, name).at("state"), "failed") << name;
        EXPECT_NE(check_of(sick, name).at("mend"), "") << name;
    }
}

TEST_F(DoctorProgram, LooksAtRoleAndSlotsThoughTheSourceNamesNoSlot) {
    PostgresServer server({.version = 15, .settings = keeps_log});
    server.execute("CREATE ROLE holdfast LOGIN");
    server.execute("SELECT pg_create_physical_replication_slot('holdfast', true)");
    server.execute("SELECT pg_create_physical_replication_slot('forgotten', true)");
    configure(server, "holdfast");
    init();
    const nlohmann::json checks = json({"doctor", "orders"}, 1);
    EXPECT_EQ(check_of(checks, "role_replication").at("state"), "warning");
    EXPECT_EQ(check_of(checks, "archive_mode").at("state"), "failed");
    EXPECT_THAT(check_of(checks, "archive_mode").at("mend").get<std::string>(), HasSubstr("wal receive"));
    EXPECT_EQ(check_of(checks, "slot").at("state"), "warning");
    EXPECT_THAT(check_of(checks, "slot").at("mend").get<std::string>(), HasSubstr("slot = \"holdfast\""));
    const nlohmann::json slots = check_of(checks, "other_slots");
    EXPECT_EQ(slots.at("state"), "warning");
    EXPECT_THAT(slots.at("found").get<std::string>(), HasSubstr("forgotten keeps"));
    EXPECT_THAT(slots.at("mend").get<std::string>(), HasSubstr("pg_drop_replication_slot('forgotten')"));
}

TEST_F(DoctorProgram, ASourceThatIsNotConfiguredIsWrongUsage) {
    EXPECT_THAT(failure({"doctor", "orders"}, 2), HasSubstr("[source.orders]"));
}

TEST_F(PushProgram, OfAFileThatIsStoredChangesNothingAndKeepsAnotherOneBesideIt) {
    const PostgresServer server({.version = 15, .settings = keeps_log});
    configure(server);
    init();
    server.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS i");
    const std::string name = finish_segment(server);
    const std::string path = segment_path(server, name);
    EXPECT_EQ(push(path), "stored");
    const std::size_t slices = objects("logs");
    EXPECT_GT(slices, 0U);
    EXPECT_EQ(push(path), "already there");
    // Also without what this machine noted.
    std::filesystem::remove_all(scratch.file("spool"));
    EXPECT_EQ(push(path), "already there");
    EXPECT_EQ(objects("logs"), slices);
    EXPECT_THAT(run({"wal", "push", "orders", path}).out, HasSubstr(name + ": already there"));
    EXPECT_THAT(failure({"wal", "push", "orders", segment_path(server, "000000010000000000000FFF")}, 1),
                HasSubstr("000000010000000000000FFF"));
    EXPECT_THAT(failure({"wal", "push", "orders", server.data_directory() + "/PG_VERSION"}, 2),
                HasSubstr("no file of a write-ahead log"));
}

TEST_F(PushProgram, OfAnotherClusterIsRefusedUnlessItIsMeant) {
    const PostgresServer server({.version = 15, .settings = keeps_log});
    const PostgresServer other({.version = 15, .settings = keeps_log});
    configure(server);
    init();
    json({"backup", "orders"});
    other.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS i");
    const std::string path = segment_path(other, finish_segment(other));
    const std::size_t before = objects("logs");
    EXPECT_THAT(failure({"wal", "push", "orders", path}, 1),
                AllOf(HasSubstr("is another cluster than this one"), HasSubstr("--new-cluster")));
    EXPECT_EQ(objects("logs"), before);
    const nlohmann::json meant = json({"wal", "push", "orders", path, "--new-cluster"});
    EXPECT_EQ(meant.at("files").at(0).at("outcome"), "stored");
    EXPECT_GT(objects("logs"), before);
}

TEST(PushByArchiveCommand, KeepsTheServersLogUntilTheRepositoryHasIt) {
    ProtectedSource source;
    PostgresServer server({.version = 15, .settings = "archive_mode = on\nfsync = off\n"});
    std::filesystem::copy_file(source.configuration_file(),
                               source.repository_directory() + "/../config/plain");
    PostgresServer::give(source.repository_directory() + "/../config");
    const auto archive_by = [&](const std::string& command) {
        server.add_settings(fmt::format("archive_command = '{}'\n", command));
        server.reload();
    };
    const auto count = [&](const char* column) {
        return std::stoul(server.query_value(fmt::format("SELECT {} FROM pg_stat_archiver", column)));
    };
    archive_by("false");
    server.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS i");
    const std::string name = server.query_value("SELECT pg_walfile_name(pg_current_wal_lsn())");
    server.execute("SELECT pg_switch_wal()");
    while (count("failed_count") == 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_TRUE(
        std::filesystem::exists(server.data_directory() + "/pg_wal/archive_status/" + name + ".ready"));
    archive_by(fmt::format("{} --config {}/../config/plain wal push orders %p", source.program(),
                           source.repository_directory()));
    server.execute(
        "DROP TABLE t; SELECT pg_switch_wal()"); // wakes an archiver that has given up for a minute
    while (server.query_value("SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver") < name)
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const nlohmann::json verified =
        nlohmann::json::parse(source.run_program({"--json", "wal", "verify", "orders"}).out, nullptr, false);
    ASSERT_TRUE(verified.is_object());
    EXPECT_TRUE(verified.at("intact")) << verified;
    EXPECT_GT(verified.at("bytes").get<std::uint64_t>(), 0U);
}
