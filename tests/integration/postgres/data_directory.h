// What the tests of files on real servers share: walking a data directory, and a cluster with something of
// everything in it.
#pragma once

#include "base/bytes.h"
#include "support/postgres_server.h"

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

namespace holdfast::postgres::test {

using holdfast::test::PostgresServer;

inline Bytes bytes_of_file(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw std::runtime_error("cannot read " + path.string());
    return Bytes(std::istreambuf_iterator<char>(in), {});
}
inline std::string text_of_file(const std::filesystem::path& path) {
    return std::string(as_text(bytes_of_file(path)));
}

// Calls `visit` with the path relative to `root` of every entry below it, through the links of pg_tblspc; a
// directory whose visit returns false is not entered.
inline void walk(const std::filesystem::path& root,
                 const std::function<bool(const std::string& path, bool is_directory)>& visit,
                 const std::string& below = {}) {
    for (const auto& entry : std::filesystem::directory_iterator(root / below)) {
        const std::string path =
            below.empty() ? entry.path().filename().string() : below + "/" + entry.path().filename().string();
        if (visit(path, entry.is_directory()) && entry.is_directory()) walk(root, visit, path);
    }
}

// Tables with every kind of index, updated, deleted from and vacuumed; a sequence, an unlogged table, and a
// tablespace. `rows` is the size of the largest.
inline void fill(PostgresServer& server, int rows) {
    const std::string place = server.make_directory("space");
    server.execute("CREATE TABLESPACE space LOCATION '" + place + "'");
    server.execute("CREATE TABLE plain (id serial PRIMARY KEY, word text, at point, period int4range)");
    server.execute("CREATE INDEX ON plain USING hash (word)");
    server.execute("CREATE INDEX ON plain USING gist (period)");
    server.execute("CREATE INDEX ON plain USING gin (to_tsvector('simple', word))");
    server.execute("CREATE INDEX ON plain USING brin (id)");
    server.execute("CREATE INDEX ON plain USING spgist (at)");
    server.execute(
        "INSERT INTO plain (word, at, period) SELECT md5(i::text), point(i, i % 97), int4range(i, i + 9) "
        "FROM generate_series(1, " +
        std::to_string(rows) + ") i");
    server.execute("CREATE TABLE long_rows TABLESPACE space AS SELECT i, repeat(md5(i::text), 300) AS word "
                   "FROM generate_series(1, " +
                   std::to_string(rows / 50) + ") i");
    server.execute("CREATE UNLOGGED TABLE unlogged AS SELECT generate_series(1, 1000) AS i");
    server.execute("CREATE INDEX ON unlogged (i)");
    server.execute("UPDATE plain SET word = word || 'x' WHERE id % 3 = 0");
    server.execute("DELETE FROM plain WHERE id % 5 = 0");
    server.execute("VACUUM (FREEZE, ANALYZE)");
    server.execute("UPDATE plain SET word = word || 'y' WHERE id % 7 = 0");
}

} // namespace holdfast::postgres::test
