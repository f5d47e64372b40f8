#include "execution/operation_runner.h"
#include "integration/catalog/catalog_fixture.h"

#include <atomic>
#include <thread>

#include <gmock/gmock.h>

namespace holdfast {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::ElementsAre;

// What tests make of an operation.
class MadeExecutor final : public Executor {
  public:
    using Body = std::function<ExecutionOutcome(const Operation&, ExecutionReport&, const std::stop_token&)>;
    explicit MadeExecutor(Body body) : body_(std::move(body)) {}
    ExecutionOutcome carry_out(const Operation& operation, ExecutionReport& report,
                               const std::stop_token& stop) override {
        return body_(operation, report, stop);
    }

  private:
    Body body_;
};

ExecutionOutcome succeeded() { return {.state = OperationState::succeeded, .result = R"({"snapshot":"1"})"}; }
ExecutionOutcome failed(bool retryable) {
    return {.state = OperationState::failed, .error = R"({"code":"unavailable"})", .retryable = retryable};
}
// As a program does that is asked to stop.
ExecutionOutcome until_stopped(const std::stop_token& stop) {
    while (!stop.stop_requested()) std::this_thread::sleep_for(milliseconds(1));
    return {.state = OperationState::cancelled, .error = R"({"code":"cancelled"})"};
}

class OperationRunnerTest : public test::CatalogTest {
  protected:
    Operations operations{*catalog, clock, random};

    std::string add(const std::string& source = "orders", const std::string& kind = "backup") {
        let_ids_ascend();
        return operations.add({.kind = kind, .source = source, .requested_by = "anna"}).value();
    }
    static OperationRunnerSettings settings() {
        return {.owner = "server-1", .renew_every = Duration{}, .look_again = milliseconds(5)};
    }
    OperationState state_of(const std::string& id) { return operations.find(id)->state; }

    // Runs until `done`, which is asked again and again.
    void run_until(Executor& executor, const OperationRunnerSettings& with,
                   const std::function<bool()>& done) {
        OperationRunner runner(operations, executor, clock, random, silent_logger(), with);
        std::jthread thread([&](const std::stop_token& stop) { runner.run(stop); });
        for (int i = 0; i < 10'000 && !done(); ++i) std::this_thread::sleep_for(milliseconds(2));
        EXPECT_TRUE(done());
    }
    void run_until_over(Executor& executor, const std::string& id) {
        run_until(executor, settings(), [&] { return is_over(state_of(id)); });
    }
};
HOLDFAST_BOTH_DATABASES(OperationRunnerTest);

TEST_P(OperationRunnerTest, KeepsWhatAnExecutorTells) {
    const std::string id = add();
    std::atomic<bool> seen = false;
    MadeExecutor executor([&](const Operation&, ExecutionReport& report, const std::stop_token&) {
        report.log("warning", "a file was left out");
        report.progress({"reading", 10, 100, 1, 2});
        while (!seen) std::this_thread::sleep_for(milliseconds(1));
        return succeeded();
    });
    std::vector<std::string> ended;
    OperationRunnerSettings with = settings();
    with.on_end = [&](const Operation& operation, const ExecutionOutcome& outcome) {
        ended.push_back(operation.id + " " + std::string(to_string(outcome.state)));
    };
    run_until(executor, with, [&] {
        const Operation operation = operations.find(id).value();
        if (operation.progress.done_bytes == 10) seen = true;
        return is_over(operation.state);
    });
    const Operation operation = operations.find(id).value();
    EXPECT_EQ(operation.state, OperationState::succeeded);
    EXPECT_EQ(operation.result, R"({"snapshot":"1"})");
    EXPECT_EQ(operation.progress, (OperationProgress{"reading", 10, 100, 1, 2}));
    const auto log = operations.log_after(id, 0, 10);
    ASSERT_EQ(log.size(), 1U);
    EXPECT_EQ(log.front().level, "warning");
    EXPECT_EQ(log.front().message, "a file was left out");
    EXPECT_THAT(ended, ElementsAre(id + " succeeded"));
}

TEST_P(OperationRunnerTest, WhatHasEndedHereIsNotTakenForLost) {
    constexpr unsigned count = 6;
    for (unsigned i = 0; i < count; ++i) add(fmt::format("source-{}", i));
    MadeExecutor executor(
        [](const Operation&, ExecutionReport&, const std::stop_token&) { return succeeded(); });
    std::atomic<unsigned> told = 0;
    OperationRunnerSettings with = settings();
    // Time enough for a renewal that waits for the end, and finds nothing to renew behind it.
    with.with_end = [](Database&, const Operation&, const ExecutionOutcome&) {
        std::this_thread::sleep_for(milliseconds(10));
    };
    with.on_end = [&](const Operation&, const ExecutionOutcome&) { ++told; };
    run_until(executor, with, [&] { return told == count; });
    EXPECT_EQ(operations.counts()[OperationState::succeeded], count);
}

TEST_P(OperationRunnerTest, TriesAgainWhatMaySucceedLater) {
    const std::string id = add();
    std::vector<std::int64_t> attempts;
    MadeExecutor executor([&](const Operation& operation, ExecutionReport&, const std::stop_token&) {
        attempts.push_back(operation.attempts);
        return operation.attempts < 3 ? failed(true) : succeeded();
    });
    std::optional<Duration> waited;
    run_until(executor, settings(), [&] {
        const Operation operation = operations.find(id).value();
        const Duration left = operation.run_after - now();
        if (operation.state == OperationState::queued && left > Duration{}) {
            if (!waited) waited = operation.run_after - operation.created;
            let_pass(left);
        }
        return is_over(operation.state);
    });
    EXPECT_EQ(state_of(id), OperationState::succeeded);
    EXPECT_THAT(attempts, ElementsAre(1, 2, 3));
    EXPECT_EQ(operations.find(id)->failures, 2);
    ASSERT_TRUE(waited);
    EXPECT_GE(*waited, seconds(30));
    // By a clock that stands still nothing but the pause has passed.
    if (own_clock()) {
        EXPECT_LE(*waited, seconds(36));
    }
}

TEST_P(OperationRunnerTest, DoesNotTryAgainForEverNorWhatIsOfNoUse) {
    const std::string hopeless = add("orders"), useless = add("uploads");
    MadeExecutor executor([&](const Operation& operation, ExecutionReport&, const std::stop_token&) {
        return failed(operation.id == hopeless);
    });
    run_until(executor, settings(), [&] {
        const Operation operation = operations.find(hopeless).value();
        // Time that passes ends leases too: not while something is under way.
        if (!is_over(state_of(useless))) return false;
        if (operation.state == OperationState::queued && operation.run_after > now())
            let_pass(operation.run_after - now());
        return is_over(state_of(hopeless));
    });
    EXPECT_EQ(state_of(hopeless), OperationState::failed);
    EXPECT_EQ(operations.find(hopeless)->attempts, 5);
    EXPECT_EQ(operations.find(hopeless)->interruptions, 0);
    EXPECT_EQ(operations.find(hopeless)->error, R"({"code":"unavailable"})");
    EXPECT_EQ(operations.find(useless)->attempts, 1);
}

TEST_P(OperationRunnerTest, ADefectInOneEndsThatOneAlone) {
    const std::string broken = add("orders"), good = add("uploads");
    MadeExecutor executor([&](const Operation& operation, ExecutionReport&, const std::stop_token&) {
        if (operation.id == broken) throw std::runtime_error("unforeseen");
        return succeeded();
    });
    run_until(executor, settings(), [&] { return is_over(state_of(broken)) && is_over(state_of(good)); });
    EXPECT_EQ(state_of(good), OperationState::succeeded);
    EXPECT_EQ(state_of(broken), OperationState::failed);
    EXPECT_NE(operations.find(broken)->error->find("unforeseen"), std::string::npos);
}

TEST_P(OperationRunnerTest, StopsWhatIsCancelled) {
    const std::string id = add();
    MadeExecutor executor(
        [](const Operation&, ExecutionReport&, const std::stop_token& stop) { return until_stopped(stop); });
    run_until(executor, settings(), [&] {
        if (state_of(id) == OperationState::running) operations.cancel(id);
        return is_over(state_of(id));
    });
    EXPECT_EQ(state_of(id), OperationState::cancelled);
}

TEST_P(OperationRunnerTest, PutsBackWhatIsUnderWayWhenItEnds) {
    const std::string id = add();
    MadeExecutor waiting(
        [](const Operation&, ExecutionReport&, const std::stop_token& stop) { return until_stopped(stop); });
    run_until(waiting, settings(), [&] { return state_of(id) == OperationState::running; });
    EXPECT_EQ(state_of(id), OperationState::queued);
    MadeExecutor next([](const Operation&, ExecutionReport&, const std::stop_token&) { return succeeded(); });
    run_until_over(next, id);
    EXPECT_EQ(state_of(id), OperationState::succeeded);
    EXPECT_EQ(operations.find(id)->attempts, 2);
    EXPECT_EQ(operations.find(id)->interruptions, 1);
}

// However often its server is lost: that is no failure of its own, as long as it comes further.
TEST_P(OperationRunnerTest, IsNotGivenUpBecauseItWasInterruptedOften) {
    const std::string id = add();
    for (unsigned i = 0; i < 30; ++i) {
        const auto claimed = operations.claim(fmt::format("lost-{}", i), minutes(1), {});
        ASSERT_TRUE(claimed);
        ASSERT_TRUE(operations.renew(*claimed, minutes(1), {.phase = "reading", .done_bytes = i + 1}).ours);
        let_pass(minutes(2));
    }
    std::atomic<int> failed_so_far = 0;
    MadeExecutor executor([&](const Operation&, ExecutionReport&, const std::stop_token&) {
        return ++failed_so_far < 3 ? failed(true) : succeeded();
    });
    run_until(executor, settings(), [&] {
        const Operation operation = operations.find(id).value();
        if (operation.state == OperationState::queued && operation.run_after > now())
            let_pass(operation.run_after - now());
        return is_over(operation.state);
    });
    const Operation operation = operations.find(id).value();
    EXPECT_EQ(operation.state, OperationState::succeeded);
    EXPECT_EQ(operation.interruptions, 30);
    EXPECT_EQ(operation.failures, 2);
    EXPECT_EQ(operation.attempts, 33);
}

TEST_P(OperationRunnerTest, WhatTakesItsServerAlongEachTimeIsGivenUp) {
    const std::string id = add();
    const auto lose = [&](const std::string& server) {
        const auto claimed = operations.claim(server, minutes(1), {});
        ASSERT_TRUE(claimed);
        // As far as all the others came.
        operations.renew(*claimed, minutes(1), {.phase = "reading", .done_bytes = 7});
        let_pass(minutes(2));
    };
    for (int i = 0; i < 19; ++i) lose(fmt::format("lost-{}", i));
    std::atomic<int> begun = 0;
    MadeExecutor executor([&](const Operation&, ExecutionReport&, const std::stop_token& stop) {
        ++begun;
        return until_stopped(stop);
    });
    // The twentieth ends in good order, which is no loss.
    run_until(executor, settings(), [&] { return begun == 1; });
    lose("lost-19");
    OperationRunnerSettings with = settings();
    int followed = 0, ended = 0;
    with.with_end = [&](Database&, const Operation&, const ExecutionOutcome&) { ++followed; };
    with.on_end = [&](const Operation&, const ExecutionOutcome&) { ++ended; };
    run_until(executor, with, [&] { return is_over(state_of(id)); });
    const Operation operation = operations.find(id).value();
    EXPECT_EQ(operation.state, OperationState::failed);
    EXPECT_THAT(operation.error.value(), testing::HasSubstr("20 servers were lost one after the other"));
    EXPECT_EQ(begun, 1);
    EXPECT_EQ(followed, 1);
    EXPECT_EQ(ended, 1);
}

TEST_P(OperationRunnerTest, LeavesAloneWhatAnotherTookOver) {
    const std::string id = add();
    std::atomic<int> stopped = 0, ended = 0;
    MadeExecutor executor([&](const Operation&, ExecutionReport&, const std::stop_token& stop) {
        until_stopped(stop);
        ++stopped;
        return succeeded();
    });
    OperationRunnerSettings with = settings();
    with.renew_every = seconds(20);
    with.on_end = [&](const Operation&, const ExecutionOutcome&) { ++ended; };
    std::optional<Operation> taken;
    run_until(executor, with, [&] {
        if (state_of(id) == OperationState::running && !taken) {
            // As for one that was suspended for longer than its lease.
            let_pass(minutes(2));
            taken = operations.claim("server-2", minutes(10), {});
            clock.advance(minutes(1));
        }
        return stopped == 1;
    });
    ASSERT_TRUE(taken);
    EXPECT_EQ(ended, 0);
    EXPECT_EQ(state_of(id), OperationState::running);
    EXPECT_EQ(operations.find(id)->owner, "server-2");
    EXPECT_TRUE(operations.finish(*taken, OperationState::failed, std::nullopt, "{}"));
}

TEST_P(OperationRunnerTest, AClockThatLeapsTakesNothingFromOneself) {
    const std::string id = add();
    std::atomic<int> begun = 0;
    std::atomic<bool> go_on = false;
    MadeExecutor executor([&](const Operation&, ExecutionReport&, const std::stop_token& stop) {
        ++begun;
        while (!go_on && !stop.stop_requested()) std::this_thread::sleep_for(milliseconds(1));
        return stop.stop_requested() ? failed(false) : succeeded();
    });
    OperationRunnerSettings with = settings();
    with.renew_every = seconds(20);
    run_until(executor, with, [&] {
        const Operation operation = operations.find(id).value();
        if (operation.state == OperationState::running && operation.attempts == 1) let_pass(minutes(10));
        if (operation.attempts > 1) go_on = true;
        return is_over(operation.state);
    });
    EXPECT_EQ(state_of(id), OperationState::succeeded);
    EXPECT_EQ(begun, 1);
}

TEST_P(OperationRunnerTest, SeveralServersShareTheWork) {
    constexpr int count = 60;
    std::vector<std::string> ids;
    for (int i = 0; i < count; ++i) ids.push_back(add(fmt::format("source-{}", i % 20)));
    std::mutex mutex;
    std::map<std::string, int> carried_out;
    std::set<std::string> under_way;
    int most = 0, doubles = 0;
    MadeExecutor executor([&](const Operation& operation, ExecutionReport&, const std::stop_token&) {
        {
            const std::scoped_lock lock(mutex);
            ++carried_out[operation.id];
            if (!under_way.insert(operation.source.value()).second) ++doubles;
            most = std::max(most, static_cast<int>(under_way.size()));
        }
        std::this_thread::sleep_for(milliseconds(2));
        const std::scoped_lock lock(mutex);
        under_way.erase(operation.source.value());
        return succeeded();
    });
    Catalog second_catalog(url, silent_logger());
    Operations second_operations(second_catalog, clock, random);
    OperationRunnerSettings one = settings(), other = settings();
    one.limits = other.limits = {.at_once = 4};
    other.owner = "server-2";
    OperationRunner second(second_operations, executor, clock, random, silent_logger(), other);
    const std::jthread thread([&](const std::stop_token& stop) { second.run(stop); });
    run_until(executor, one, [&] { return operations.counts()[OperationState::succeeded] == count; });
    EXPECT_EQ(carried_out.size(), static_cast<std::size_t>(count));
    for (const auto& [id, times] : carried_out) EXPECT_EQ(times, 1) << id;
    EXPECT_EQ(doubles, 0);
    EXPECT_LE(most, 4);
    EXPECT_GE(most, 2);
}

} // namespace
} // namespace holdfast
