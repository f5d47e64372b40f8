// An empty catalog in each of the databases that it may lie in.
#pragma once

#include "base/random.h"
#include "catalog/catalog.h"
#include "support/postgres_server.h"
#include "support/scratch_directory.h"

#include <memory>
#include <string>

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
