// Databases of other encodings and locales, and with names that are no ASCII, or no UTF-8: backed up and
// brought back.
#include "postgres/recovery/snapshot_cluster.h"
#include "postgres/server/cluster_facts.h"
#include "support/cluster_rows.h"
#include "support/protected_source.h"

#include <algorithm>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

using holdfast::test::cluster_rows;
using holdfast::test::postgres_versions;
using holdfast::test::row_difference;
using holdfast::test::shared_cluster;
using testing::Contains;
using testing::HasSubstr;

constexpr const char* utf8_name = "日本-bücher";
// As it is made within a database of LATIN1.
constexpr const char* latin_name = "b\xfc"
                                   "cher";
constexpr const char* rows = "SELECT count(*) || ' ' || sum(hashtextextended(v, 0)) FROM t";

class Source : public holdfast::test::ProtectedCluster {
  public:
    explicit Source(int version) : ProtectedCluster(version) {
        server.execute(fmt::format("CREATE DATABASE \"{}\"", utf8_name));
        server.execute(
            "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'");
        server.execute(
            "CREATE DATABASE \"bücher\" TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE "
            "'C'",
            "latin");
        server.execute("CREATE DATABASE locale TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' "
                       "LC_CTYPE 'C.UTF-8'");
        databases = {utf8_name, "latin", latin_name, "locale"};
        const bool has_icu =
            server.query_value("SELECT count(*) FROM pg_collation WHERE collname = 'de-x-icu'") == "1";
        if (has_icu && version >= 15) {
            server.execute("CREATE DATABASE icu TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu "
                           "ICU_LOCALE 'de' LC_COLLATE 'C' LC_CTYPE 'C'");
            databases.emplace_back("icu");
        }
        for (const std::string& database : databases) {
            const std::string collation = has_icu && database == utf8_name ? " COLLATE \"de-x-icu\"" : "";
            server.execute(
                "CREATE TABLE t (i int, v text" + collation +
                    "); INSERT INTO t SELECT i, chr(192 + i % 60) || i FROM generate_series(1, 3000) i; "
                    "CREATE INDEX ON t (v); CREATE TABLE \"grüße\" AS SELECT * FROM t WHERE i < 10",
                database);
        }
        first = back_up();
        for (const std::string& database : databases)
            server.execute("UPDATE t SET v = 'é' || v WHERE i % 5 = 0", database);
        second = ProtectedSource::back_up(server);
        for (const std::string& database : databases)
            server.execute("INSERT INTO t SELECT -i, 'ß' || v FROM t WHERE i % 7 = 0", database);
        push();
    }

    std::vector<std::string> databases;
    Snapshot first;
    PostgresBackupResult second;
};

class EncodingsOf : public testing::TestWithParam<int> {
  protected:
    Source& source = shared_cluster<Source>(GetParam());
};

INSTANTIATE_TEST_SUITE_P(Versions, EncodingsOf, testing::ValuesIn(postgres_versions));

TEST_P(EncodingsOf, AllRowsComeBack) {
    EXPECT_TRUE(source.second.incremental) << source.second.full_because;
    const auto recovered = source.recover(source.restore_to(RecoverToEnd{}));
    EXPECT_EQ(row_difference(cluster_rows(source.server), cluster_rows(*recovered)), "");
    for (const std::string& database : source.databases) {
        // By the index, which is sorted as the locale says.
        Connection connection = recovered->connect(database);
        connection.execute("SET enable_seqscan = off");
        EXPECT_EQ(connection.query_value("SELECT count(*) FROM t WHERE v = 'Á61'"), "1") << database;
    }
}

TEST_P(EncodingsOf, NamesAreTheSameFromWhicheverDatabaseTheyAreRead) {
    for (const char* from : {"postgres", "latin", "locale"}) {
        Connection connection({.conninfo = source.server.conninfo(from)});
        const ClusterFacts facts = read_cluster_facts(connection, system_clock());
        std::vector<std::string> names;
        for (const DatabaseFacts& database : facts.databases) names.push_back(database.name);
        for (const std::string& database : source.databases) EXPECT_THAT(names, Contains(database)) << from;
        EXPECT_EQ(connection.query_value("SHOW client_encoding"), "UTF8");
    }
    Repository& repository = source.repository();
    const SnapshotCluster cluster =
        read_snapshot_cluster(repository.nodes(), repository.packs(), source.second.report.snapshot);
    for (const std::string& database : source.databases)
        EXPECT_TRUE(std::ranges::any_of(cluster.databases, [&](const SnapshotDatabase& one) {
            return one.name == database;
        })) << database;
}

TEST_P(EncodingsOf, EachCanBeChosenByItsName) {
    for (const std::string& database : {std::string(utf8_name), std::string(latin_name)}) {
        PostgresRestore what = source.restore_to(RecoverToEnd{});
        what.databases = {database};
        const PostgresRestoreResult result = source.restore(what);
        EXPECT_EQ(result.left_out.size(), source.databases.size() - 1);
        const auto server = holdfast::test::PostgresServer::over(what.target, {.version = GetParam()});
        server->start();
        server->wait_until_writable();
        EXPECT_EQ(server->query_value(rows, database), source.server.query_value(rows, database));
    }
    PostgresRestore what = source.restore_to(RecoverToEnd{});
    what.databases = {"b\xfd"};
    const Error refused = source.refusal(what);
    EXPECT_THAT(refused.message(), HasSubstr("b\\xfd"));
    EXPECT_THAT(refused.hint(), HasSubstr("b\\xfccher"));
}

} // namespace
} // namespace holdfast::postgres
