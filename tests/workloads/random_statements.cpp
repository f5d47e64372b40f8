#include "workloads/random_statements.h"

#include <array>
#include <functional>

#include <fmt/format.h>

namespace holdfast::workloads {

namespace {

using Statements = std::vector<std::string>;

constexpr unsigned big_rows = 20'000;
constexpr unsigned tables = 6;

class Choosing {
  public:
    Choosing(Random& random, const StatementChoice& choice) : random_(random), choice_(choice) {}

    Statements next() {
        struct Kind {
            unsigned weight;
            Statements (Choosing::*make)();
        };
        static constexpr std::array kinds{
            Kind{8, &Choosing::create_table},    Kind{4, &Choosing::create_index},
            Kind{16, &Choosing::insert},         Kind{12, &Choosing::update},
            Kind{6, &Choosing::remove},          Kind{6, &Choosing::remove_tail},
            Kind{5, &Choosing::lock_rows},       Kind{6, &Choosing::roll_back},
            Kind{12, &Choosing::vacuum},         Kind{8, &Choosing::rewrite},
            Kind{3, &Choosing::truncate},        Kind{4, &Choosing::drop},
            Kind{10, &Choosing::read},           Kind{4, &Choosing::prepare},
            Kind{4, &Choosing::finish_prepared}, Kind{4, &Choosing::large_object},
            Kind{3, &Choosing::sequence},        Kind{4, &Choosing::copy_frozen},
            Kind{4, &Choosing::toast},           Kind{12, &Choosing::big_update},
            Kind{5, &Choosing::big_tail},        Kind{5, &Choosing::big_vacuum},
            Kind{1, &Choosing::big_rewrite},     Kind{3, &Choosing::server_wide},
            Kind{3, &Choosing::database},
        };
        unsigned sum = 0;
        for (const Kind& kind : kinds) sum += kind.weight;
        std::uint64_t at = below(sum);
        for (const Kind& kind : kinds) {
            if (at < kind.weight) return (this->*kind.make)();
            at -= kind.weight;
        }
        return {};
    }

  private:
    std::uint64_t below(std::uint64_t limit) { return random_.below(limit); }
    bool chance(unsigned percent) { return below(100) < percent; }
    template <std::size_t N>
    const char* one_of(const std::array<const char*, N>& words) {
        return words[below(N)];
    }
    std::string table() { return fmt::format("t{}", below(tables)); }
    std::string place() { return chance(15) ? fmt::format("TABLESPACE ts{}", below(2)) : ""; }
    unsigned some_rows() { return static_cast<unsigned>(chance(20) ? 500 + below(2500) : 1 + below(60)); }

    static std::string rows_of(unsigned rows, std::uint64_t salt) {
        return fmt::format(
            "SELECT i % 1000, repeat(md5((i * 7 + {0})::text), 1 + i % 7), ARRAY[i % 10, i % 77, {0} "
            "% 50], point(i % 501, (i * 7 + {0}) % 1000), i, int4range(i, i + 1 + i % 9) FROM "
            "generate_series(1, {1}) i",
            salt % 100'000, rows);
    }
    std::string insert_into(const std::string& name, unsigned rows) {
        return fmt::format("INSERT INTO {} (a, b, c, p, d, r) {}", name, rows_of(rows, below(1'000'000)));
    }
    static constexpr const char* columns =
        "(id bigserial, a int, b text, c int[], p point, d int, r int4range)";

    Statements create_table() {
        const std::string name = table();
        Statements all{fmt::format("CREATE {} TABLE {} {} WITH (fillfactor = {}) {}",
                                   chance(15) ? "UNLOGGED" : "", name, columns,
                                   one_of(std::array{"20", "70", "100"}), place())};
        if (chance(30)) all.push_back(fmt::format("ALTER TABLE {} ALTER b SET STORAGE EXTERNAL", name));
        if (chance(70)) all.push_back(insert_into(name, some_rows()));
        all.push_back(index_on(name));
        if (chance(50)) all.push_back(index_on(name));
        // All of it together, or piece by piece.
        if (chance(40)) {
            all.insert(all.begin(), "BEGIN");
            all.emplace_back(chance(80) ? "COMMIT" : "ROLLBACK");
        }
        return all;
    }
    std::string index_on(const std::string& name) {
        return fmt::format(
            "CREATE INDEX ON {} USING {} {}", name,
            one_of(std::array{"btree (id)", "btree (a, id)", "btree (md5(b)) WITH (fillfactor = 20)",
                              "hash (a)", "gin (c)", "gin (c) WITH (fastupdate = off)", "gist (p)",
                              "gist (r)", "spgist (p)", "spgist (b)",
                              "brin (a) WITH (pages_per_range = 2, autosummarize = on)",
                              "btree (a) WITH (deduplicate_items = off)"}),
            place());
    }
    Statements create_index() {
        std::string sql = index_on(table());
        if (chance(25)) sql.replace(0, 12, "CREATE INDEX CONCURRENTLY");
        return {sql};
    }
    Statements insert() { return {insert_into(table(), some_rows())}; }
    Statements update() {
        const unsigned part = static_cast<unsigned>(2 + below(60));
        return {fmt::format("UPDATE {} SET {} WHERE id % {} = {}", table(),
                            one_of(std::array{"d = d + 1", "a = a + 1", "b = md5(b)", "p = point(d % 97, a)",
                                              "c = c || d", "r = int4range(d, d + 5), a = -a"}),
                            part, below(part))};
    }
    Statements remove() {
        const unsigned part = static_cast<unsigned>(2 + below(20));
        return {fmt::format("DELETE FROM {} WHERE id % {} = {}", table(), part, below(part))};
    }
    Statements remove_tail() {
        const std::string name = table();
        return {
            fmt::format("DELETE FROM {0} WHERE ctid > (SELECT max(ctid) FROM (SELECT ctid FROM {0} ORDER BY "
                        "ctid LIMIT {1}) x)",
                        name, below(800)),
            fmt::format("VACUUM (TRUNCATE{}) {}", chance(30) ? ", FREEZE" : "", name),
            chance(60) ? insert_into(name, some_rows()) : "SELECT 1"};
    }
    Statements lock_rows() {
        const std::string name = table();
        return {
            "BEGIN",
            fmt::format("SELECT count(*) FROM (SELECT 1 FROM {} WHERE id % 5 = {} {}) x", name, below(5),
                        one_of(std::array{"FOR SHARE", "FOR KEY SHARE", "FOR UPDATE", "FOR NO KEY UPDATE"})),
            fmt::format("SAVEPOINT s"),
            fmt::format("UPDATE {} SET d = 0 WHERE id % 9 = {}", name, below(9)),
            chance(50) ? "ROLLBACK TO s" : "RELEASE s",
            chance(70) ? "COMMIT" : "ROLLBACK"};
    }
    Statements roll_back() {
        const std::string name = table();
        switch (below(4)) {
        case 0:
            return {"BEGIN", fmt::format("TRUNCATE {}", name), insert_into(name, some_rows()), "ROLLBACK"};
        case 1:
            return {"BEGIN", insert_into(name, some_rows()), "ROLLBACK"};
        case 2:
            return {"BEGIN", fmt::format("CREATE TABLE gone_{} {}", choice_.name, columns),
                    insert_into("gone_" + choice_.name, some_rows()), "ROLLBACK"};
        default:
            return {"BEGIN", fmt::format("DROP TABLE {}", name), "ROLLBACK"};
        }
    }
    Statements vacuum() {
        return {fmt::format("VACUUM {} {}",
                            one_of(std::array{"", "(FREEZE)", "(FREEZE, DISABLE_PAGE_SKIPPING)", "(ANALYZE)",
                                              "(INDEX_CLEANUP off)", "(TRUNCATE off)", "(PARALLEL 2)"}),
                            table())};
    }
    Statements rewrite() {
        const std::string name = table();
        switch (below(8)) {
        case 0:
            return {fmt::format("VACUUM (FULL{}) {}", chance(50) ? ", FREEZE" : "", name)};
        case 1:
            return {fmt::format("CREATE INDEX IF NOT EXISTS {0}_cluster ON {0} (a)", name),
                    fmt::format("CLUSTER {0} USING {0}_cluster", name)};
        case 2:
            return {fmt::format("REINDEX TABLE {}{}", chance(40) ? "CONCURRENTLY " : "", name)};
        case 3:
            return {fmt::format("ALTER TABLE {} SET TABLESPACE {}", name,
                                one_of(std::array{"ts0", "ts1", "pg_default"}))};
        case 4:
            return {fmt::format("ALTER TABLE {} SET {}", name, chance(50) ? "UNLOGGED" : "LOGGED")};
        case 5:
            return {fmt::format("ALTER TABLE {} ADD e{} int DEFAULT {}", name, below(100),
                                chance(50) ? "7" : "(random() * 100)::int")};
        case 6:
            return {fmt::format("ALTER TABLE {} ALTER d TYPE {} USING d::{}", name,
                                chance(50) ? "bigint" : "int", "int")};
        default:
            return {one_of(std::array{"VACUUM FULL pg_class", "VACUUM pg_attribute", "REINDEX TABLE pg_class",
                                      "VACUUM FULL pg_proc", "VACUUM (FREEZE) pg_class",
                                      "REINDEX INDEX pg_class_oid_index", "VACUUM FULL pg_database"})};
        }
    }
    Statements truncate() {
        const std::string name = table();
        Statements all{fmt::format("TRUNCATE {}{}", name, chance(50) ? " RESTART IDENTITY" : "")};
        if (chance(60)) all.push_back(insert_into(name, some_rows()));
        if (chance(30)) {
            all.insert(all.begin(), "BEGIN");
            all.emplace_back("COMMIT");
        }
        return all;
    }
    Statements drop() { return {fmt::format("DROP TABLE {}", table())}; }
    Statements read() {
        const std::string name = chance(30) ? "big" : table();
        return {chance(30) ? "SET enable_seqscan = off" : "SET enable_seqscan = on",
                fmt::format("SELECT count(*){} FROM {}", chance(40) ? ", max(id)" : "", name)};
    }
    Statements prepare() {
        const std::string name = table();
        return {"BEGIN", insert_into(name, some_rows()),
                chance(30) ? fmt::format("UPDATE {} SET d = 5 WHERE id % 33 = 1", name)
                           : fmt::format("CREATE TABLE p_{}_{} {}", choice_.name, below(1000), columns),
                fmt::format("PREPARE TRANSACTION 'p_{}'", choice_.name)};
    }
    Statements finish_prepared() {
        return {fmt::format("{} PREPARED 'p_{}'", chance(60) ? "COMMIT" : "ROLLBACK", choice_.name)};
    }
    Statements large_object() {
        const std::uint64_t object = 900'000 + below(20);
        switch (below(3)) {
        case 0:
            return {fmt::format("SELECT lo_from_bytea({}, decode(repeat(md5('{}'), {}), 'hex'))", object,
                                below(1000), 1 + below(3000))};
        case 1:
            return {fmt::format("SELECT lo_put({}, {}, decode(repeat('ab', {}), 'hex'))", object,
                                below(20'000), 1 + below(5000))};
        default:
            return {fmt::format("SELECT lo_unlink({})", object)};
        }
    }
    Statements sequence() {
        const std::uint64_t number = below(3);
        switch (below(4)) {
        case 0:
            return {fmt::format("CREATE SEQUENCE s{} CACHE {}", number, 1 + below(50))};
        case 1:
            return {fmt::format("DROP SEQUENCE s{}", number)};
        case 2:
            return {fmt::format("SELECT setval('s{}', {})", number, 1 + below(10'000))};
        default:
            return {fmt::format("SELECT nextval('s{}') FROM generate_series(1, {})", number, 1 + below(100))};
        }
    }
    Statements copy_frozen() {
        const std::string name = table();
        return {"BEGIN", fmt::format("TRUNCATE {}", name),
                fmt::format("COPY {} (a) FROM PROGRAM 'seq 1 {}' (FREEZE)", name, some_rows() * 3), "COMMIT"};
    }
    Statements toast() {
        return {fmt::format("INSERT INTO {} (a, b) SELECT i, string_agg(md5((i * j + {})::text), '') FROM "
                            "generate_series(1, {}) i, generate_series(1, {}) j GROUP BY i",
                            table(), below(1000), 1 + below(20), 100 + below(600))};
    }
    Statements big_update() {
        switch (below(4)) {
        case 0: // scattered
            return {fmt::format("UPDATE big SET v = v + 1 WHERE id IN (SELECT (random() * {})::int FROM "
                                "generate_series(1, {}))",
                                big_rows, 1 + below(30))};
        case 1: { // side by side
            const std::uint64_t from = below(big_rows);
            return {fmt::format("UPDATE big SET {} WHERE id BETWEEN {} AND {}",
                                chance(50) ? "v = v + 1" : "k = md5(k) || k", from, from + below(200))};
        }
        case 2:
            return {fmt::format("DELETE FROM big WHERE id % 4001 = {}", below(4001))};
        default:
            return {
                fmt::format("INSERT INTO big SELECT i, repeat(md5(i::text), 6), 0 FROM generate_series({0}, "
                            "{0} + {1}) i ON CONFLICT DO NOTHING",
                            below(big_rows), below(400))};
        }
    }
    Statements big_tail() {
        const std::uint64_t from = big_rows - big_rows / 50 - below(big_rows / 10);
        return {fmt::format("DELETE FROM big WHERE id > {}", from),
                fmt::format("VACUUM (TRUNCATE{}) big", chance(30) ? ", FREEZE" : ""),
                chance(70) ? fmt::format("INSERT INTO big SELECT i, repeat(md5((i + {})::text), 6), 1 FROM "
                                         "generate_series({}, {}) i ON CONFLICT DO NOTHING",
                                         below(1000), from, from + below(big_rows / 5))
                           : "SELECT 1"};
    }
    Statements big_vacuum() {
        return {fmt::format("VACUUM {} big", one_of(std::array{"", "(FREEZE)", "(TRUNCATE off)",
                                                               "(INDEX_CLEANUP on)", "(FREEZE, ANALYZE)"}))};
    }
    Statements big_rewrite() {
        return {one_of(std::array{"CLUSTER big USING big_pkey", "VACUUM FULL big", "REINDEX INDEX big_k",
                                  "REINDEX INDEX CONCURRENTLY big_pkey", "TRUNCATE big"})};
    }
    Statements server_wide() {
        return {one_of(std::array{"CHECKPOINT", "SELECT pg_switch_wal()", "SELECT txid_current()",
                                  "SELECT pg_logical_emit_message(false, 'x', repeat('y', 3000))"})};
    }
    Statements database() {
        if (!choice_.databases) return read();
        const std::uint64_t number = below(3);
        const bool strategies = choice_.version >= 15;
        switch (below(5)) {
        case 0:
        case 1:
            return {fmt::format("CREATE DATABASE d{} TEMPLATE template1{}{}", number,
                                strategies ? fmt::format(" STRATEGY {}", chance(50) ? "wal_log" : "file_copy")
                                           : "",
                                // The folder of one that was dropped.
                                strategies ? fmt::format(" OID {}", 60'000 + below(2)) : "")};
        case 2:
            return {fmt::format("CREATE DATABASE d{} TEMPLATE d{}", number, (number + 1) % 3)};
        case 3:
            return {fmt::format("ALTER DATABASE d{} SET TABLESPACE {}", number,
                                one_of(std::array{"ts0", "ts1", "pg_default"}))};
        default:
            return {fmt::format("DROP DATABASE d{}", number)};
        }
    }

    Random& random_;
    const StatementChoice& choice_;
};

} // namespace

std::vector<std::string> first_statements() {
    return {
        "CREATE TABLE IF NOT EXISTS big (id bigint PRIMARY KEY, k text, v int) WITH (fillfactor = 25)",
        fmt::format("INSERT INTO big SELECT i, repeat(md5(i::text), 6), 0 FROM generate_series(1, {}) i ON "
                    "CONFLICT DO NOTHING",
                    big_rows),
        "CREATE INDEX IF NOT EXISTS big_k ON big (k) WITH (fillfactor = 25)"};
}

std::vector<std::string> random_statements(Random& random, const StatementChoice& choice) {
    return Choosing(random, choice).next();
}

} // namespace holdfast::workloads
