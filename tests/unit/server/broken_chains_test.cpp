// Where a log leads on no more, a snapshot is asked for, once it is sure, and not too often.
#include "execution/operation_request.h"
#include "policy/policy_form.h"
#include "server/broken_chains.h"
#include "support/scratch_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace holdfast {
namespace {

using postgres::Lsn;
using std::chrono::hours;
using std::chrono::minutes;
using testing::Contains;
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
    std::vector<NewBase> wanted() { return new_bases(seen, policies, sources); }

    std::vector<Policy> policies;
    std::vector<MeasuredSource> sources{{.name = "orders", .kind = "postgresql"}};
    ProtectionStatus seen;
};

TEST_F(BrokenChainsTest, AGapThatNoSnapshotLiesBehindWantsOne) {
    EXPECT_THAT(wanted(), IsEmpty());
    break_at(10);
    const auto one = wanted();
    ASSERT_THAT(one, SizeIs(1));
    EXPECT_EQ(one[0].source, "orders");
    EXPECT_EQ(one[0].timeline, 1U);
    EXPECT_EQ(one[0].end, Lsn{200});
    EXPECT_EQ(one[0].reason, "the log from 0/C8 to 0/12C of timeline 1 is missing");
    const nlohmann::json request{{"type", "full"}, {"class", "full"}, {"tags", {{"reason", one[0].reason}}}};
    EXPECT_EQ(nlohmann::json::parse(one[0].request), request);
    const OperationWorld world{.sources = {{"orders", "postgresql"}}, .classes = known_classes(policies)};
    EXPECT_THAT(operation_command("backup", "orders", one[0].request, world).arguments,
                Contains("--tag=reason=" + one[0].reason));
    window().gaps[0].why = "two logs";
    EXPECT_THAT(wanted().at(0).reason, HasSubstr("leads no further than 0/C8: two logs"));
    policies[0].backups[0].tags["reason"] = "as it says";
    EXPECT_THAT(wanted().at(0).request, HasSubstr("as it says"));
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
    EXPECT_EQ(wanted()[0].end, Lsn{500});
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

class ChainMenderTest : public BrokenChainsTest {
  protected:
    // A look after this time; how many new bases it asked for.
    std::size_t look_after(Duration time) {
        clock.advance(time);
        return mender.mend(wanted());
    }
    // Hours until the next one is asked for, looked at each minute.
    int hours_until_next() {
        for (int minute = 1; minute <= 48 * 60; ++minute)
            if (look_after(minutes(1)) > 0) return minute / 60;
        return -1;
    }
    void end_newest(OperationState state) {
        const auto claimed = operations.claim("server", hours(1), {});
        ASSERT_TRUE(claimed);
        ASSERT_TRUE(operations.finish(*claimed, state, "{}", "{}"));
    }
    Operation newest() { return operations.list({.kind = "backup"}).at(0); }

    const test::ScratchDirectory scratch;
    FakeClock clock{time(100)};
    Catalog catalog{"sqlite:" + scratch.file("catalog.db"), silent_logger()};
    Operations operations{catalog, clock, system_random()};
    ChainMender mender{operations, minutes(3), clock, silent_logger()};
};

TEST_F(ChainMenderTest, AGapThatStandsIsAskedForInTheNameOfAPlan) {
    break_at(10);
    EXPECT_EQ(look_after(minutes(1)), 0U);
    EXPECT_EQ(look_after(minutes(2)), 0U);
    EXPECT_EQ(look_after(minutes(1)), 1U);
    EXPECT_EQ(newest().source, "orders");
    EXPECT_EQ(newest().requested_by, "plan new base");
    EXPECT_EQ(newest().plan, new_base_plan);
    EXPECT_EQ(newest().request, wanted().at(0).request);
    EXPECT_EQ(look_after(minutes(10)), 0U) << "it is under way";
}

// As while a slice is stored before the one that it follows.
TEST_F(ChainMenderTest, AGapThatClosesAsksForNothing) {
    for (int i = 0; i < 10; ++i) {
        break_at(10);
        EXPECT_EQ(look_after(minutes(2)), 0U);
        window().gaps.clear();
        EXPECT_EQ(look_after(minutes(2)), 0U);
    }
    // Each time another one.
    for (std::uint64_t i = 0; i < 10; ++i) {
        break_at(10);
        window().gaps[0].begin = Lsn{200 + i};
        EXPECT_EQ(look_after(minutes(2)), 0U);
        window().gaps.clear();
    }
    EXPECT_THAT(operations.list({}), IsEmpty());
}

TEST_F(ChainMenderTest, ABackupThatWasUnderWayMayHaveMendedIt) {
    break_at(10);
    EXPECT_EQ(look_after(minutes(1)), 0U);
    const auto under_way = operations.add({.kind = "backup", .source = "orders", .run_after = clock.now()});
    EXPECT_EQ(look_after(minutes(5)), 0U);
    operations.cancel(*under_way);
    EXPECT_EQ(look_after(minutes(1)), 0U);
    EXPECT_EQ(look_after(minutes(2)), 0U);
    // One that came and went between two looks.
    operations.cancel(*operations.add({.kind = "backup", .source = "orders", .run_after = clock.now()}));
    EXPECT_EQ(look_after(minutes(2)), 0U);
    EXPECT_EQ(look_after(minutes(3)), 1U);
}

TEST_F(ChainMenderTest, OneThatFailsIsAskedForAgainLaterAndLater) {
    break_at(10);
    EXPECT_EQ(hours_until_next(), 0);
    for (const int pause : {2, 4, 8, 16}) {
        end_newest(OperationState::failed);
        EXPECT_EQ(hours_until_next(), pause);
    }
    end_newest(OperationState::failed);
    const int last = hours_until_next();
    EXPECT_GE(last, 12);
    EXPECT_LE(last, 24);
    EXPECT_THAT(operations.list({}), SizeIs(6));
}

TEST_F(ChainMenderTest, ASourceWhoseLogBreaksAgainAndAgainIsBackedUpEverySoManyHours) {
    break_at(10);
    EXPECT_EQ(hours_until_next(), 0);
    end_newest(OperationState::succeeded);
    window().gaps[0].before = time(120);
    EXPECT_EQ(look_after(minutes(10)), 0U);
    window().gaps.push_back({1, Lsn{400}, Lsn{500}, {}, time(130), {}, {}});
    EXPECT_EQ(hours_until_next(), 1) << "two hours after the last one";
    end_newest(OperationState::cancelled);
    clock.set_time_of_day(clock.now() - std::chrono::days(400));
    EXPECT_EQ(hours_until_next(), 0) << "what a clock said that was ahead does not count";
}

} // namespace
} // namespace holdfast
