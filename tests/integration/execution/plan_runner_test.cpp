#include "execution/plan_runner.h"
#include "integration/catalog/catalog_fixture.h"

#include <algorithm>

#include <gmock/gmock.h>

namespace holdfast {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using testing::ElementsAre;
using testing::IsEmpty;

class PlanRunnerTest : public test::CatalogTest {
  protected:
    Operations operations{*catalog, clock, random};
    PlanRunner runner{operations, clock, silent_logger()};

    PlannedOperation nightly(const std::string& source = "orders") const {
        return {.kind = "backup",
                .source = source,
                .plan = "production/nightly",
                .request = R"({"type":"full"})",
                .schedule = {CronExpression::parse("0 2 * * *"), TimeZone(), source},
                .known_before = clock.now()};
    }
    // The nominal times of what was asked for, newest first.
    std::vector<std::string> asked_for() {
        std::vector<std::string> times;
        auto all = operations.list({});
        std::ranges::stable_sort(all, std::ranges::greater(), &Operation::nominal);
        for (const Operation& operation : all)
            times.push_back(operation.source.value_or("-") + " " + to_rfc3339(operation.nominal.value()));
        return times;
    }
    void go_to(const char* time) { clock.set_time_of_day(from_rfc3339(time)); }
};
HOLDFAST_BOTH_DATABASES(PlanRunnerTest);

TEST_P(PlanRunnerTest, AsksForEachRunOnce) {
    runner.plan({nightly()});
    EXPECT_EQ(runner.round().next, from_rfc3339("2026-11-21T02:00:00Z"));
    EXPECT_THAT(asked_for(), IsEmpty());
    go_to("2026-11-21T02:00:00Z");
    EXPECT_EQ(runner.round().asked_for, 1U);
    EXPECT_EQ(runner.round().asked_for, 0U);
    EXPECT_EQ(runner.round().next, from_rfc3339("2026-11-22T02:00:00Z"));
    EXPECT_THAT(asked_for(), ElementsAre("orders 2026-11-21T02:00:00Z"));
    const Operation operation = operations.list({}).front();
    EXPECT_EQ(operation.kind, "backup");
    EXPECT_EQ(operation.request, R"({"type":"full"})");
    EXPECT_EQ(operation.plan, "production/nightly");
    EXPECT_EQ(operation.requested_by, "plan production/nightly");
}

TEST_P(PlanRunnerTest, SeveralServersAskOnce) {
    PlanRunner other(operations, clock, silent_logger());
    runner.plan({nightly()});
    other.plan({nightly()});
    runner.round();
    other.round();
    go_to("2026-11-21T02:00:30Z");
    EXPECT_EQ(runner.round().asked_for + other.round().asked_for, 1U);
    EXPECT_THAT(asked_for(), ElementsAre("orders 2026-11-21T02:00:00Z"));
}

TEST_P(PlanRunnerTest, MakesUpOnceForWhatWasMissed) {
    runner.plan({nightly()});
    go_to("2026-11-21T02:00:00Z");
    runner.round();
    go_to("2026-11-25T12:00:00Z"); // and the server is started again
    PlanRunner next(operations, clock, silent_logger());
    next.plan({nightly()});
    next.round();
    next.round();
    EXPECT_THAT(asked_for(), ElementsAre("orders 2026-11-25T02:00:00Z", "orders 2026-11-21T02:00:00Z"));
}

TEST_P(PlanRunnerTest, DoesNotMakeUpForWhatIsNotToBeCaughtUpWith) {
    PlannedOperation planned = nightly();
    planned.catch_up = false;
    runner.plan({planned});
    runner.round();
    go_to("2026-11-21T02:30:00Z");
    EXPECT_EQ(runner.round().asked_for, 0U);
    go_to("2026-11-22T02:01:00Z");
    EXPECT_EQ(runner.round().asked_for, 1U);
    EXPECT_THAT(asked_for(), ElementsAre("orders 2026-11-22T02:00:00Z"));
}

TEST_P(PlanRunnerTest, WhatNeverRanIsDueAtOnceOrAtItsNextTime) {
    PlannedOperation never = nightly("never"), lately = nightly("lately");
    never.known_before = Timestamp{};
    runner.plan({never, lately});
    EXPECT_EQ(runner.round().asked_for, 1U);
    EXPECT_THAT(asked_for(), ElementsAre("never 2026-11-20T02:00:00Z"));
}

TEST_P(PlanRunnerTest, AClockThatWasAheadStopsNothing) {
    runner.plan({nightly()});
    go_to("2027-06-01T02:00:00Z");
    EXPECT_EQ(runner.round().asked_for, 1U);
    go_to("2026-11-20T13:00:00Z");
    EXPECT_EQ(runner.round().asked_for, 0U);
    go_to("2026-11-21T02:00:00Z");
    EXPECT_EQ(runner.round().asked_for, 1U);
    PlanRunner next(operations, clock, silent_logger());
    next.plan({nightly()});
    next.round();
    go_to("2026-11-22T02:00:00Z");
    EXPECT_EQ(next.round().asked_for, 1U);
}

TEST_P(PlanRunnerTest, WhatIsPlannedAnewKeepsItsPlace) {
    runner.plan({nightly()});
    runner.round();
    go_to("2026-11-20T18:00:00Z");
    PlannedOperation changed = nightly();
    changed.schedule = {CronExpression::parse("0 17 * * *"), TimeZone(), "orders"};
    runner.plan({changed, nightly("uploads")});
    // From where the plan was: its new time has come since.
    EXPECT_EQ(runner.round().asked_for, 1U);
    EXPECT_THAT(asked_for(), ElementsAre("orders 2026-11-20T17:00:00Z"));
    runner.plan({});
    EXPECT_FALSE(runner.round().next);
}

TEST_P(PlanRunnerTest, AThousandSourcesInOneMinute) {
    std::vector<PlannedOperation> planned;
    for (int i = 0; i < 1000; ++i) planned.push_back(nightly(fmt::format("source-{}", i)));
    runner.plan(std::move(planned));
    runner.round();
    go_to("2026-11-21T02:00:00Z");
    EXPECT_EQ(runner.round().asked_for, 1000U);
    EXPECT_EQ(runner.round().asked_for, 0U);
    EXPECT_EQ(operations.counts()[OperationState::queued], 1000);
}

} // namespace
} // namespace holdfast
