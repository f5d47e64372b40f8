#include "postgres/files/relation_path.h"

#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

constexpr std::string_view version_directory = "PG_15_202209061";

TEST(RelationFileName, IsReadAndWritten) {
    const auto check = [](std::string_view name, const RelationFileName& file) {
        EXPECT_EQ(parse_relation_file_name(name), file) << name;
        EXPECT_EQ(file.str(), name);
    };
    check("16384", {16384, Fork::main, 0, std::nullopt});
    check("16384.1", {16384, Fork::main, 1, std::nullopt});
    check("1_fsm", {1, Fork::free_space_map, 0, std::nullopt});
    check("4294967295_vm.4294967295", {4294967295, Fork::visibility_map, 4294967295, std::nullopt});
    check("16384_init", {16384, Fork::init, 0, std::nullopt});
    check("t3_16390", {16390, Fork::main, 0, 3});
    check("t0_16390_fsm.2", {16390, Fork::free_space_map, 2, 0});
}

TEST(RelationFileName, OthersAreNone) {
    for (const char* name : {"",
                             "0",
                             "01",
                             "4294967296",
                             "16384.",
                             "16384.0",
                             "16384.01",
                             "16384.1.2",
                             "16384_",
                             "16384_foo",
                             "16384_vmx",
                             "16384_main",
                             "16384_vm_fsm",
                             "16384.1_vm",
                             "-1",
                             "+1",
                             " 1",
                             "1 ",
                             "t",
                             "t3",
                             "t_1",
                             "t3_",
                             "t03_1",
                             "t3_0",
                             "t3_1.0",
                             "T3_1",
                             "pg_control",
                             "1e3",
                             "99999999999999999999"}) {
        EXPECT_FALSE(parse_relation_file_name(name)) << name;
    }
}

TEST(RelationPath, IsReadBack) {
    for (const Oid tablespace : {global_tablespace, default_tablespace, Oid{16500}}) {
        for (const Fork fork : {Fork::main, Fork::free_space_map, Fork::visibility_map, Fork::init}) {
            for (const std::uint32_t segment : {0U, 1U, 1234U}) {
                const Oid database = tablespace == global_tablespace ? 0 : 5;
                const RelationSegment relation{{tablespace, database, 2619, fork}, segment};
                const DataPath path = parse_data_path(relation_path(relation, version_directory));
                EXPECT_EQ(path.kind, PathKind::relation);
                EXPECT_EQ(path.segment(), relation) << relation_path(relation, version_directory);
            }
        }
    }
    EXPECT_EQ(relation_path({{16500, 5, 7, Fork::visibility_map}, 2}, version_directory),
              "pg_tblspc/16500/PG_15_202209061/5/7_vm.2");
    EXPECT_EQ(relation_path({{global_tablespace, 0, 1262, Fork::main}, 0}, ""), "global/1262");
    EXPECT_EQ(relation_path({{default_tablespace, 5, 1259, Fork::init}, 0}, ""), "base/5/1259_init");
    EXPECT_EQ(tablespace_directory(15, 202209061), version_directory);
}

TEST(DataPath, KindsAreTold) {
    const auto kind = [](std::string_view path) { return parse_data_path(path).kind; };
    EXPECT_EQ(kind("base/5/t3_16390"), PathKind::temporary_relation);
    EXPECT_EQ(kind("pg_tblspc/16500/PG_15_202209061/5/t3_16390_fsm"), PathKind::temporary_relation);
    EXPECT_EQ(kind("base/5/pg_filenode.map"), PathKind::filenode_map);
    EXPECT_EQ(kind("global/pg_filenode.map"), PathKind::filenode_map);
    EXPECT_EQ(kind("PG_VERSION"), PathKind::version_file);
    EXPECT_EQ(kind("base/5/PG_VERSION"), PathKind::version_file);
    EXPECT_EQ(kind("base/5/pg_internal.init"), PathKind::relation_cache);
    EXPECT_EQ(kind("global/pg_internal.init.4711"), PathKind::relation_cache);
    EXPECT_EQ(kind("global/pg_control"), PathKind::control_file);
    EXPECT_EQ(kind("pg_xact/0000"), PathKind::slru);
    EXPECT_EQ(kind("pg_multixact/members/14078"), PathKind::slru);
    EXPECT_EQ(kind("pg_multixact/offsets/00FF"), PathKind::slru);
    EXPECT_EQ(kind("pg_commit_ts/0000"), PathKind::slru);
    EXPECT_EQ(kind("pg_subtrans/0000"), PathKind::slru);
    EXPECT_EQ(kind("pg_notify/000000000000001"), PathKind::slru);
    EXPECT_EQ(kind("pg_wal/000000010000000000000001"), PathKind::wal);
    EXPECT_EQ(kind("pg_wal/archive_status/000000010000000000000001.done"), PathKind::wal);
    EXPECT_EQ(kind("base/pgsql_tmp/pgsql_tmp123.0"), PathKind::temporary_file);
    EXPECT_EQ(kind("base/pgsql_tmp"), PathKind::temporary_file);
    EXPECT_EQ(kind("pgsql_tmp1"), PathKind::temporary_file);
    EXPECT_EQ(kind("pg_tblspc/16500/PG_15_202209061/pgsql_tmp/pgsql_tmp1.2"), PathKind::temporary_file);
    EXPECT_EQ(kind("pg_tblspc/16500"), PathKind::tablespace_link);
}

TEST(DataPath, OthersAreOther) {
    for (const char* path : {"",
                             "/",
                             "base",
                             "base/5",
                             "base/5/",
                             "base//5",
                             "base/5/6/7",
                             "base/05/6",
                             "base/0/6",
                             "base/5/pg_control",
                             "16384",
                             "global/PG_VERSION",
                             "global/t3_5",
                             "global/5/6",
                             "xbase/5/6",
                             "base/5/foo",
                             "base/5/pg_filenode.mapx",
                             "pg_tblspc",
                             "pg_tblspc/",
                             "pg_tblspc/x",
                             "pg_tblspc/1/2",
                             "pg_tblspc/1/PG_15_202209061",
                             "pg_tblspc/1/PG_15/5/6",
                             "pg_tblspc/1/PG_15_x/5/6",
                             "pg_tblspc/1/PGX15_1/5/6",
                             "pg_tblspc/1/PG_15_202209061/5/6/7",
                             "pg_tblspc/0/PG_15_202209061/5/6",
                             "pg_xact",
                             "pg_xact/",
                             "pg_xact/000",
                             "pg_xact/0000000",
                             "pg_xact/00ab",
                             "pg_xact/000G",
                             "pg_xact/x/0000",
                             "pg_multixact/0000",
                             "pg_stat/0000",
                             "pg_wal",
                             "pg_walx/1",
                             "pg_twophase/00000123",
                             "postgresql.auto.conf",
                             "base/5/16384 ",
                             "../base/5/6",
                             "/base/5/6"}) {
        EXPECT_EQ(parse_data_path(path).kind, PathKind::other) << path;
    }
}

TEST(DataPath, SaysWhere) {
    const DataPath map = parse_data_path("pg_tblspc/16500/PG_15_202209061/7/pg_filenode.map");
    EXPECT_EQ(map.tablespace, 16500U);
    EXPECT_EQ(map.database, 7U);
    EXPECT_EQ(parse_data_path("pg_tblspc/16500").tablespace, 16500U);
    EXPECT_EQ(parse_data_path("pg_xact/00FF").slru_segment, 255U);
    EXPECT_EQ(parse_data_path("pg_serial/00000000000000A").slru_segment, 10U);
    EXPECT_EQ(parse_data_path("base/5/t3_16390.4").file.backend, 3U);
    EXPECT_EQ(parse_data_path("base/5/t3_16390.4").file.segment, 4U);
}

TEST(RelationDirectory, IsToldByItsPath) {
    EXPECT_EQ(parse_relation_directory("global")->tablespace, global_tablespace);
    EXPECT_EQ(parse_relation_directory("base/5")->database, 5U);
    EXPECT_EQ(parse_relation_directory("pg_tblspc/9/PG_13_202007201/5")->tablespace, 9U);
    for (const char* path :
         {"", "base", "base/x", "base/5/6", "base/5/", "pg_tblspc/9", "pg_tblspc/9/PG_13_202007201",
          "pg_tblspc/9/PG_13_202007201/5/6", "global/5", "pg_tblspc/9/X/5"}) {
        EXPECT_FALSE(parse_relation_directory(path)) << path;
    }
}

TEST(Fork, HasAName) {
    EXPECT_EQ(to_string(Fork::main), "main");
    EXPECT_EQ(to_string(Fork::free_space_map), "fsm");
    EXPECT_EQ(to_string(Fork::visibility_map), "vm");
    EXPECT_EQ(to_string(Fork::init), "init");
}

} // namespace
} // namespace holdfast::postgres
