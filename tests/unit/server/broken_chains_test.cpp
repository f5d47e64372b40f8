// Where a log leads on no more, a snapshot is asked for, once.
#include "policy/policy_form.h"
#include "server/broken_chains.h"
#include "support/scratch_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace holdfast {
namespace {

using postgres::Lsn;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class BrokenChainsTest : public testing::Test {
  protected:
    BrokenChainsTest() {
        policies.push_back(parse_policy("production", R"({"sources": ["orders"], "backup": [
            {"name": "nightly", "cron": "0 2 * * *", "class": "full", "type": "full"},
            {"name": "hourly", "cron": "0 * * * *"}]})"));
        SourceMeasurement orders;
        orders.facts.source = "orders";
        orders.window.emplace();
        orders.window->ranges.push_back({1, Lsn{100}, Lsn{200}, time(0), time(10), {}});
        seen.sources.push_back(orders);
    }
    static Timestamp time(int minute) {
        return from_rfc3339("2026-11-20T10:00:00Z") + std::chrono::minutes(minute);
    }
    postgres::RecoveryWindow& window() { return *seen.sources[0].window; }
    void break_at(int minute) { window().gaps.push_back({1, Lsn{200}, Lsn{300}, {}, time(minute), {}, {}}); }
    std::vector<OperationRequest> wanted() { return new_bases(seen, policies, sources, time(100)); }

    std::vector<Policy> policies;
    std::vector<MeasuredSource> sources{{.name = "orders", .kind = "postgresql"}};
    ProtectionStatus seen;
};

TEST_F(BrokenChainsTest, AGapThatNoSnapshotLiesBehindWantsOne) {
    EXPECT_THAT(wanted(), IsEmpty());
    break_at(10);
    const auto one = wanted();
    ASSERT_THAT(one, SizeIs(1));
    EXPECT_EQ(one[0].kind, "backup");
    EXPECT_EQ(one[0].source, "orders");
    EXPECT_EQ(one[0].requested_by, "the log from 0/C8 to 0/12C of timeline 1 is missing");
    EXPECT_EQ(nlohmann::json::parse(one[0].request), nlohmann::json({{"type", "full"}, {"class", "full"}}));
    EXPECT_EQ(one[0].nominal, time(10));
    window().gaps[0].why = "two logs";
    EXPECT_THAT(wanted().at(0).requested_by, HasSubstr("leads no further than 0/C8: two logs"));
}

TEST_F(BrokenChainsTest, WhatIsMendedOrReleasedWantsNone) {
    break_at(10);
    window().gaps[0].before = time(20);
    EXPECT_THAT(wanted(), IsEmpty());
    window().gaps[0].before.reset();
    // Begun anew on another timeline.
    window().ranges.push_back({2, Lsn{400}, Lsn{500}, time(30), time(40), {}});
    EXPECT_THAT(wanted(), IsEmpty());
    window().gaps.push_back({2, Lsn{500}, Lsn{600}, {}, time(40), {}, {}});
    ASSERT_THAT(wanted(), SizeIs(1));
    EXPECT_EQ(wanted()[0].nominal, time(40));
    window().released = std::move(window().gaps);
    window().gaps.clear();
    EXPECT_THAT(wanted(), IsEmpty());
}

TEST_F(BrokenChainsTest, OnlyWhatAPolicyBacksUpFromHere) {
    break_at(10);
    sources[0].kind = "documents";
    EXPECT_THAT(wanted(), IsEmpty());
    sources.clear();
    EXPECT_THAT(wanted(), IsEmpty());
    sources.push_back({.name = "orders", .kind = "postgresql"});
    policies[0].backups.clear();
    EXPECT_THAT(wanted(), IsEmpty());
    policies.clear();
    EXPECT_THAT(wanted(), IsEmpty());
}

TEST_F(BrokenChainsTest, AGapIsAskedForOnceAndNotBesideABackup) {
    const test::ScratchDirectory scratch;
    Catalog catalog("sqlite:" + scratch.file("catalog.db"), silent_logger());
    Operations operations(catalog, system_clock(), system_random());
    break_at(10);
    const OperationFilter backups{.kind = "backup"};
    const auto under_way =
        operations.add({.kind = "backup", .source = "orders", .run_after = system_clock().now()});
    EXPECT_EQ(ask_for_new_bases(operations, wanted(), silent_logger()), 0U);
    operations.cancel(*under_way);
    EXPECT_EQ(ask_for_new_bases(operations, wanted(), silent_logger()), 1U);
    const std::string asked = operations.list(backups).front().id;
    operations.cancel(asked);
    EXPECT_EQ(ask_for_new_bases(operations, wanted(), silent_logger()), 0U) << "once for each gap";
    window().gaps.clear();
    break_at(15);
    EXPECT_EQ(ask_for_new_bases(operations, wanted(), silent_logger()), 1U);
    EXPECT_THAT(operations.list(backups), SizeIs(3));
}

} // namespace
} // namespace holdfast
