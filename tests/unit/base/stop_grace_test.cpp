#include "base/stop_grace.h"

#include <condition_variable>
#include <mutex>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

void wait_for(const std::stop_token& token) {
    std::mutex mutex;
    std::condition_variable_any changed;
    const std::stop_callback wake(token, [&] {
        const std::scoped_lock lock(mutex);
        changed.notify_all();
    });
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return token.stop_requested(); });
}

TEST(StopGraceTest, TheStopComesWhenTheGraceIsOver) {
    FakeClock clock{Timestamp{}};
    std::stop_source asked;
    const StopGrace grace(asked.get_token(), std::chrono::seconds(20), clock);
    EXPECT_FALSE(grace.token().stop_requested());
    asked.request_stop();
    wait_for(grace.token());
    EXPECT_EQ(clock.steady(), std::chrono::seconds(20));
}

TEST(StopGraceTest, WhoEndsBeforeIsNotStopped) {
    std::stop_source asked;
    std::stop_token token;
    {
        const StopGrace grace(asked.get_token(), std::chrono::hours(1), system_clock());
        token = grace.token();
        asked.request_stop();
    }
    EXPECT_FALSE(token.stop_requested());
}

TEST(StopGraceTest, WhoWasNeverAskedEndsAtOnce) {
    std::stop_source asked;
    const StopGrace grace(asked.get_token(), std::chrono::hours(1), system_clock());
    const StopGrace unstoppable({}, std::chrono::hours(1), system_clock());
    EXPECT_FALSE(grace.token().stop_requested());
    EXPECT_FALSE(unstoppable.token().stop_requested());
}

} // namespace
} // namespace holdfast
