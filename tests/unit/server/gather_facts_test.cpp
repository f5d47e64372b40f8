// What the catalog adds to what was measured: operations, and what restores took.
#include "server/gather_facts.h"
#include "support/scratch_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

class GatherFacts : public testing::Test {
  protected:
    void ended(const std::string& kind, std::optional<std::string> source, OperationState state,
               const std::string& result = "{}", const std::string& request = "{}") {
        clock.advance(std::chrono::minutes(1));
        operations.add(
            {.kind = kind, .source = std::move(source), .request = request, .run_after = clock.now()});
        const auto claimed = operations.claim("server", std::chrono::hours(1), {});
        ASSERT_TRUE(claimed);
        clock.advance(std::chrono::seconds(30));
        const bool failed = state == OperationState::failed;
        ASSERT_TRUE(operations.finish(*claimed, state, result,
                                      failed ? std::optional<std::string>(R"({"code":"x","message":"no"})")
                                             : std::nullopt));
    }
    Facts facts() {
        return gather_facts({.view = view,
                             .look_problem = {},
                             .sources = {{.name = "orders", .kind = "postgresql"}},
                             .retention_waits = {},
                             .server = {.name = "server"},
                             .operations = operations,
                             .catalog = catalog,
                             .clock = clock});
    }
    std::optional<double> recovery() { return facts().sources.at(0).recovery_seconds; }

    test::ScratchDirectory scratch;
    FakeClock clock{from_rfc3339("2026-11-01T03:00:00Z")};
    SeededRandom random{1};
    Catalog catalog{"sqlite:" + scratch.file("catalog.db"), silent_logger()};
    Operations operations{catalog, clock, random};
    std::shared_ptr<RepositoryView> view;
};

constexpr const char* started =
    R"({"restore_seconds": 60.5, "start_seconds": 1, "recovery_seconds": 30, "ready_seconds": 2.5})";

TEST_F(GatherFacts, ARecoveryTookAllItsPhases) {
    EXPECT_EQ(recovery(), std::nullopt);
    ended("restore", "orders", OperationState::succeeded, R"({"restore_seconds": 10})");
    EXPECT_EQ(recovery(), std::nullopt) << "it started no server";
    ended("restore", "orders", OperationState::succeeded, started);
    EXPECT_EQ(recovery(), 94);
    ended("restore", "orders", OperationState::failed);
    EXPECT_EQ(recovery(), 94) << "the last one that succeeded";
    ended("restore", "orders", OperationState::succeeded, R"({"restore_seconds": 10})");
    ended("restore", "orders", OperationState::succeeded, "");
    EXPECT_EQ(recovery(), 94) << "the last one that started a server";
    ended("restore", "others", OperationState::succeeded, R"({"restore_seconds": 1})");
    EXPECT_EQ(recovery(), 94);
}

TEST_F(GatherFacts, ResultsThatTellNoPhasesTellNothing) {
    for (const char* result : {"", "[]", "7", R"({"restore_seconds": "1"})",
                               R"({"restore_seconds": 1, "start_seconds": 1, "recovery_seconds": null})"})
        EXPECT_EQ(recovery_seconds_of(result), std::nullopt) << result;
}

TEST_F(GatherFacts, WorkOnARepositoryIsNoSources) {
    ended("retention", std::nullopt, OperationState::succeeded);
    ended("prune", std::nullopt, OperationState::failed);
    ended("verify", "orders", OperationState::succeeded);
    ended("retention", std::nullopt, OperationState::failed, "{}", R"({"dry_run": true})");
    ended("retention", "orders", OperationState::failed);
    const Facts now = facts();
    const auto& work = now.repositories.at(0).operations;
    ASSERT_EQ(work.size(), 2U);
    EXPECT_EQ(work.at("retention").state, OperationState::succeeded);
    EXPECT_EQ(work.at("prune").state, OperationState::failed);
    EXPECT_EQ(work.at("prune").error, "no");
    const auto& of_orders = now.sources.at(0).operations;
    ASSERT_EQ(of_orders.size(), 2U);
    EXPECT_EQ(of_orders.at("verify").state, OperationState::succeeded);
    EXPECT_EQ(of_orders.at("retention").state, OperationState::failed);
}

TEST_F(GatherFacts, WorkOnOneSourceDoesNotEndWhatFailedForAll) {
    ended("retention", std::nullopt, OperationState::failed);
    ended("retention", "orders", OperationState::succeeded);
    EXPECT_EQ(facts().repositories.at(0).operations.at("retention").state, OperationState::failed);
}

TEST_F(GatherFacts, AClockInDoubtBlocksRetentionAndIsTheServers) {
    view = std::make_shared<RepositoryView>();
    view->measurements.sources.resize(1);
    view->measurements.sources[0].facts.source = "orders";
    EXPECT_EQ(facts().servers.at(0).clock_doubt, "");
    EXPECT_FALSE(facts().servers.at(0).clock_compared);
    view->clock_compared = true;
    EXPECT_TRUE(facts().servers.at(0).clock_compared);
    view->clock_doubt = "it leapt";
    EXPECT_EQ(facts().servers.at(0).clock_doubt, "it leapt");
    EXPECT_EQ(facts().sources.at(0).retention_blocked, "it leapt");
    // Retention does not go on then, but nobody is to be woken for a clock.
    view->clock_doubt = std::unexpected("no statement could be read");
    EXPECT_EQ(facts().servers.at(0).clock_doubt, std::nullopt);
    EXPECT_EQ(facts().sources.at(0).retention_blocked, "no statement could be read");
}

} // namespace
} // namespace holdfast
