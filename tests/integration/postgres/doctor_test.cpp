// What the doctor finds, and that the set-up mends it.
#include "postgres/server/doctor.h"
#include "postgres/server/setup.h"
#include "postgres/server/slots.h"
#include "support/error_matchers.h"
#include "support/postgres_server.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

using namespace holdfast;
using namespace holdfast::postgres;
using namespace holdfast::test;

namespace {

// Empty when there is no such check.
std::string state_of(const std::vector<Check>& checks, const std::string& name) {
    const auto found = std::ranges::find(checks, name, &Check::name);
    return found == checks.end() ? "" : std::string(to_string(found->state));
}

const Check& check_of(const std::vector<Check>& checks, const std::string& name) {
    const auto found = std::ranges::find(checks, name, &Check::name);
    if (found == checks.end()) throw std::runtime_error("no check " + name);
    return *found;
}

std::string all_but_ok(const std::vector<Check>& checks) {
    std::string text;
    for (const Check& check : checks) {
        if (check.state != CheckState::ok) text += check.name + ": " + check.found + "\n";
    }
    return text;
}

std::string state_of(const SetupReport& report, const std::string& what) {
    const auto found = std::ranges::find(report.steps, what, &SetupStep::what);
    return found == report.steps.end() ? "" : std::string(to_string(found->state));
}

} // namespace

class DoctorTest : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(Versions, DoctorTest, testing::ValuesIn(postgres_versions));

TEST_P(DoctorTest, FindsWhatIsAmissAndTheSetUpMendsIt) {
    PostgresServer server({.version = GetParam(),
                           .checksums = false,
                           .settings = "wal_level = minimal\nmax_wal_senders = 0\nfull_page_writes = off"});
    server.execute("CREATE ROLE holdfast LOGIN");
    DoctorRequest request{.connection = {.conninfo = server.conninfo("postgres", "holdfast")},
                          .data_directory = server.data_directory(),
                          .slot = "holdfast"};
    std::vector<Check> checks = examine_server(request);
    for (const char* name : {"wal_level", "role_replication", "role_backup", "max_wal_senders", "slot"})
        EXPECT_EQ(state_of(checks, name), "failed") << name;
    for (const char* name : {"checksums", "full_page_writes", "role_monitor"})
        EXPECT_EQ(state_of(checks, name), "warning") << name;
    for (const char* name : {"connection", "version", "identity", "kind", "data_directory", "tablespaces",
                             "clock", "archive_mode"})
        EXPECT_EQ(state_of(checks, name), "ok") << name;
    for (const Check& check : checks)
        EXPECT_EQ(check.mend.empty(), check.state == CheckState::ok) << check.name;
    EXPECT_EQ(check_of(checks, "role_replication").mend, "ALTER ROLE \"holdfast\" REPLICATION;");

    SetupRequest setup{
        .connection = {.conninfo = server.conninfo()}, .max_slot_wal_keep_size = "1GB", .dry_run = true};
    SetupReport report = set_up_server(setup);
    EXPECT_EQ(state_of(report, "role holdfast"), "planned");
    EXPECT_EQ(state_of(examine_server(request), "role_replication"), "failed")
        << "a dry run changed something";

    setup.dry_run = false;
    report = set_up_server(setup);
    EXPECT_EQ(state_of(report, "role holdfast"), "done");
    EXPECT_EQ(state_of(report, "wal_level"), "done");
    EXPECT_EQ(state_of(report, "access for replication"), "present");
    // A server without replication cannot make a slot yet.
    EXPECT_EQ(state_of(report, "slot holdfast"), "refused");
    EXPECT_EQ(report.restart_for, (std::vector<std::string>{"wal_level", "max_wal_senders"}));
    server.restart();
    report = set_up_server(setup);
    EXPECT_EQ(state_of(report, "slot holdfast"), "done");
    report = set_up_server(setup);
    for (const SetupStep& step : report.steps)
        EXPECT_EQ(to_string(step.state), "present") << step.what << ": " << step.sql;
    EXPECT_TRUE(report.restart_for.empty());

    std::uint64_t asked = 0;
    request.expect_cluster = [&](std::uint64_t system_identifier) {
        asked = system_identifier;
        throw Error(ErrorCode::already_exists, "it is another", "give it a name of its own");
    };
    checks = examine_server(request);
    EXPECT_EQ(std::to_string(asked), server.query_value("SELECT system_identifier FROM pg_control_system()"));
    EXPECT_EQ(state_of(checks, "identity"), "failed");
    EXPECT_NE(check_of(checks, "identity").mend.find("a name of its own"), std::string::npos);
    request.expect_cluster = [](std::uint64_t) { throw Error(ErrorCode::unavailable, "away"); };
    checks = examine_server(request);
    EXPECT_EQ(state_of(checks, "identity"), "warning");
    EXPECT_NE(check_of(checks, "identity").mend, "");
    request.expect_cluster = {};
    checks = examine_server(request);
    for (const Check& check : checks) {
        EXPECT_TRUE(check.state == CheckState::ok || check.name == "checksums" ||
                    check.name.ends_with("_space"))
            << all_but_ok(checks);
    }
    EXPECT_EQ(state_of(checks, "replication_connection"), "ok");
}

TEST_P(DoctorTest, TheSetUpLimitsWhatSlotsKeep) {
    PostgresServer server({.version = GetParam(), .settings = "wal_level = replica"});
    const auto limit = [&] { return server.query_value("SHOW max_slot_wal_keep_size"); };
    SetupRequest setup{.connection = {.conninfo = server.conninfo()}};
    const char* const step = "max_slot_wal_keep_size";
    for (const SetupStep& done : set_up_server(setup).steps)
        EXPECT_NE(done.what, step) << "it was not asked for";
    ASSERT_EQ(limit(), "-1");
    setup.limits_slots = true;
    SetupReport report = set_up_server(setup);
    const auto found = std::ranges::find(report.steps, step, &SetupStep::what);
    ASSERT_NE(found, report.steps.end());
    ASSERT_EQ(to_string(found->state), "done") << found->remark;
    EXPECT_NE(found->remark.find("half of the"), std::string::npos) << found->remark;
    while (limit() == "-1") {
    }
    const std::uint64_t free_bytes = std::filesystem::space(server.data_directory()).available;
    const auto kept =
        std::stoull(server.query_value("SELECT pg_size_bytes(current_setting('max_slot_wal_keep_size'))"));
    EXPECT_LT(kept, free_bytes * 6 / 10);
    EXPECT_GT(kept, free_bytes / 4);
    const DoctorRequest request{.connection = {.conninfo = server.conninfo()}, .slot = "holdfast"};
    EXPECT_EQ(state_of(examine_server(request), "slot_limit"), "ok");

    const std::string before = limit();
    EXPECT_EQ(state_of(set_up_server(setup), step), "present");
    // Less would lose log sooner.
    setup.max_slot_wal_keep_size = "128MB";
    report = set_up_server(setup);
    EXPECT_EQ(state_of(report, step), "present");
    EXPECT_NE(std::ranges::find(report.steps, step, &SetupStep::what)->remark.find("it stays"),
              std::string::npos);
    EXPECT_EQ(limit(), before);
    setup.max_slot_wal_keep_size = "900TB";
    EXPECT_EQ(state_of(set_up_server(setup), step), "done");
    while (limit() != "900TB") {
    }
    EXPECT_EQ(state_of(set_up_server(setup), step), "present");
}

TEST_P(DoctorTest, SeesAnArchiverThatFails) {
    PostgresServer server(
        {.version = GetParam(), .settings = "archive_mode = on\narchive_command = 'test -e /nowhere'"});
    const DoctorRequest request{
        .connection = {.conninfo = server.conninfo()}, .streams = false, .archives = true};
    server.execute("CREATE TABLE t (i int); SELECT pg_switch_wal()");
    while (server.query_value("SELECT failed_count > 0 FROM pg_stat_archiver") != "t") {
    }
    std::vector<Check> checks = examine_server(request);
    EXPECT_EQ(state_of(checks, "archiver"), "failed");
    EXPECT_NE(check_of(checks, "archiver").found.find("000000010000000000000001"), std::string::npos);
    EXPECT_EQ(state_of(checks, "archive_mode"), "ok");
    EXPECT_EQ(state_of(checks, "archive_command"), "warning") << "it is no push into the repository";
    server.add_settings("archive_command = ''");
    server.reload();
    while (server.query_value("SHOW archive_command") != "") {
    }
    EXPECT_EQ(state_of(examine_server(request), "archive_command"), "failed");
    const SetupReport report = set_up_server(
        {.connection = {.conninfo = server.conninfo()}, .slot = "", .archive_command = "/bin/true"});
    EXPECT_EQ(state_of(report, "archive_command"), "done");
    EXPECT_EQ(state_of(report, "archive_mode"), "present");
    server.execute(
        "DROP TABLE t; SELECT pg_switch_wal()"); // wakes an archiver that has given up for a minute
    while (server.query_value("SELECT archived_count > 0 FROM pg_stat_archiver") != "t") {
    }
    EXPECT_EQ(state_of(examine_server(request), "archiver"), "ok");
}

TEST_P(DoctorTest, SeesALostSlotAndAStandbyWithoutFullPages) {
    PostgresServer server({.version = GetParam(),
                           .wal_segment_mib = 1,
                           .settings =
                               "max_slot_wal_keep_size = 2MB\nmax_wal_size = 2MB\nmin_wal_size = 2MB\n"
                               "wal_keep_size = 0\nfull_page_writes = off"});
    const auto standby = PostgresServer::standby_of(server);
    Connection connection({.conninfo = server.conninfo()});
    create_slot(connection, "slow");
    for (int i = 0; i < 8; ++i) {
        server.execute("CREATE TABLE t (i int); DROP TABLE t; SELECT pg_switch_wal()");
        standby->catch_up_with(server); // nothing is kept for it either
    }
    server.execute("CHECKPOINT");
    const std::vector<Check> checks =
        examine_server({.connection = {.conninfo = server.conninfo()}, .slot = "slow"});
    EXPECT_EQ(state_of(checks, "slot"), "failed");
    EXPECT_NE(check_of(checks, "slot").mend.find("pg_drop_replication_slot('slow')"), std::string::npos);
    standby->catch_up_with(server);
    standby->execute("CHECKPOINT");
    const std::vector<Check> of_standby = examine_server({.connection = {.conninfo = standby->conninfo()}});
    EXPECT_EQ(state_of(of_standby, "full_page_writes"), "failed");
    EXPECT_NE(check_of(of_standby, "kind").found.find("standby"), std::string::npos);
}

TEST_P(DoctorTest, KnowsAnotherClustersDirectoryAndOneItCannotRead) {
    PostgresServer& server = PostgresServer::shared(GetParam());
    const PostgresServer other({.version = GetParam(), .start = false});
    DoctorRequest request{.connection = {.conninfo = server.conninfo()},
                          .data_directory = other.data_directory()};
    std::vector<Check> checks = examine_server(request);
    EXPECT_EQ(state_of(checks, "data_directory"), "failed");
    EXPECT_NE(check_of(checks, "data_directory").mend.find(server.data_directory()), std::string::npos);
    request.data_directory = "/nowhere/at/all";
    checks = examine_server(request);
    EXPECT_EQ(state_of(checks, "data_directory"), "failed");
}

TEST(DoctorWithoutDataDirectory, WantsASenderAndASlotForBackups) {
    PostgresServer server({.version = 15, .settings = "max_replication_slots = 1"});
    server.execute("CREATE ROLE holdfast LOGIN REPLICATION");
    const DoctorRequest request{.connection = {.conninfo = server.conninfo("postgres", "holdfast")},
                                .streams = false};
    std::vector<Check> checks = examine_server(request);
    for (const char* name :
         {"role_replication", "max_wal_senders", "replication_slots", "replication_connection"})
        EXPECT_EQ(state_of(checks, name), "ok") << name;
    server.execute("SELECT pg_create_physical_replication_slot('other')");
    checks = examine_server(request);
    EXPECT_EQ(state_of(checks, "replication_slots"), "warning");
    EXPECT_NE(check_of(checks, "replication_slots").mend.find("max_replication_slots = 6"),
              std::string::npos);
}

TEST(DoctorWithoutServer, SaysSoAndNothingElse) {
    const TemporaryDirectory empty;
    const std::vector<Check> checks =
        examine_server({.connection = {.conninfo = "user=nobody host=" + empty.path().string()}});
    ASSERT_EQ(checks.size(), 1u);
    EXPECT_EQ(checks[0].name, "connection");
    EXPECT_EQ(checks[0].state, CheckState::failed);
    EXPECT_NE(checks[0].mend, "");
}

TEST(SetUp, OfAStandbyMakesTheSlotAndLeavesTheRoleToThePrimary) {
    PostgresServer& primary = PostgresServer::shared(15);
    const auto standby = PostgresServer::standby_of(primary);
    const SetupReport report = set_up_server({.connection = {.conninfo = standby->conninfo()}});
    EXPECT_EQ(state_of(report, "role holdfast"), "refused");
    EXPECT_EQ(state_of(report, "slot holdfast"), "done");
}

TEST(SetUp, ByARoleWithoutRightsSaysWhatItLacksAndNamesWhatPgHbaNeeds) {
    PostgresServer server({.version = 15});
    server.execute("CREATE ROLE humble LOGIN");
    std::ofstream(server.data_directory() + "/pg_hba.conf", std::ios::trunc) << "local all all trust\n";
    server.reload();
    const SetupReport report =
        set_up_server({.connection = {.conninfo = server.conninfo("postgres", "humble")}});
    EXPECT_EQ(state_of(report, "role holdfast"), "refused");
    const auto access = std::ranges::find(report.steps, "access for replication", &SetupStep::what);
    ASSERT_NE(access, report.steps.end());
    EXPECT_EQ(access->state, SetupState::by_hand);
    EXPECT_NE(access->remark.find("replication holdfast"), std::string::npos);
    expect_error(ErrorCode::usage,
                 [&] { set_up_server({.connection = {.conninfo = server.conninfo()}, .slot = "No Good"}); });
}
