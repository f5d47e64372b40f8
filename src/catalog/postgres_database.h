// The catalog in a PostgreSQL database, which several servers share.
#pragma once

#include "catalog/database.h"
#include "postgres/server/connection.h"

namespace holdfast {

class PostgresDatabase final : public Database {
  public:
    // Connects. Throws as the class says, and Error(access_denied).
    PostgresDatabase(const std::string& conninfo, Logger& logger);

    std::vector<SqlRow> query(std::string_view statement, const SqlValues& values) override;
    void execute(std::string_view statements) override;
    void lock(CatalogLock lock) override;
    std::string_view skip_locked() const override { return " FOR UPDATE SKIP LOCKED"; }
    std::optional<Timestamp> time() override;
    bool alive() override;

  private:
    static std::optional<std::string> text_of(const SqlValue& value);
    void begin() override;
    bool failed() override;

    // Runs `statement`, and remembers that it failed.
    template <typename Statement>
    auto noticed(Statement&& statement) {
        try {
            return statement();
        } catch (...) {
            failed_ = true;
            throw;
        }
    }

    postgres::Connection connection_;
    bool failed_ = false; // since the transaction began
};

} // namespace holdfast
