#include "catalog/postgres_database.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

// The session's own settings. What belongs to the catalog lies in a schema of its own, and names are looked
// for there alone, so that nothing that somebody else made in the database is taken for it.
constexpr const char* schema = "holdfast";

postgres::ConnectionSettings settings_of(const std::string& conninfo) {
    postgres::ConnectionSettings settings;
    settings.conninfo = conninfo;
    settings.application_name = "holdfast catalog";
    // A server that hangs must not hang all that asks it.
    settings.statement_timeout = std::chrono::seconds(60);
    return settings;
}

} // namespace

PostgresDatabase::PostgresDatabase(const std::string& conninfo, Logger& logger)
    : connection_(settings_of(conninfo), {}, logger) {
    // Several first starts wait for each other. Asked first, because who may not make schemas may use one
    // that is there.
    connection_.execute("BEGIN");
    lock(CatalogLock::schema);
    if (connection_.query("SELECT 1 FROM pg_namespace WHERE nspname = $1", {schema}).rows.empty())
        connection_.execute(fmt::format("CREATE SCHEMA {}", schema));
    connection_.execute("COMMIT");
    // A server that is frozen, or gone without a word, must not keep the others' locks.
    connection_.execute(
        fmt::format("SET search_path = {}; SET idle_in_transaction_session_timeout = '30s'", schema));
}

std::optional<std::string> PostgresDatabase::text_of(const SqlValue& value) {
    if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
    if (const auto* text = std::get_if<std::string>(&value)) return storable(*text);
    return std::nullopt;
}

std::vector<SqlRow> PostgresDatabase::query(std::string_view statement, const SqlValues& values) {
    postgres::Parameters parameters;
    for (const SqlValue& value : values) parameters.push_back(text_of(value));
    std::vector<SqlRow> rows;
    for (const auto& row : noticed([&] { return connection_.query(statement, parameters); }).rows) {
        SqlValues cells;
        for (const auto& cell : row) cells.push_back(cell ? SqlValue(*cell) : SqlValue());
        rows.emplace_back(std::move(cells));
    }
    return rows;
}

void PostgresDatabase::execute(std::string_view statements) {
    noticed([&] { connection_.execute(statements); });
}

void PostgresDatabase::lock(CatalogLock lock) {
    connection_.query("SELECT pg_advisory_xact_lock($1::bigint)",
                      {std::to_string(static_cast<std::int64_t>(lock))});
}

// Of now, not of when the transaction began, which may have waited since.
std::optional<Timestamp> PostgresDatabase::time() {
    const auto microseconds =
        query("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)", {});
    return Timestamp(std::chrono::microseconds(single_number(microseconds)));
}

bool PostgresDatabase::alive() { return connection_.connected(); }

// Rows are to be seen as they are when a lock was waited for, not as they were before.
void PostgresDatabase::begin() {
    connection_.execute("BEGIN ISOLATION LEVEL READ COMMITTED");
    failed_ = false;
}

bool PostgresDatabase::failed() { return failed_; }

} // namespace holdfast
