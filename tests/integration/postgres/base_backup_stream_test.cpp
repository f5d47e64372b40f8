#include "base/file_descriptor.h"
#include "postgres/server/base_backup_stream.h"
#include "support/error_matchers.h"
#include "support/postgres_server.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include <gtest/gtest.h>

using namespace holdfast;
using namespace holdfast::postgres;
using namespace holdfast::test;
namespace fs = std::filesystem;

namespace {

// Writes what it is told below a folder: data/ and one folder per tablespace, named by its number.
class WritingVisitor final : public BaseBackupVisitor {
  public:
    explicit WritingVisitor(fs::path top) : top_(std::move(top)) {}

    void started(const BaseBackupStart& start) override { begun = start; }
    void begin_archive(const BackupArchive& archive) override {
        place_ = place_of(archive);
        fs::create_directory(place_);
    }
    void end_archive() override { ++archives_ended; }
    void entry(const TarEntry& entry) override {
        const fs::path path = entry.path.empty() ? place_ : place_ / entry.path;
        if (entry.kind == TarEntry::Kind::directory) fs::create_directories(path);
        if (entry.kind == TarEntry::Kind::symbolic_link) fs::create_symlink(entry.link_target, path);
        if (entry.kind != TarEntry::Kind::file) return;
        file_.open(path, std::ios::binary);
        files.insert(entry.path);
    }
    void data(ByteView piece) override {
        file_.write(reinterpret_cast<const char*>(piece.data()), static_cast<std::streamsize>(piece.size()));
    }
    void end_entry() override { file_.close(); }

    fs::path place_of(const BackupArchive& archive) const {
        return top_ / (archive.tablespace_oid == 0 ? "data" : std::to_string(archive.tablespace_oid));
    }

    BaseBackupStart begun;
    unsigned archives_ended = 0;
    std::set<std::string> files;

  private:
    fs::path top_, place_;
    std::ofstream file_;
};

class ThrowingVisitor final : public BaseBackupVisitor {
  public:
    void started(const BaseBackupStart&) override {}
    void begin_archive(const BackupArchive&) override {}
    void end_archive() override {}
    void entry(const TarEntry&) override {}
    void data(ByteView) override { throw Error(ErrorCode::no_space, "the visitor has had enough"); }
    void end_entry() override {}
};

class StoppingVisitor final : public BaseBackupVisitor {
  public:
    explicit StoppingVisitor(std::stop_source stop) : stop_(std::move(stop)) {}
    void started(const BaseBackupStart&) override {}
    void begin_archive(const BackupArchive&) override {}
    void end_archive() override {}
    void entry(const TarEntry&) override { stop_.request_stop(); }
    void data(ByteView) override {}
    void end_entry() override {}

  private:
    std::stop_source stop_;
};

void replace_all(std::string& text, const std::string& from, const std::string& to) {
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
        text.replace(at, from.size(), to);
}

} // namespace

class BaseBackupTest : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(Versions, BaseBackupTest, testing::ValuesIn(postgres_versions));

TEST_P(BaseBackupTest, IsAClusterThatStarts) {
    PostgresServer server({.version = GetParam()});
    const std::string spaces = server.make_directory("spaces");
    for (const std::string name : {"first", "second"}) {
        const std::string place = server.make_directory("spaces/" + name);
        server.execute("CREATE TABLESPACE " + name + " LOCATION '" + place + "'");
        server.execute("CREATE TABLE in_" + name + " TABLESPACE " + name +
                       " AS SELECT i, md5(i::text) AS m FROM generate_series(1, 5000) i");
    }
    server.execute("CREATE TABLE plain AS SELECT i, md5(i::text) AS m FROM generate_series(1, 30000) i");
    const std::string digest_sql =
        "SELECT md5(string_agg(m, '' ORDER BY i)) FROM (SELECT * FROM plain UNION ALL "
        "SELECT * FROM in_first UNION ALL SELECT * FROM in_second) x";
    const std::string digest = server.query_value(digest_sql);

    const std::string target = server.make_directory("target");
    WritingVisitor visitor(target);
    ReplicationConnection connection({.conninfo = server.conninfo()});
    const BaseBackupEnd end = stream_base_backup(connection, {.label = "it's mine"}, visitor);
    EXPECT_EQ(visitor.begun.timeline, 1u);
    EXPECT_EQ(end.timeline, 1u);
    EXPECT_GT(end.stop, visitor.begun.start);
    ASSERT_EQ(visitor.begun.archives.size(), 3u);
    EXPECT_EQ(visitor.archives_ended, 3u);
    for (const BackupArchive& archive : visitor.begun.archives) {
        EXPECT_GT(archive.estimated_bytes, 0u);
        EXPECT_EQ(archive.location.empty(), archive.tablespace_oid == 0);
    }
    for (const char* name : {"PG_VERSION", "backup_label", "tablespace_map", "global/pg_control"})
        EXPECT_TRUE(visitor.files.contains(name)) << name;
    EXPECT_FALSE(visitor.files.contains("postmaster.pid"));
    EXPECT_FALSE(visitor.files.contains("backup_manifest"));
    // The connection can do more.
    EXPECT_EQ(connection.identify().timeline, 1u);

    // The log from start to stop, from where the server still has it.
    constexpr std::uint64_t segment = 16 << 20;
    for (Lsn at{visitor.begun.start.value / segment * segment}; at < end.stop; at = at + segment) {
        const std::string name = "/pg_wal/" + segment_name(1, at, segment);
        fs::copy_file(server.data_directory() + name, target + "/data" + name);
    }
    const Bytes map_file = read_file(target + "/data/tablespace_map", 1 << 20);
    std::string map(as_text(map_file));
    for (const BackupArchive& archive : visitor.begun.archives) {
        if (archive.tablespace_oid != 0) replace_all(map, archive.location, visitor.place_of(archive));
    }
    std::ofstream(target + "/data/tablespace_map", std::ios::trunc) << map;
    for (const BackupArchive& archive : visitor.begun.archives) {
        const fs::path place = visitor.place_of(archive);
        fs::permissions(place, fs::perms::owner_all);
    }
    server.stop();
    const auto copy = PostgresServer::over(target + "/data", {.version = GetParam()});
    for (const BackupArchive& archive : visitor.begun.archives)
        PostgresServer::give(visitor.place_of(archive));
    copy->start();
    EXPECT_EQ(copy->query_value(digest_sql), digest);
    if (holdfast::test::has_all_programs(GetParam())) {
        copy->stop();
        const ProgramRun check = copy->run_tool("pg_checksums", {"--check", "-D", target + "/data"});
        EXPECT_EQ(check.exit_code, 0) << check.error;
    }
}

TEST_P(BaseBackupTest, WorksOnAStandby) {
    PostgresServer& primary = PostgresServer::shared(GetParam());
    const auto standby = PostgresServer::standby_of(primary);
    const TemporaryDirectory target;
    WritingVisitor visitor(target.path());
    ReplicationConnection connection({.conninfo = standby->conninfo()});
    const BaseBackupEnd end = stream_base_backup(connection, {}, visitor);
    EXPECT_GE(end.stop, visitor.begun.start);
    ASSERT_EQ(visitor.begun.archives.size(), 1u);
    EXPECT_TRUE(visitor.files.contains("backup_label"));
}

TEST_P(BaseBackupTest, EndsWithWhatTheVisitorThrows) {
    PostgresServer& server = PostgresServer::shared(GetParam());
    ReplicationConnection connection({.conninfo = server.conninfo()});
    ThrowingVisitor visitor;
    expect_error(ErrorCode::no_space, [&] { stream_base_backup(connection, {}, visitor); }, "had enough");
}

TEST_P(BaseBackupTest, EndsAtAStop) {
    PostgresServer& server = PostgresServer::shared(GetParam());
    ReplicationConnection connection({.conninfo = server.conninfo()});
    std::stop_source stop;
    StoppingVisitor visitor(stop);
    expect_error(ErrorCode::cancelled,
                 [&] { stream_base_backup(connection, {.max_rate_kib = 32}, visitor, stop.get_token()); });
}

TEST_P(BaseBackupTest, AWrongChecksumIsTheServersToReportOnlyWhenAsked) {
    PostgresServer server({.version = GetParam()});
    server.execute("CREATE TABLE damaged AS SELECT i FROM generate_series(1, 10000) i");
    const std::string path =
        server.data_directory() + "/" + server.query_value("SELECT pg_relation_filepath('damaged')");
    server.stop();
    {
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(8192 + 5000);
        file.put('\xab').put('\xcd');
    }
    server.start();
    for (const bool verify : {false, true}) {
        const TemporaryDirectory target;
        WritingVisitor visitor(target.path());
        ReplicationConnection connection({.conninfo = server.conninfo()});
        const auto run = [&] {
            stream_base_backup(connection, {.server_verifies_checksums = verify}, visitor);
        };
        if (verify) {
            expect_error(ErrorCode::corrupt, run);
        } else {
            EXPECT_NO_THROW(run());
        }
    }
}

TEST_P(BaseBackupTest, ARoleWithoutReplicationIsRefused) {
    PostgresServer& server = PostgresServer::shared(GetParam());
    server.execute("CREATE ROLE plain LOGIN");
    expect_error(ErrorCode::access_denied, [&] {
        ReplicationConnection connection({.conninfo = server.conninfo("postgres", "plain")});
    });
    server.execute("DROP ROLE plain");
}
