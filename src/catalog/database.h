// The catalog's database: one SQL layer over SQLite and PostgreSQL.
//
// Statements are written once for both: $1, $2 … for values, TEXT and BIGINT for columns, ON CONFLICT and
// RETURNING where a result is needed. What differs is here.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "catalog/lock_numbers.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace holdfast {

// NULL, a whole number (also for times, in nanoseconds, and for yes and no), or text. Text that is no UTF-8
// is stored in the form of JSON bodies (repository/protocol/text_form.h), zero bytes as U+FFFD.
using SqlValue = std::variant<std::monostate, std::int64_t, std::string>;
using SqlValues = std::vector<SqlValue>;

// One row of an answer. Columns count from 0. Each getter throws Error(internal) when the column is of
// another type; PostgreSQL gives numbers as texts, which are numbers here, too.
class SqlRow {
  public:
    explicit SqlRow(SqlValues values) : values_(std::move(values)) {}
    bool is_null(std::size_t column) const;
    std::int64_t number(std::size_t column) const;
    const std::string& text(std::size_t column) const;
    bool flag(std::size_t column) const { return number(column) != 0; }
    Timestamp time(std::size_t column) const { return Timestamp(Duration(number(column))); }
    std::optional<std::int64_t> optional_number(std::size_t column) const;
    std::optional<std::string> optional_text(std::size_t column) const;
    std::optional<Timestamp> optional_time(std::size_t column) const;

  private:
    SqlValues values_;
};

inline SqlValue sql(Timestamp time) { return time.time_since_epoch().count(); }
inline SqlValue sql(std::string_view text) { return std::string(text); }
inline SqlValue sql(const char* text) { return std::string(text); }
inline SqlValue sql(std::int64_t number) { return number; }
inline SqlValue sql(bool flag) { return std::int64_t{flag}; }
template <typename Value>
SqlValue sql(const std::optional<Value>& value) {
    return value ? sql(*value) : SqlValue();
}

// One session. Not thread-safe.
//
// Errors: Error(unavailable), retryable, when the database is gone or busy for too long; Error(no_space);
// Error(corrupt) when its file is damaged; for what it finds wrong with a statement one that is not
// retryable.
class Database {
  public:
    virtual ~Database() = default;
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    // Runs one statement.
    virtual std::vector<SqlRow> query(std::string_view statement, const SqlValues& values) = 0;
    std::vector<SqlRow> query(std::string_view statement) { return query(statement, {}); }
    // Runs several, without values and answers.
    virtual void execute(std::string_view statements) = 0;
    // Runs `body` in a transaction, which is rolled back when it throws, or when a statement in
    // it failed unnoticed: then this throws Error(internal). Not nested. A writing one excludes
    // other writers of a SQLite file from its beginning on.
    void transaction(const std::function<void()>& body);
    // Within a transaction: waits until no other transaction holds this lock, and holds it to the end.
    virtual void lock(CatalogLock lock) = 0;
    // The end of a SELECT, within a transaction, of rows that it is to have for itself: those that another
    // transaction has are passed over. Empty where transactions exclude each other.
    virtual std::string_view skip_locked() const { return {}; }
    // The time by the database's own clock, the same for all who share it; nothing where that is the clock of
    // who asks.
    virtual std::optional<Timestamp> time() { return std::nullopt; }
    // Whether it can still be used.
    virtual bool alive() = 0;

  protected:
    Database() = default;
    virtual void begin() = 0;
    // Whether a statement of this transaction has failed, so that COMMIT would roll it back.
    virtual bool failed() { return false; }
    // `text` as both databases take it.
    static std::string storable(const std::string& text);
};

// The first value of the first row as a number; Error(internal) when there is none.
std::int64_t single_number(const std::vector<SqlRow>& rows);

// The file that `url` names; nothing when it names a server.
std::optional<std::string> sqlite_file(const std::string& url);

// Where the catalog is: "sqlite:/path/of/file", or what libpq takes, "postgresql://…".
std::unique_ptr<Database> open_database(const std::string& url, Logger& logger);

} // namespace holdfast
