// Clusters with segments of the log of other sizes, smaller and larger than a slice, through all that the log
// goes through.
#include "postgres/continuity/verify_wal.h"
#include "support/cluster_rows.h"
#include "support/protected_source.h"
#include "support/receiver.h"

#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using holdfast::test::cluster_rows;
using holdfast::test::PostgresServer;
using holdfast::test::ProgramRun;
using holdfast::test::ProtectedSource;
using holdfast::test::row_difference;
using testing::IsEmpty;

class SegmentsOf : public testing::TestWithParam<std::tuple<int, unsigned>> {
  protected:
    static std::uint64_t segment_bytes() { return std::uint64_t{std::get<1>(GetParam())} << 20; }

    // Of more than one segment of either size, with commits.
    void write() const {
        for (int i = 0; i < 12; ++i)
            server.execute(
                fmt::format("CREATE TABLE IF NOT EXISTS t (i int, v text); INSERT INTO t SELECT i, "
                            "repeat(md5((i + {})::text), 20) FROM generate_series(1, 10000) i",
                            i));
    }
    Lsn position() const { return *parse_lsn(server.query_value("SELECT pg_current_wal_flush_lsn()")); }
    void expect_proven() const {
        Progress progress;
        const WalVerifyReport report =
            verify_wal(source.repository(), {.source = source.name()}, progress, {});
        EXPECT_TRUE(report.intact());
        for (const WalFinding& finding : report.findings)
            ADD_FAILURE() << finding.object << " " << finding.at.str() << ": " << finding.what;
    }
    void expect_rows_at_the_end() {
        const auto recovered = source.recover(source.restore_to(RecoverToEnd{}));
        EXPECT_EQ(recovered->query_value("SHOW wal_segment_size"),
                  fmt::format("{}MB", std::get<1>(GetParam())));
        EXPECT_EQ(row_difference(cluster_rows(server), cluster_rows(*recovered)), "");
    }

    ProtectedSource source;
    PostgresServer server{{.version = std::get<0>(GetParam()),
                           .wal_segment_mib = std::get<1>(GetParam()),
                           .settings = "autovacuum = off\nwal_keep_size = 2GB\nmax_wal_size = 1GB\n"}};
};

TEST_P(SegmentsOf, AreBackedUpPushedFetchedAndRecoveredFrom) {
    write();
    source.back_up(server);
    write();
    source.push(server);
    expect_proven();
    expect_rows_at_the_end();

    // A whole segment comes back as it was.
    const std::string fetched = source.new_place("segment");
    const std::string name = test::wal_segments(server.data_directory()).front();
    const ProgramRun run = source.run_program({"wal", "fetch", "--ahead", "0", source.name(), name, fetched});
    ASSERT_EQ(run.exit_code, 0) << run.error;
    EXPECT_EQ(fs::file_size(fetched), segment_bytes());
    EXPECT_TRUE(std::ranges::equal(test::read_whole_file(fetched),
                                   test::read_whole_file(server.data_directory() + "/pg_wal/" + name)));
    // And the next snapshot reads what the log says.
    server.execute("UPDATE t SET v = 'x' WHERE ctid = '(0,1)'");
    const PostgresBackupResult second = source.back_up(server);
    EXPECT_TRUE(second.incremental) << second.full_because;
}

TEST_P(SegmentsOf, AreReceivedAndRecoveredFrom) {
    source.back_up(server);
    ReceiveSettings settings;
    settings.source = source.name();
    settings.server.conninfo = server.conninfo();
    settings.server.slot = "holdfast";
    settings.server.create_slot = true;
    settings.spool_directory = source.new_place("received");
    settings.shipping.flush_interval = 100ms;
    test::RunningReceiver receiver(source.repository(), settings);
    receiver.wait_for([](const auto& state) { return state.phase == "streaming"; });
    write();
    server.execute("SELECT pg_switch_wal()");
    server.execute("INSERT INTO t VALUES (-1, 'behind a switch')");
    receiver.wait_until_archived({1, position()});
    EXPECT_THAT(receiver.stop().gaps, IsEmpty());
    expect_proven();
    expect_rows_at_the_end();
}

INSTANTIATE_TEST_SUITE_P(SizesAndVersions, SegmentsOf,
                         testing::Combine(testing::Values(13, 18), testing::Values(1U, 64U)));

} // namespace
} // namespace holdfast::postgres
