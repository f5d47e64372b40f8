// An empty catalog in each of the databases that it may lie in.
#pragma once

#include "base/random.h"
#include "catalog/catalog.h"
#include "support/postgres_server.h"
#include "support/scratch_directory.h"

#include <memory>
#include <string>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace holdfast::test {

class CatalogTest : public testing::TestWithParam<std::string> {
  protected:
    CatalogTest() {
        if (GetParam() == "sqlite") {
            url = "sqlite:" + scratch.file("catalog.db");
        } else {
            static int databases = 0;
            const std::string database = fmt::format("catalog{}", ++databases);
            PostgresServer& server = PostgresServer::shared(15);
            server.execute("CREATE DATABASE " + database);
            url = server.conninfo(database);
        }
        catalog = std::make_unique<Catalog>(url, silent_logger());
    }

    bool own_clock() const { return GetParam() == "sqlite"; }
    // What operations go by: the clock of the tests, or of a database that has its own.
    Timestamp now() {
        return catalog->with([&](Database& database) { return database.time().value_or(clock.now()); });
    }
    // Lets that time pass. A database's own clock cannot be moved; all that it has measured by it is made
    // older.
    void let_pass(Duration time) {
        if (own_clock()) return clock.set_time_of_day(clock.now() + time);
        catalog->with([&](Database& database) {
            return database.query(
                "UPDATE operations SET created = created - $1, run_after = run_after - $1, "
                "started = started - $1, lease_until = lease_until - $1, ended = ended - $1",
                {sql(static_cast<std::int64_t>(time.count()))});
        });
    }
    // So that what is added behind it has a higher id.
    void let_ids_ascend() {
        clock.advance(std::chrono::seconds(1));
        if (!own_clock()) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }

    ScratchDirectory scratch;
    std::string url;
    std::unique_ptr<Catalog> catalog;
    FakeClock clock{from_rfc3339("2026-11-20T12:00:00Z")};
    SeededRandom random{4711};
};

} // namespace holdfast::test

#define HOLDFAST_BOTH_DATABASES(Suite)                                                                       \
    INSTANTIATE_TEST_SUITE_P(Both, Suite, testing::Values("sqlite", "postgresql"),                           \
                             [](const auto& which) { return which.param; })
