// The catalog in one file.
#pragma once

#include "catalog/database.h"

#include <map>
#include <memory>
#include <string>

namespace SQLite {
class Database;
class Statement;
} // namespace SQLite

namespace holdfast {

// Makes the file when it does not exist, for its owner alone. Several sessions and processes may share it;
// one that writes is waited for, up to ten seconds. What was committed survives a power cut.
class SqliteDatabase final : public Database {
  public:
    explicit SqliteDatabase(const std::string& file);
    ~SqliteDatabase() override;

    std::vector<SqlRow> query(std::string_view statement, const SqlValues& values) override;
    void execute(std::string_view statements) override;
    // The whole file is locked by any transaction.
    void lock(CatalogLock) override {}
    // Not when a transaction could not be ended.
    bool alive() override;

    // Whether a session of this process has found this file damaged. Thread-safe.
    static bool is_known_as_damaged(const std::string& file);
    // It is another file from now on.
    static void forget_damage(const std::string& file);

  private:
    void begin() override;
    static void bind(SQLite::Statement& statement, int index, const SqlValue& value);
    SQLite::Statement& prepared(std::string_view statement);

    std::string file_;
    std::unique_ptr<SQLite::Database> database_;
    // Statements are few and used again and again.
    std::map<std::string, std::unique_ptr<SQLite::Statement>, std::less<>> prepared_;
};

} // namespace holdfast
