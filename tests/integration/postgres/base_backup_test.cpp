// What Holdfast leaves out, its manifests and its recovery settings, against the servers' own tools.
#include "base/crc32c.h"
#include "integration/postgres/data_directory.h"
#include "postgres/files/backup_label.h"
#include "postgres/files/backup_manifest.h"
#include "postgres/files/control_file.h"
#include "postgres/files/exclusions.h"
#include "postgres/files/recovery_settings.h"
#include "postgres/files/tablespace_map.h"

#include <algorithm>
#include <map>
#include <set>

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace holdfast::postgres {
namespace {

using holdfast::test::postgres_versions;
using test::bytes_of_file;
using test::fill;
using test::PostgresServer;
using test::text_of_file;
using test::walk;

class BaseBackup : public testing::TestWithParam<int> {};

void write_file(const std::filesystem::path& path, std::string_view text) {
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out << text;
    if (!out.flush()) throw std::runtime_error("cannot write " + path.string());
}

// What a copy by our rules has: directories end in '/'.
std::set<std::string> copied_paths(const std::filesystem::path& root, int version) {
    const Exclusions exclusions(version);
    std::set<std::string> copied;
    std::map<std::string, RelationExclusions> relations;
    walk(root, [&](const std::string& path, bool is_directory) {
        const std::size_t slash = path.rfind('/');
        const std::string directory = slash == std::string::npos ? "" : path.substr(0, slash);
        if (!is_directory && parse_relation_directory(directory)) {
            auto found = relations.find(directory);
            if (found == relations.end()) {
                std::vector<std::string> names;
                for (const auto& entry : std::filesystem::directory_iterator(root / directory)) {
                    names.push_back(entry.path().filename().string());
                }
                found = relations.emplace(directory, RelationExclusions(names)).first;
            }
            if (found->second.skips(path.substr(slash + 1))) return false;
        }
        const Inclusion inclusion = exclusions.of(path, is_directory);
        if (inclusion != Inclusion::skip) copied.insert(is_directory ? path + "/" : path);
        return inclusion == Inclusion::copy;
    });
    for (const std::string& path : exclusions.required_directories()) copied.insert(path + "/");
    return copied;
}

TEST_P(BaseBackup, HasWhatPgBasebackupCopiesAndNothingElse) {
    PostgresServer server({.version = GetParam()});
    fill(server, 500);
    // In its own session for as long as the backup takes.
    auto session = server.connect();
    session.execute("CREATE TEMPORARY TABLE temporary (i int PRIMARY KEY)");
    session.execute("INSERT INTO pg_temp.temporary VALUES (1)");
    const std::filesystem::path root = server.data_directory();
    for (const char* name : {"postgresql.auto.conf.tmp",
                             "current_logfiles.tmp",
                             "backup_manifest",
                             "global/pg_internal.init.99",
                             "base/1/pg_internal.init.7",
                             "pgsql_tmp.1",
                             "base/1/t9_12345",
                             "base/1/16999_init",
                             "base/1/16999",
                             "base/1/16999_fsm",
                             "base/1/16998_vm",
                             "pg_notify/0001",
                             "pg_serial/0001",
                             "pg_stat_tmp/some.stat",
                             "pg_subtrans/00FF",
                             "pg_dynshmem/x",
                             "pg_snapshots/x-1",
                             "current_logfiles",
                             "of_the_user",
                             "base/1/pgsql_tmp9",
                             "backup_label.old",
                             "tablespace_map.old"}) {
        write_file(root / name, "x");
    }
    std::filesystem::create_directories(root / "base/pgsql_tmp");
    write_file(root / "base/pgsql_tmp/pgsql_tmp1.1", "x");
    std::filesystem::create_directories(root / "pg_replslot/slot");
    write_file(root / "pg_replslot/slot/note", "x");
    // The server, which may be another user's, must be able to read and write what was put there.
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
        std::filesystem::permissions(entry.path(), std::filesystem::perms::others_all,
                                     std::filesystem::perm_options::add);
    }

    const std::filesystem::path copy = server.make_directory("copy");
    const std::string new_place = server.make_directory("new_space");
    const std::string old_place =
        server.query_value("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'space'");
    std::filesystem::remove(copy);
    std::filesystem::remove(new_place);
    server.base_backup(copy, {"--tablespace-mapping=" + old_place + "=" + new_place});
    std::set<std::string> theirs;
    walk(copy, [&](const std::string& path, bool is_directory) {
        // What belongs to the copy, and not to what was copied.
        const std::set<std::string> made{"backup_label", "tablespace_map", "backup_manifest"};
        if (!made.contains(path)) theirs.insert(is_directory ? path + "/" : path);
        return path != "pg_wal";
    });
    std::set<std::string> ours = copied_paths(root, GetParam());
    std::erase_if(ours,
                  [](const std::string& path) { return path.starts_with("pg_wal/") && path != "pg_wal/"; });
    // Our additions to what the server leaves out.
    for (const char* path : {"backup_label.old", "tablespace_map.old"}) {
        EXPECT_EQ(theirs.erase(path), 1U) << path;
        EXPECT_FALSE(ours.contains(path)) << path;
    }
    EXPECT_EQ(ours, theirs);
    for (const char* path : {"base/1/16999_init", "base/1/16998_vm", "of_the_user", "current_logfiles"}) {
        EXPECT_TRUE(ours.contains(path)) << path;
    }
}

TEST_P(BaseBackup, TheRequiredDirectoriesAreThoseOfANewCluster) {
    PostgresServer server({.version = GetParam(), .start = false});
    std::set<std::string> made;
    walk(server.data_directory(), [&](const std::string& path, bool is_directory) {
        if (is_directory && !path.starts_with("base/")) made.insert(path);
        return true;
    });
    const auto required = Exclusions(GetParam()).required_directories();
    EXPECT_EQ(std::set<std::string>(required.begin(), required.end()), made);
}

// A manifest of the files below `root` as they are now.
std::string rebuilt_manifest(const std::filesystem::path& root, int version, const BackupManifest& theirs) {
    const auto control = parse_control_file(bytes_of_file(root / control_file_path));
    std::string text;
    BackupManifestWriter writer([&](std::string_view piece) { text += piece; }, version,
                                control.system_identifier);
    walk(root, [&](const std::string& path, bool is_directory) {
        if (is_directory || path == "backup_manifest") return path != "pg_wal";
        const Bytes bytes = bytes_of_file(root / path);
        struct stat status{};
        EXPECT_EQ(stat((root / path).c_str(), &status), 0);
        writer.add(
            {path, bytes.size(), Timestamp(std::chrono::seconds(status.st_mtim.tv_sec)), crc32c(0, bytes)});
        return true;
    });
    writer.finish(theirs.ranges);
    return text;
}

TEST_P(BaseBackup, ItsManifestRebuiltPleasesPgVerifybackup) {
    PostgresServer server({.version = GetParam()});
    fill(server, 500);
    const std::filesystem::path root = server.data_directory();
    for (const char* name : {"latin-\xfc", "b\xc3\xbcro", "a \"quoted\"\\name\n\x01"}) {
        write_file(root / name, "x");
        std::filesystem::permissions(root / name, std::filesystem::perms::all);
    }
    const std::filesystem::path copy = server.make_directory("copy");
    const std::string new_place = server.make_directory("new_space");
    const std::string old_place =
        server.query_value("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'space'");
    std::filesystem::remove(copy);
    std::filesystem::remove(new_place);
    server.base_backup(copy, {"--tablespace-mapping=" + old_place + "=" + new_place});

    const BackupManifest theirs = parse_backup_manifest(text_of_file(copy / "backup_manifest"));
    EXPECT_EQ(theirs.format_version, GetParam() < 17 ? 1 : 2);
    const std::string ours = rebuilt_manifest(copy, GetParam(), theirs);
    BackupManifest read = parse_backup_manifest(ours);
    BackupManifest expected = theirs;
    const auto by_path = [](const ManifestFile& a, const ManifestFile& b) { return a.path < b.path; };
    std::ranges::sort(read.files, by_path);
    std::ranges::sort(expected.files, by_path);
    ASSERT_EQ(read.files.size(), expected.files.size());
    for (std::size_t i = 0; i < read.files.size(); ++i) {
        EXPECT_EQ(read.files[i].path, expected.files[i].path);
        EXPECT_EQ(read.files[i].size, expected.files[i].size) << read.files[i].path;
        EXPECT_EQ(read.files[i].crc32c, expected.files[i].crc32c) << read.files[i].path;
    }
    EXPECT_EQ(read.system_identifier, theirs.system_identifier);

    write_file(copy / "backup_manifest", ours);
    // Where there is no such tool that of another version is run, which checks the log with its own
    // pg_waldump.
    std::vector<std::string> arguments{copy.string()};
    if (!holdfast::test::has_all_programs(GetParam())) arguments.insert(arguments.begin(), "--no-parse-wal");
    const auto verified = server.run_tool("pg_verifybackup", arguments);
    EXPECT_EQ(verified.exit_code, 0) << verified.error << verified.out;

    // And it does look.
    Bytes page = bytes_of_file(copy / "base/1/1259");
    page[5000] ^= 1;
    write_file(copy / "base/1/1259", as_text(page));
    const auto damaged = server.run_tool("pg_verifybackup", arguments);
    EXPECT_NE(damaged.exit_code, 0);
    EXPECT_NE(damaged.error.find("base/1/1259"), std::string::npos) << damaged.error;
}

struct Stopped {
    std::string label;
    std::string map;
};
Stopped start_and_stop_backup(PostgresServer& server, const std::string& label) {
    auto session = server.connect();
    const bool old = server.version() < 15;
    session.execute(old ? "SELECT pg_start_backup('" + label + "', true, false)"
                        : "SELECT pg_backup_start('" + label + "', true)");
    const auto result = session.query(old ? "SELECT labelfile, spcmapfile FROM pg_stop_backup(false, false)"
                                          : "SELECT labelfile, spcmapfile FROM pg_backup_stop(false)");
    return {result.rows.at(0).at(0).value_or(""), result.rows.at(0).at(1).value_or("")};
}

TEST_P(BaseBackup, LabelAndTablespaceMapAreThoseOfTheServer) {
    PostgresServer server({.version = GetParam()});
    const Stopped plain = start_and_stop_backup(server, "nightly: one");
    const BackupLabel label = parse_backup_label(plain.label);
    EXPECT_EQ(label.label, "nightly: one");
    EXPECT_EQ(label.method, "streamed");
    EXPECT_EQ(label.from, GetParam() == 13 ? "master" : "primary");
    EXPECT_EQ(label.timeline, 1U);
    EXPECT_EQ(label.start_file, segment_name(1, label.start, std::uint64_t{16} << 20));
    EXPECT_GE(label.checkpoint, label.start);
    EXPECT_EQ(write_backup_label(label), plain.label);
    EXPECT_TRUE(parse_tablespace_map(plain.map, GetParam()).empty());

    const std::string place = server.make_directory("odd\\place\nof two lines");
    std::string quoted;
    for (const char c : place) quoted += c == '\\' ? "\\\\" : c == '\n' ? "\\n" : std::string(1, c);
    server.execute("CREATE TABLESPACE odd LOCATION E'" + quoted + "'");
    const Stopped odd = start_and_stop_backup(server, "x");
    const auto tablespaces = parse_tablespace_map(odd.map, GetParam());
    ASSERT_EQ(tablespaces.size(), 1U);
    EXPECT_EQ(tablespaces[0].path, place);
    EXPECT_EQ(std::to_string(tablespaces[0].oid),
              server.query_value("SELECT oid FROM pg_tablespace WHERE spcname = 'odd'"));
    EXPECT_EQ(write_tablespace_map(tablespaces, GetParam()), odd.map);
}

INSTANTIATE_TEST_SUITE_P(Version, BaseBackup, testing::ValuesIn(postgres_versions),
                         testing::PrintToStringParamName());

} // namespace
} // namespace holdfast::postgres
