// Some databases of a cluster brought back: with all their rows, and for their bytes alone, whatever the log
// says of the others.
#include "base/error.h"
#include "support/protected_source.h"

#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace holdfast::postgres {
namespace {

namespace fs = std::filesystem;
using holdfast::test::Instance;
using holdfast::test::postgres_versions;
using holdfast::test::shared_cluster;
using testing::Contains;
using testing::HasSubstr;
using testing::SizeIs;

constexpr const char* rows =
    "SELECT count(*) || ' ' || md5(string_agg(t::text, '|' ORDER BY t::text)) FROM public.t";

// Two databases in the snapshot, the larger one also in a tablespace, and then all kinds of changes in both.
class Source : public holdfast::test::ProtectedCluster {
  public:
    explicit Source(int version) : ProtectedCluster(version) {
        server.execute("CREATE TABLESPACE space LOCATION '" + server.make_directory("space") + "'");
        for (const char* name : {"small", "large"}) {
            server.execute(fmt::format("CREATE DATABASE {}", name));
            const int count = std::string_view(name) == "large" ? 60000 : 2000;
            server.execute(fmt::format("CREATE TABLE t AS SELECT i AS id, md5(i::text) AS v FROM "
                                       "generate_series(1, {}) i",
                                       count),
                           name);
            server.execute("CREATE INDEX ON t (id)", name);
            server.execute("CREATE INDEX ON t USING gin (to_tsvector('simple', v))", name);
            server.execute("CREATE TABLE u TABLESPACE space AS SELECT * FROM public.t", name);
            server.execute("CREATE UNLOGGED TABLE w AS SELECT * FROM t LIMIT 10", name);
            server.execute("CREATE TABLE gone AS SELECT * FROM public.t", name);
            server.execute("VACUUM ANALYZE", name);
        }
        back_up();
        for (const char* name : {"small", "large"}) {
            server.execute("UPDATE t SET v = v || 'x' WHERE id % 3 = 0", name);
            server.execute("UPDATE u SET v = v || 'y' WHERE id % 5 = 0", name);
            server.execute("DELETE FROM t WHERE id % 7 = 0", name);
            server.execute("CHECKPOINT", name);
            server.execute("VACUUM t", name);
            server.execute("INSERT INTO t SELECT i, 'new' FROM generate_series(1, 500) i", name);
            server.execute("DROP TABLE gone", name);
            server.execute("TRUNCATE w", name);
            server.execute("CREATE TABLE fresh AS SELECT * FROM t LIMIT 100", name);
            server.execute("VACUUM FULL u", name);
        }
        server.execute("CREATE DATABASE late");
        server.execute("CREATE TABLE t AS SELECT generate_series(1, 100) AS id", "late");
        // Before 15 by copying files, later by the log unless told.
        server.execute(
            fmt::format("CREATE DATABASE twin TEMPLATE large{}", version >= 15 ? " STRATEGY file_copy" : ""));
        push();
        digest = server.query_value(rows, "small");
        late = server.query_value(rows, "late");
    }
    PostgresRestore restore_of(std::vector<std::string> databases) {
        PostgresRestore what = restore_to();
        what.tablespaces = {{"space", new_place("space")}};
        what.databases = std::move(databases);
        return what;
    }

    std::string digest, late;
};

std::uint64_t bytes_on_disk(const fs::path& directory) {
    std::uint64_t sum = 0;
    for (const auto& entry : fs::recursive_directory_iterator(directory)) {
        struct stat status{};
        if (::lstat(entry.path().c_str(), &status) == 0 && S_ISREG(status.st_mode))
            sum += static_cast<std::uint64_t>(status.st_blocks) * 512;
    }
    return sum;
}

std::string value_in(const StartedCluster& started, const std::string& database, const std::string& sql) {
    Connection connection(
        {.conninfo = fmt::format("{} dbname={} user=postgres", started.connection, database)});
    return connection.query_value(sql).value_or("");
}

class RestoreDatabases : public testing::TestWithParam<int> {
  protected:
    Source& source_ = shared_cluster<Source>(GetParam());
};

TEST_P(RestoreDatabases, OneComesBackWholeAndTheOthersAreThereToBeDropped) {
    const PostgresRestore what = source_.restore_of({"small"});
    const PostgresRestoreResult result = source_.run(what);
    const StartedCluster& started = *result.started;
    const Instance instance(started);
    EXPECT_EQ(value_in(started, "small", rows), source_.digest);
    EXPECT_EQ(value_in(started, "small", "SELECT count(*) FROM public.u"), "2000");
    EXPECT_EQ(value_in(started, "small", "SELECT count(*) FROM public.fresh"), "100");
    EXPECT_EQ(value_in(started, "late", rows), source_.late) << "made after the snapshot, by the log";

    ASSERT_THAT(result.left_out, SizeIs(1));
    EXPECT_EQ(result.left_out[0].name, "large");
    EXPECT_THAT(result.notes, Contains(HasSubstr("DROP DATABASE \"large\"")));
    EXPECT_THAT(result.notes, Contains(HasSubstr("as a copy of 'large'")));
    const std::string path = fmt::format("{}/base/{}", what.target, result.left_out[0].oid);
    EXPECT_TRUE(fs::exists(path));
    for (const char* sql : {"CHECKPOINT", "DROP DATABASE large", "DROP DATABASE twin", "CHECKPOINT"})
        instance.execute(sql);
    EXPECT_FALSE(fs::exists(path));
}

TEST_P(RestoreDatabases, OnlyItsBytesAreReadAndWritten) {
    const PostgresRestore some = source_.restore_of({"small"});
    const PostgresRestore all = source_.restore_of({});
    const PostgresRestoreResult part = source_.restore(some), whole = source_.restore(all);
    EXPECT_TRUE(whole.left_out.empty());
    EXPECT_EQ(whole.restored->holes.files, 0U);
    EXPECT_GT(part.restored->holes.bytes, 10'000'000U);
    EXPECT_EQ(part.restored->files.written_bytes + part.restored->holes.bytes,
              whole.restored->files.written_bytes);
    EXPECT_LE(part.restored->files.bytes, part.restore_bytes);
    EXPECT_LT(bytes_on_disk(some.target) + bytes_on_disk(some.tablespaces[0].path) + 10'000'000,
              bytes_on_disk(all.target) + bytes_on_disk(all.tablespaces[0].path));
    // The lengths are those of the originals.
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(all.target) / "base")) {
        if (!entry.is_regular_file()) continue;
        const fs::path same = fs::path(some.target) / fs::relative(entry.path(), all.target);
        EXPECT_EQ(fs::file_size(same), entry.file_size()) << same;
    }
}

TEST_P(RestoreDatabases, WhatCannotBeChosenIsRefused) {
    const Error unknown = source_.refusal(source_.restore_of({"small", "late"}));
    EXPECT_EQ(unknown.code(), ErrorCode::usage);
    EXPECT_THAT(unknown.message(), HasSubstr("no database 'late'"));
    EXPECT_THAT(unknown.hint(), HasSubstr("large"));
    EXPECT_THAT(unknown.hint(), HasSubstr("one that was made later comes back with the log"));
    PostgresRestore in_place = source_.restore_of({"small"});
    in_place.in_place = true;
    EXPECT_THAT(source_.refusal(in_place).message(), HasSubstr("in place"));
    EXPECT_FALSE(fs::exists(in_place.target));
}

INSTANTIATE_TEST_SUITE_P(Version, RestoreDatabases, testing::ValuesIn(postgres_versions),
                         testing::PrintToStringParamName());

} // namespace
} // namespace holdfast::postgres
