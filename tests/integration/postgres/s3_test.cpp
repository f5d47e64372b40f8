// A cluster protected in a bucket of a real S3 server, by the program as people run it.
#include "support/cluster_rows.h"
#include "support/protected_source.h"
#include "support/s3_server.h"

#include <csignal>
#include <fstream>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace holdfast::test {
namespace {

using testing::SizeIs;

class PostgresInABucket : public testing::TestWithParam<int> {
  protected:
    PostgresInABucket()
        : server({.version = GetParam(), .settings = "autovacuum = off\nwal_keep_size = '1GB'\n"}),
          source("orders",
                 fmt::format("connection = \"{}\"\ndata_directory = '{}'\nslot = 'holdfast'\n",
                             server.conninfo(), server.data_directory()),
                 place()) {}

    static RepositoryPlace place() {
        S3Server& s3 = S3Server::shared(S3ServerKind::radosgw);
        const std::string bucket = fmt::format("postgresql-{}", GetParam());
        s3.make_bucket(bucket);
        RepositoryPlace place{.url = fmt::format("s3://{}/clusters", bucket)};
        place.store.s3_endpoint = s3.value("endpoint");
        place.store.s3_region = s3.value("region");
        place.store.s3_credentials = s3.credentials();
        place.configuration =
            fmt::format("[s3]\nendpoint = '{}'\nregion = '{}'\naccess_key = '{}'\nsecret_key_file = '{}'\n",
                        place.store.s3_endpoint, place.store.s3_region, place.store.s3_credentials.access_key,
                        secret_file() / "secret");
        std::ofstream(secret_file() / "secret") << place.store.s3_credentials.secret_key;
        PostgresServer::give(secret_file().path());
        return place;
    }
    // Readable to the user that servers run as.
    static const TemporaryDirectory& secret_file() {
        static const TemporaryDirectory directory;
        return directory;
    }

    nlohmann::json json(std::vector<std::string> words) const {
        words.insert(words.begin(), "--json");
        const ProgramRun run = source.run_program(words);
        EXPECT_EQ(run.exit_code, 0) << run.out << run.error;
        return nlohmann::json::parse(run.out, nullptr, false);
    }
    void wait_until_all_is_stored() const {
        const auto patience = std::chrono::steady_clock::now() + std::chrono::minutes(3);
        for (;;) {
            const nlohmann::json window = json({"window", "orders"});
            if (window.contains("exposure") && window.at("exposure").at("seconds") == 0.0) return;
            ASSERT_LT(std::chrono::steady_clock::now(), patience) << window;
            std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
    }

    PostgresServer server;
    ProtectedSource source;
};

INSTANTIATE_TEST_SUITE_P(Versions, PostgresInABucket, testing::ValuesIn(postgres_versions));

TEST_P(PostgresInABucket, IsBackedUpReceivedRestoredVerifiedAndPruned) {
    server.execute("CREATE TABLE t AS SELECT i, md5(i::text) AS v FROM generate_series(1, 5000) i");
    const std::string first = json({"backup", "orders"}).at("snapshot");
    RunningProgram receiver({source.program(), "--config", source.configuration_file(), "wal", "receive",
                             "orders", "--create-slot", "--flush-interval", "1"},
                            {.environment = {{"XDG_STATE_HOME", source.repository_directory() + "/state"}}});
    server.execute("UPDATE t SET v = 'before' WHERE i % 3 = 0");
    const ClusterRows before = cluster_rows(server);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const Timestamp moment = system_clock().now();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    server.execute("DELETE FROM t WHERE i > 100");
    wait_until_all_is_stored();
    const auto recovered = source.recover(source.restore_to(postgres::RecoverToTime{moment}));
    EXPECT_EQ(row_difference(before, cluster_rows(*recovered)), "");

    const std::string second = json({"backup", "orders"}).at("snapshot");
    server.execute("INSERT INTO t VALUES (-1, 'last')");
    const ClusterRows last = cluster_rows(server);
    wait_until_all_is_stored();
    receiver.signal(SIGTERM);
    EXPECT_EQ(receiver.finish().exit_code, 0);
    EXPECT_TRUE(json({"wal", "verify", "orders"}).at("intact"));
    json({"verify"});

    json({"forget", first});
    const nlohmann::json pruned = json({"prune", "--patience-hours", "0"});
    EXPECT_GT(pruned.at("deleted_log_slices").get<std::uint64_t>(), 0U) << pruned;
    const nlohmann::json window = json({"window", "orders"});
    ASSERT_THAT(window.at("ranges"), SizeIs(1));
    EXPECT_EQ(window.at("ranges").at(0).at("snapshots"), nlohmann::json::array({second}));
    EXPECT_THAT(window.at("gaps"), SizeIs(0));
    EXPECT_TRUE(json({"wal", "verify", "orders"}).at("intact"));
    const auto latest = source.recover(source.restore_to(postgres::RecoverToEnd{}));
    EXPECT_EQ(row_difference(last, cluster_rows(*latest)), "");
}

} // namespace
} // namespace holdfast::test
