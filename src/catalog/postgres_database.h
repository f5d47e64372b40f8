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
    void lock(std::int64_t number) override;
    bool alive() override;

  private:
    void begin() override;

    postgres::Connection connection_;
};

} // namespace holdfast
