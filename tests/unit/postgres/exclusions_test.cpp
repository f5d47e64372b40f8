#include "postgres/files/exclusions.h"
#include "support/error_matchers.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

TEST(Exclusions, LeaveOutWhatAServerMakesAnew) {
    for (int version = 13; version <= 18; ++version) {
        const Exclusions exclusions(version);
        for (const char* path :
             {"postmaster.pid", "postmaster.opts", "postgresql.auto.conf.tmp", "current_logfiles.tmp",
              "backup_label", "tablespace_map", "backup_manifest", "backup_label.old", "tablespace_map.old",
              "recovery.signal", "standby.signal", "global/pg_internal.init", "base/5/pg_internal.init",
              "base/5/pg_internal.init.123", "base/pgsql_tmp/pgsql_tmp1.2", "pgsql_tmp_x", "base/.DS_Store",
              "base/5/backup_label"}) {
            EXPECT_EQ(exclusions.of(path, false), Inclusion::skip) << version << " " << path;
        }
        EXPECT_EQ(exclusions.of("base/pgsql_tmp", true), Inclusion::skip);
        EXPECT_EQ(exclusions.of("pg_tblspc/9/PG_15_1/pgsql_tmp", true), Inclusion::skip);
        for (const char* path : {"pg_wal", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial",
                                 "pg_snapshots", "pg_stat_tmp", "pg_subtrans"}) {
            EXPECT_EQ(exclusions.of(path, true), Inclusion::empty) << version << " " << path;
        }
    }
}

TEST(Exclusions, CopyEverythingElse) {
    for (int version = 13; version <= 18; ++version) {
        const Exclusions exclusions(version);
        for (const char* path :
             {"PG_VERSION", "postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "current_logfiles",
              "log/x.log", "global/pg_control", "global/pg_filenode.map", "base/5/16384",
              "base/5/recovery.signal", "pg_stat/pgstat.stat", "pg_xact/0000", "pg_twophase/00000001",
              "backup_label.new", "my_backup_label", "pg_logical/replorigin_checkpoint", "recovery.done",
              "pg_wal.txt"}) {
            EXPECT_EQ(exclusions.of(path, false), Inclusion::copy) << version << " " << path;
        }
        for (const char* path : {"base", "global", "pg_xact", "pg_stat", "pg_multixact/members", "pg_tblspc",
                                 "mine", "mine/pg_wal", "pg_logical/snapshots"}) {
            EXPECT_EQ(exclusions.of(path, true), Inclusion::copy) << version << " " << path;
        }
    }
}

TEST(Exclusions, TheStatisticsDirectoryOfOldVersionsCanLieElsewhere) {
    EXPECT_EQ(Exclusions(14, "run/stats").of("run/stats", true), Inclusion::empty);
    EXPECT_EQ(Exclusions(13, "./run/stats/").of("run/stats", true), Inclusion::empty);
    EXPECT_EQ(Exclusions(15, "run/stats").of("run/stats", true), Inclusion::copy);
    EXPECT_EQ(Exclusions(14, "/run/stats").of("run/stats", true), Inclusion::copy);
    EXPECT_EQ(Exclusions(14, "").of("run", true), Inclusion::copy);
    // Extensions write to the usual one all the same.
    EXPECT_EQ(Exclusions(14, "run/stats").of("pg_stat_tmp", true), Inclusion::empty);
    const auto directories = Exclusions(14, "run/stats").required_directories();
    ASSERT_GE(directories.size(), 2U);
    EXPECT_EQ(directories[directories.size() - 2], "run");
    EXPECT_EQ(directories.back(), "run/stats");
}

TEST(Exclusions, RequiredDirectoriesComeAfterTheirParents) {
    for (int version = 13; version <= 18; ++version) {
        const auto directories = Exclusions(version).required_directories();
        for (auto at = directories.begin(); at != directories.end(); ++at) {
            const std::size_t slash = at->rfind('/');
            if (slash == std::string::npos) continue;
            EXPECT_NE(std::find(directories.begin(), at, at->substr(0, slash)), at) << *at;
        }
        EXPECT_EQ(std::ranges::count(directories, "pg_wal/archive_status"), 1);
        EXPECT_EQ(std::ranges::count(directories, "pg_stat_tmp"), 1);
        EXPECT_EQ(std::ranges::count(directories, "pg_wal/summaries"), version >= 17 ? 1 : 0);
    }
}

TEST(Exclusions, UnknownVersionsAreRefused) {
    for (const int version : {0, 12, 19}) {
        EXPECT_EQ(test::code_of([&] { Exclusions{version}; }), "incompatible");
    }
}

TEST(RelationExclusions, UnloggedAndTemporaryRelationsAreLeftOut) {
    const std::vector<std::string> names{"100", "100_fsm", "100_init",   "100_vm.1", "100.1",
                                         "200", "200_fsm", "300_init.1", "t3_400",   "t3_400_init",
                                         "400", "x_init",  "0500_init",  "500"};
    const RelationExclusions exclusions(names);
    for (const char* name : {"100", "100_fsm", "100_vm.1", "100.1", "t3_400", "t3_400_init", "t9_200"}) {
        EXPECT_TRUE(exclusions.skips(name)) << name;
    }
    for (const char* name :
         {"100_init", "200", "200_fsm", "300", "300_init.1", "400", "500", "PG_VERSION", "x_init", "0100"}) {
        EXPECT_FALSE(exclusions.skips(name)) << name;
    }
    EXPECT_TRUE(exclusions.is_unlogged(100));
    EXPECT_FALSE(exclusions.is_unlogged(200));
}

} // namespace
} // namespace holdfast::postgres
