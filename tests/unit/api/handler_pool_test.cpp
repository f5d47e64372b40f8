#include "api/http/handler_pool.h"

#include <atomic>
#include <latch>
#include <thread>

#include <gtest/gtest.h>

namespace holdfast::api {
namespace {

TEST(HandlerPool, TakesWhatItsThreadsAreFreeForAndWhatMayWait) {
    // Before any thread has awoken, too: hence again and again.
    for (int i = 0; i < 200; ++i) {
        std::latch go(1);
        std::atomic<int> done = 0;
        HandlerPool pool(2, 1);
        const auto work = [&] {
            go.wait();
            ++done;
        };
        EXPECT_TRUE(pool.submit(work));
        EXPECT_TRUE(pool.submit(work));
        EXPECT_TRUE(pool.submit(work));
        EXPECT_FALSE(pool.submit(work));
        go.count_down();
        while (done != 3) std::this_thread::yield();
    }
}

TEST(HandlerPool, RunsWhatHasBegunAndDropsWhatWaits) {
    std::latch begun(1), go(1);
    std::atomic<int> done = 0;
    HandlerPool pool(1, 1'000'000'000);
    ASSERT_TRUE(pool.submit([&] {
        begun.count_down();
        go.wait();
        ++done;
    }));
    begun.wait();
    ASSERT_TRUE(pool.submit([&] { ++done; }));
    std::jthread stopping([&] { pool.stop(); });
    // Refused from when it has been told to stop.
    while (pool.submit([&] { ++done; })) std::this_thread::yield();
    go.count_down();
    stopping.join();
    EXPECT_EQ(done, 1);
}

} // namespace
} // namespace holdfast::api
