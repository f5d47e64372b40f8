// Log that a policy lets go between snapshots, against a real server: what is freed, what is said of it, and
// that all that was promised can still be recovered.
#include "base/clock.h"
#include "integration/postgres/data_directory.h"
#include "repository/protocol/collector.h"
#include "support/error_matchers.h"
#include "support/protected_source.h"

#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace holdfast::postgres {
namespace {

using holdfast::test::ProgramRun;
using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class LogReleaseTest : public testing::TestWithParam<int> {
  protected:
    // Every snapshot stays; the window is as short as can be.
    LogReleaseTest() : source_(GetParam()) {
        source_.server.execute("CREATE TABLE t (i int)");
        std::ofstream(source_.configuration_file(), std::ios::app) << "[policy.production]\n"
                                                                      "sources = [\"orders\"]\n";
    }
    void promise_window() {
        std::ofstream(source_.configuration_file(), std::ios::app)
            << "[policy.production.retention]\nwindow = \"1s\"\n";
    }

    json run(std::vector<std::string> words, int exit_code = 0) const {
        words.insert(words.begin(), "--json");
        const ProgramRun ended = source_.run_program(words);
        EXPECT_EQ(ended.exit_code, exit_code) << ended.out << ended.error;
        return json::parse(ended.out, nullptr, false);
    }
    // Commits some rows, in several segments, and archives all.
    void work(int rows) {
        for (int i = 0; i < rows; ++i) {
            source_.server.execute("INSERT INTO t VALUES (1)");
            source_.server.execute("SELECT pg_switch_wal()");
        }
        source_.push();
    }
    Timestamp server_time() const {
        return from_unix_microseconds(std::stoll(
            source_.server.query_value("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")));
    }
    std::string rows_at(RecoveryTarget target, const std::optional<RunId>& snapshot = {}) {
        PostgresRestore restore = source_.restore_to(std::move(target));
        if (snapshot) restore.request.snapshot = snapshot;
        return source_.recover(restore)->query_value("SELECT count(*) FROM t");
    }
    static void let_pass(std::chrono::milliseconds time) { std::this_thread::sleep_for(time); }

    holdfast::test::ProtectedCluster source_;
};

TEST_P(LogReleaseTest, GoesBetweenSnapshotsAndIsToldAsReleased) {
    const Snapshot first = source_.back_up();
    work(4);
    const Timestamp between = server_time();
    work(4);
    const Snapshot second = source_.back_up();
    work(4);
    const Snapshot third = source_.back_up();
    work(2);
    const Timestamp late = server_time();
    work(2);
    run({"prune"}); // what lies before the first snapshot
    EXPECT_EQ(run({"prune"}).at("deleted_log_slices"), 0) << "no window was promised";
    EXPECT_EQ(rows_at(RecoverToTime{between}), "4");

    promise_window();
    let_pass(std::chrono::milliseconds(1100)); // the third snapshot has to lie before the window
    const json foretold = run({"prune", "--dry-run"});
    EXPECT_GE(foretold.at("deleted_log_slices").get<int>(), 8);
    ASSERT_THAT(foretold.at("released_logs"), SizeIs(1));
    EXPECT_EQ(foretold.at("released_logs").at(0).at("source"), "orders");
    EXPECT_EQ(foretold.at("released_logs").at(0).at("policy"), "production");
    EXPECT_EQ(foretold.at("released_logs").at(0).at("window"), "1s");
    EXPECT_EQ(foretold.at("released_logs").at(0).at("from"), to_rfc3339(third.end));
    EXPECT_THAT(source_.run_program({"prune", "--dry-run"}).out,
                HasSubstr("Would let go of the log of 'orders', timeline 1 before "));
    EXPECT_EQ(run({"prune", "--keep-log"}).at("deleted_log_slices"), 0);
    EXPECT_GE(run({"prune"}).at("deleted_log_slices").get<int>(), 8);

    const json window = run({"window", "orders"});
    EXPECT_THAT(window.at("gaps"), IsEmpty());
    EXPECT_THAT(window.at("snapshots_without_log"), IsEmpty());
    EXPECT_THAT(window.at("ranges"), SizeIs(3));
    ASSERT_THAT(window.at("released"), SizeIs(2));
    EXPECT_EQ(window.at("released").at(0).at("again_from"), second.id.hex());
    EXPECT_EQ(window.at("released").at(1).at("again_from"), third.id.hex());
    EXPECT_THAT(source_.run_program({"window", "orders"}).out, HasSubstr("Released by policy: the log from"));
    const json proven = run({"wal", "verify", "orders"});
    EXPECT_EQ(proven.at("intact"), true);
    EXPECT_THAT(proven.at("released"), SizeIs(2));
    EXPECT_THAT(proven.at("idle_gaps"), IsEmpty());

    // What was let go is refused, with what there is around it.
    const Error refused = source_.refusal(source_.restore_to(RecoverToTime{between}));
    EXPECT_EQ(refused.code(), ErrorCode::not_found);
    EXPECT_THAT(refused.message(), HasSubstr("was released by policy; the nearest before it is "));
    EXPECT_THAT(refused.message(), HasSubstr("the nearest behind it is " + to_rfc3339(second.end)));
    // Every snapshot, any moment of the window, and the end.
    EXPECT_EQ(rows_at(RecoverToConsistency{}, first.id), "0");
    EXPECT_EQ(rows_at(RecoverToConsistency{}, second.id), "8");
    EXPECT_EQ(rows_at(RecoverToTime{late}), "14");
    EXPECT_EQ(rows_at(RecoverToEnd{}), "16");

    // And so it goes on.
    const PostgresBackupResult next = source_.ProtectedSource::back_up(source_.server);
    EXPECT_TRUE(next.incremental) << next.full_because;
    work(2);
    let_pass(std::chrono::milliseconds(1100));
    EXPECT_GE(run({"prune"}).at("deleted_log_slices").get<int>(), 2);
    EXPECT_THAT(run({"window", "orders"}).at("released"), SizeIs(3));
    EXPECT_EQ(rows_at(RecoverToEnd{}), "18");
}

// The history of the timelines leads over what was let go.
TEST_P(LogReleaseTest, GoesOnEachTimeline) {
    const Snapshot first = source_.back_up();
    work(3);
    const auto standby = holdfast::test::PostgresServer::standby_of(source_.server);
    standby->catch_up_with(source_.server);
    source_.server.stop();
    standby->promote();
    for (int i = 0; i < 3; ++i) {
        standby->execute("INSERT INTO t VALUES (2)");
        standby->execute("SELECT pg_switch_wal()");
    }
    push_wal(source_.repository(), standby->data_directory() + "/pg_wal/00000002.history",
             source_.push_settings(), {});
    const Snapshot second = source_.ProtectedSource::back_up(*standby).report.snapshot;
    standby->execute("INSERT INTO t VALUES (3)");
    source_.ProtectedSource::push(*standby);
    EXPECT_EQ(second.log->range.branch, 2U);
    EXPECT_EQ(rows_at(RecoverToConsistency{}, second.id), "6");
    EXPECT_EQ(rows_at(RecoverToEnd{}), "7");

    promise_window();
    let_pass(std::chrono::milliseconds(1100));
    EXPECT_GE(run({"prune"}).at("deleted_log_slices").get<int>(), 3);
    const json window = run({"window", "orders"});
    EXPECT_THAT(window.at("gaps"), IsEmpty()) << window;
    EXPECT_THAT(window.at("released"), SizeIs(1)) << window;
    EXPECT_EQ(run({"wal", "verify", "orders"}).at("intact"), true);
    EXPECT_EQ(rows_at(RecoverToConsistency{}, first.id), "0");
    EXPECT_EQ(rows_at(RecoverToConsistency{}, second.id), "6");
    EXPECT_EQ(rows_at(RecoverToEnd{}), "7");
}

// As a standby that lags far behind meets it; this one was set by hand, as a stolen key may do.
TEST_P(LogReleaseTest, NoBackupBeginsBelowAFloorUntilItIsFoundTooHigh) {
    const Snapshot first = source_.back_up();
    work(1);
    CollectorSettings settings;
    settings.released_logs = {{{first.log->archive, 1}, first.log->range.end + (std::uint64_t{1} << 30)}};
    Progress progress;
    collect_garbage(source_.repository().context(), settings, progress);
    const auto refused = holdfast::test::error_of([&] { source_.back_up(); });
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->code(), ErrorCode::unavailable);
    EXPECT_THAT(refused->message(), HasSubstr("has been released by policy"));
    run({"prune"});
    run({"prune"}); // which drops the verdict that has it
    EXPECT_GT(source_.back_up().log->range.begin, first.log->range.end);
}

INSTANTIATE_TEST_SUITE_P(Versions, LogReleaseTest, testing::ValuesIn(holdfast::test::postgres_versions),
                         [](const auto& tested) { return "Postgres" + std::to_string(tested.param); });

} // namespace
} // namespace holdfast::postgres
