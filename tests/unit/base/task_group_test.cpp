#include "base/clock.h"
#include "base/task_group.h"
#include "support/error_matchers.h"

#include <atomic>
#include <latch>
#include <stdexcept>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using namespace std::chrono_literals;
using test::code_of;
using test::error_of;

void wait_for_stop(std::stop_token stop) { system_clock().sleep_for(1h, std::move(stop)); }

TEST(TaskGroup, WaitsForAll) {
    std::atomic<int> done{0};
    TaskGroup group;
    for (int i = 0; i < 8; ++i) {
        group.start([&](std::stop_token) { ++done; });
    }
    group.wait();
    EXPECT_EQ(done, 8);
}

TEST(TaskGroup, TheFirstErrorStopsTheOthersAndIsTheOneThrown) {
    std::atomic<int> stopped{0};
    TaskGroup group;
    std::latch waiting(3);
    for (int i = 0; i < 3; ++i) {
        group.start([&](std::stop_token stop) {
            waiting.count_down();
            wait_for_stop(stop);
            ++stopped;
            throw Error(ErrorCode::cancelled, "a follower");
        });
    }
    group.start([&](std::stop_token) {
        waiting.wait();
        throw Error(ErrorCode::no_space, "the cause");
    });
    const auto error = error_of([&] { group.wait(); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->message(), "the cause");
    EXPECT_EQ(stopped, 3);
}

TEST(TaskGroup, CarriesErrorsOfEveryType) {
    TaskGroup group;
    group.start([](std::stop_token) { throw std::length_error("too long"); });
    EXPECT_THROW(group.wait(), std::length_error);
}

TEST(TaskGroup, FailFromOutsideStopsTheGroup) {
    TaskGroup group;
    group.start(wait_for_stop);
    group.fail(std::make_exception_ptr(Error(ErrorCode::io, "from outside")));
    group.fail(std::make_exception_ptr(Error(ErrorCode::io, "too late")));
    EXPECT_TRUE(group.stop_token().stop_requested());
    const auto error = error_of([&] { group.wait(); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->message(), "from outside");
}

TEST(TaskGroup, RethrowIfFailedThrowsOnlyThen) {
    TaskGroup group;
    EXPECT_NO_THROW(group.rethrow_if_failed());
    group.fail(std::make_exception_ptr(Error(ErrorCode::corrupt, "bad")));
    EXPECT_EQ(code_of([&] { group.rethrow_if_failed(); }), "corrupt");
}

TEST(TaskGroup, AStopOfTheParentReachesTheTasks) {
    std::stop_source parent;
    TaskGroup group(parent.get_token());
    group.start(wait_for_stop);
    parent.request_stop();
    EXPECT_EQ(code_of([&] { group.wait(); }), "cancelled");
}

TEST(TaskGroup, AParentThatStoppedBeforeCounts) {
    std::stop_source parent;
    parent.request_stop();
    TaskGroup group(parent.get_token());
    EXPECT_TRUE(group.stop_token().stop_requested());
    EXPECT_EQ(code_of([&] { group.wait(); }), "cancelled");
}

TEST(TaskGroup, AnErrorOfATaskComesBeforeTheParentsStop) {
    std::stop_source parent;
    TaskGroup group(parent.get_token());
    group.start([&](std::stop_token) {
        parent.request_stop();
        throw Error(ErrorCode::io, "while stopping");
    });
    EXPECT_EQ(code_of([&] { group.wait(); }), "io");
}

TEST(TaskGroup, TheGroupsErrorDoesNotStopItsParent) {
    std::stop_source parent;
    TaskGroup group(parent.get_token());
    group.start([](std::stop_token) { throw Error(ErrorCode::io, "mine alone"); });
    EXPECT_EQ(code_of([&] { group.wait(); }), "io");
    EXPECT_FALSE(parent.stop_requested());
}

TEST(TaskGroup, TheDestructorStopsAndJoins) {
    std::atomic<bool> ended{false};
    {
        TaskGroup group;
        group.start([&](std::stop_token stop) {
            wait_for_stop(std::move(stop));
            ended = true;
        });
    }
    EXPECT_TRUE(ended);
}

TEST(WorkerCount, IsWithinWhatTheMachineHas) {
    EXPECT_GE(worker_count(), 1U);
    EXPECT_LE(worker_count(), std::max(1U, std::thread::hardware_concurrency()));
}

} // namespace
} // namespace holdfast
