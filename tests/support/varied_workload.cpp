#include "support/varied_workload.h"

#include <fmt/format.h>

namespace holdfast::test {

namespace {

constexpr const char* schema[] = {
    "CREATE TABLE IF NOT EXISTS many (id bigserial PRIMARY KEY, a int, b text, c int[], p point, d int) "
    "WITH (fillfactor = 80)",
    "CREATE INDEX IF NOT EXISTS many_hash ON many USING hash (a)",
    "CREATE INDEX IF NOT EXISTS many_gin ON many USING gin (c)",
    "CREATE INDEX IF NOT EXISTS many_gist ON many USING gist (p)",
    "CREATE INDEX IF NOT EXISTS many_brin ON many USING brin (a) WITH (pages_per_range = 4, autosummarize = "
    "on)",
    "CREATE INDEX IF NOT EXISTS many_spgist ON many USING spgist (p)",
    "CREATE INDEX IF NOT EXISTS many_text ON many USING spgist (b)",
    "CREATE TABLE IF NOT EXISTS fat (id int, v text)",
    "ALTER TABLE fat ALTER v SET STORAGE EXTERNAL",
    "CREATE UNLOGGED TABLE IF NOT EXISTS light (x int PRIMARY KEY)",
    "CREATE SEQUENCE IF NOT EXISTS counter",
};

// {0}: the round.
constexpr const char* work[] = {
    "INSERT INTO many (a, b, c, p) SELECT i % 1000, repeat(md5(i::text), 1 + i % 20), ARRAY[i % 10, i % 77, "
    "{0}], "
    "point(i % 501, i * 7 % 1000) FROM generate_series(1, 4000) i",
    "INSERT INTO fat SELECT i, string_agg(md5((i * j + {0})::text), '') FROM generate_series(1, 40) i, "
    "generate_series(1, 200) j GROUP BY i",
    "UPDATE many SET d = {0} WHERE id % 13 = {0} % 13",
    "UPDATE many SET a = a + 1, p = point(id % 97, {0}) WHERE id % 7 = {0} % 7",
    "BEGIN; SELECT count(*) FROM (SELECT 1 FROM many WHERE id % 50 = 0 FOR UPDATE) l; INSERT INTO many (a) "
    "VALUES (1); "
    "SAVEPOINT s; INSERT INTO many (a) VALUES (2); SELECT count(*) FROM (SELECT 1 FROM many WHERE id % 51 = "
    "0 FOR KEY "
    "SHARE) l; ROLLBACK TO s; INSERT INTO many (a) VALUES (3); COMMIT",
    "DELETE FROM many WHERE id % 11 = {0} % 11",
    "CHECKPOINT",
    "SELECT sum(a) FROM many",
    "VACUUM many",
    "VACUUM (FREEZE) many",
    "BEGIN; CREATE TABLE gone (x int); INSERT INTO gone SELECT generate_series(1, 2000); ROLLBACK",
    "BEGIN; CREATE TABLE phased_{0} (x int); INSERT INTO phased_{0} SELECT generate_series(1, 500); PREPARE "
    "TRANSACTION 'kept {0}'",
    "COMMIT PREPARED 'kept {0}'",
    "BEGIN; CREATE TABLE lost_{0} (x int); INSERT INTO lost_{0} SELECT generate_series(1, 500); PREPARE "
    "TRANSACTION "
    "'lost {0}'",
    "ROLLBACK PREPARED 'lost {0}'",
    "BEGIN; DROP TABLE phased_{0}; PREPARE TRANSACTION 'dropped {0}'",
    "COMMIT PREPARED 'dropped {0}'",
    "BEGIN; TRUNCATE fat; INSERT INTO fat VALUES (1, 'x'); ROLLBACK",
    "INSERT INTO light SELECT i FROM generate_series({0} * 1000, {0} * 1000 + 999) i",
    "CREATE TABLE tail_{0} AS SELECT i AS x, repeat('y', 100) AS y FROM generate_series(1, 5000) i",
    "CREATE INDEX ON tail_{0} (x)",
    "DELETE FROM tail_{0} WHERE x > 1000",
    "VACUUM tail_{0}",
    "INSERT INTO tail_{0} SELECT i, 'again' FROM generate_series(1, 700) i",
    "CLUSTER many USING many_pkey",
    "VACUUM FULL fat",
    "REINDEX INDEX many_gist",
    "SELECT nextval('counter') FROM generate_series(1, 100)",
    "ANALYZE",
    "VACUUM FULL pg_class",
    "SELECT pg_create_restore_point('round {0}')",
};

constexpr const char* spaces[] = {
    "CREATE TABLE moving_{0} (x int PRIMARY KEY)",
    "INSERT INTO moving_{0} SELECT generate_series(1, 3000)",
    "ALTER TABLE moving_{0} SET TABLESPACE space_{0}",
    "DELETE FROM moving_{0} WHERE x % 3 = 0",
    "CREATE DATABASE log_{0}{1}",
    "CREATE DATABASE copy_{0}{2}",
    "ALTER DATABASE copy_{0} SET TABLESPACE space_{0}",
    "DROP DATABASE log_{0}",
    "TRUNCATE moving_{0}",
    "INSERT INTO moving_{0} SELECT generate_series(1, 100)",
    "DROP DATABASE copy_{0}",
    "ALTER TABLE moving_{0} SET TABLESPACE pg_default",
    "DROP TABLESPACE space_{0}",
    "DROP TABLE IF EXISTS tail_{3}",
    "SELECT pg_switch_wal()",
    "UPDATE many SET d = -{0} WHERE id % 17 = 3",
};

} // namespace

void run_varied_workload(const PostgresServer& server, int round) {
    postgres::Connection connection = server.connect();
    const auto run = [&](fmt::string_view statement) {
        const bool strategies = server.version() >= 15;
        connection.execute(fmt::format(fmt::runtime(statement), round, strategies ? " STRATEGY wal_log" : "",
                                       strategies ? " STRATEGY file_copy" : "", round - 1));
    };
    connection.execute("SET search_path = public");
    for (const char* statement : schema) connection.execute(statement);
    for (const char* statement : work) run(statement);
    const std::string place = server.make_directory(fmt::format("space-{}", round));
    connection.execute(fmt::format("CREATE TABLESPACE space_{} LOCATION '{}'", round, place));
    for (const char* statement : spaces) run(statement);
}

} // namespace holdfast::test
