#include "base/error.h"
#include "postgres/server/conninfo.h"
#include "service/protect_restored.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

using testing::ElementsAre;
using testing::Pair;

TEST(Conninfo, IsTakenApartAndPutTogether) {
    const auto values = parse_conninfo("host='/it\\'s here'  dbname=orders user=holdfast");
    EXPECT_THAT(values,
                ElementsAre(Pair("dbname", "orders"), Pair("host", "/it's here"), Pair("user", "holdfast")));
    EXPECT_EQ(parse_conninfo(to_conninfo(values)), values);
    EXPECT_EQ(parse_conninfo("postgresql://holdfast@db:5433/orders").at("port"), "5433");
    EXPECT_TRUE(parse_conninfo("").empty());
    EXPECT_THROW(parse_conninfo("host"), Error);
    EXPECT_THROW(parse_conninfo("nosuch=1"), Error);
}

TEST(Conninfo, LeadsToARestoredServer) {
    StartedCluster started;
    started.connection = "host='/srv/b ack' port=5433 dbname=postgres";
    EXPECT_THAT(parse_conninfo(
                    connection_to_restored("postgresql://app@db:6000/orders?sslmode=require", started, "")),
                ElementsAre(Pair("dbname", "orders"), Pair("host", "/srv/b ack"), Pair("port", "5433"),
                            Pair("sslmode", "require"), Pair("user", "app")));
    EXPECT_THAT(parse_conninfo(connection_to_restored("hostaddr=10.0.0.1 user=app", started, "postgres")),
                ElementsAre(Pair("dbname", "postgres"), Pair("host", "/srv/b ack"), Pair("port", "5433"),
                            Pair("user", "postgres")));
    EXPECT_THAT(parse_conninfo(connection_to_restored("", started, "holdfast")),
                ElementsAre(Pair("dbname", "postgres"), Pair("host", "/srv/b ack"), Pair("port", "5433"),
                            Pair("user", "holdfast")));
}

} // namespace
} // namespace holdfast::postgres
