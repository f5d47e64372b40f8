#include "support/cluster_rows.h"

#include <thread>

#include <fmt/format.h>

namespace holdfast::test {

namespace {

using postgres::Connection;
using postgres::QueryResult;

constexpr const char* tables_of_users =
    "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = "
    "c.relnamespace WHERE c.relkind IN ('r', 'm') AND c.relpersistence = '{}' AND n.nspname NOT LIKE "
    "'pg\\_%' "
    "AND n.nspname <> 'information_schema' ORDER BY 1";

std::vector<std::string> column(const QueryResult& result) {
    std::vector<std::string> values;
    for (const QueryResult::Row& row : result.rows) values.push_back(row.at(0).value_or(""));
    return values;
}

std::vector<std::string> tables(Connection& connection, char persistence) {
    return column(connection.query(fmt::format(fmt::runtime(tables_of_users), persistence)));
}

void add_database(ClusterRows& rows, const PostgresServer& server, const std::string& database) {
    Connection connection = server.connect(database);
    const auto add = [&](const std::string& name, const std::string& from) {
        rows[database + "/" + name] =
            connection
                .query_value(fmt::format("SELECT count(*) || ' ' || coalesce(sum(hashtextextended(t::text, "
                                         "0)), 0) FROM {} t",
                                         from))
                .value_or("");
    };
    for (const std::string& table : tables(connection, 'p')) add(table, table);
    add("large objects", "pg_largeobject");
    add("names", "(SELECT nspname, relname, relkind, relpersistence FROM pg_class c JOIN pg_namespace n ON "
                 "n.oid = relnamespace WHERE (relnamespace >= 16384 OR nspname = 'public') AND "
                 "relpersistence <> 't')");
}

} // namespace

std::vector<std::string> databases_of(const PostgresServer& server) {
    return column(server.query("SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1"));
}

ClusterRows cluster_rows(const PostgresServer& server) {
    ClusterRows rows;
    for (const std::string& database : databases_of(server)) add_database(rows, server, database);
    rows["prepared"] = server.query_value(
        "SELECT string_agg(gid || '/' || database, ' ' ORDER BY gid) FROM pg_prepared_xacts");
    return rows;
}

std::string row_difference(const ClusterRows& expected, const ClusterRows& is) {
    std::string text;
    for (const auto& [name, what] : expected) {
        const auto found = is.find(name);
        if (found == is.end()) {
            text += fmt::format("{} is missing\n", name);
        } else if (found->second != what) {
            text += fmt::format("{}: {}, and it was {}\n", name, found->second, what);
        }
    }
    for (const auto& [name, what] : is)
        if (!expected.contains(name)) text += fmt::format("{} should not be there\n", name);
    return text;
}

std::string unlogged_rows(const PostgresServer& server) {
    std::string text;
    for (const std::string& database : databases_of(server)) {
        Connection connection = server.connect(database);
        for (const std::string& table : tables(connection, 'u')) {
            const auto rows = connection.query_value("SELECT count(*) FROM " + table);
            if (rows != "0")
                text += fmt::format("{}/{} is unlogged and has {} rows\n", database, table, *rows);
        }
    }
    return text;
}

void roll_back_prepared(const PostgresServer& server) {
    for (const QueryResult::Row& row : server.query("SELECT gid, database FROM pg_prepared_xacts").rows)
        server.execute(fmt::format("ROLLBACK PREPARED '{}'", *row[0]), *row[1]);
}

namespace {

// Vacuum goes by the transactions of its own database. Before 17 pg_check_visible goes by those of all, so
// that it finds tuples that are right when there is one that does not end.
bool others_are_in_its_way(const PostgresServer& server, Connection& connection) {
    return server.version() < 17 &&
           connection.query_value(
               "SELECT count(*) FROM pg_prepared_xacts WHERE database <> current_database()") != "0";
}

std::string visibility_findings(const PostgresServer& server) {
    std::string text;
    for (const std::string& database : databases_of(server)) {
        Connection connection = server.connect(database);
        if (connection.query_value("SELECT count(*) FROM pg_extension WHERE extname = 'pg_visibility'") ==
            "0")
            continue;
        for (const std::string_view function : {"pg_check_visible", "pg_check_frozen"}) {
            if (function == "pg_check_visible" && others_are_in_its_way(server, connection)) continue;
            for (const std::string& found : column(connection.query(fmt::format(
                     "SELECT c.oid::regclass || ' ' || t.tid FROM (SELECT oid FROM pg_class WHERE relkind IN "
                     "('r', 'm', 't') AND relpersistence <> 't') c, LATERAL {}(c.oid) AS t(tid) LIMIT 20",
                     function))))
                text += fmt::format("{}: {} finds {}\n", database, function, found);
        }
    }
    return text;
}

} // namespace

std::string wrong_visibility(const PostgresServer& server) {
    std::string text;
    // Before 17 the horizon that pg_visibility goes by may move backwards, when sessions begin and end at the
    // same time, and then it finds tuples that are right. What is wrong stays wrong.
    for (int attempt = 0; attempt < 10; ++attempt) {
        text = visibility_findings(server);
        if (text.empty() || server.version() >= 17) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
    }
    return text;
}

} // namespace holdfast::test
