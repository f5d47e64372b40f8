#include "base/bounded_queue.h"

#include <atomic>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(BoundedQueue, KeepsTheOrderOfOneProducer) {
    BoundedQueue<int> queue(100);
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(queue.push(i, 10, {}));
    for (int i = 0; i < 10; ++i) EXPECT_EQ(queue.pop({}), i);
}

TEST(BoundedQueue, PassesItemsThatCannotBeCopied) {
    BoundedQueue<std::unique_ptr<int>> queue(1);
    EXPECT_TRUE(queue.push(std::make_unique<int>(7), 1, {}));
    const auto item = queue.pop({});
    ASSERT_TRUE(item);
    EXPECT_EQ(**item, 7);
}

TEST(BoundedQueue, EveryItemArrivesOnceWithSeveralProducersAndConsumers) {
    constexpr int producers = 4;
    constexpr int consumers = 3;
    constexpr int each = 5000;
    BoundedQueue<int> queue(64);
    std::vector<std::vector<int>> received(consumers);
    {
        std::vector<std::jthread> readers;
        for (int c = 0; c < consumers; ++c) {
            readers.emplace_back([&, c] {
                while (auto item = queue.pop({})) received[static_cast<std::size_t>(c)].push_back(*item);
            });
        }
        std::vector<std::jthread> writers;
        for (int p = 0; p < producers; ++p) {
            writers.emplace_back([&, p] {
                for (int i = 0; i < each; ++i) {
                    EXPECT_TRUE(queue.push(p * each + i, static_cast<std::size_t>(i % 17), {}));
                }
            });
        }
        writers.clear();
        queue.close();
    }
    std::vector<int> all;
    for (const auto& part : received) all.insert(all.end(), part.begin(), part.end());
    std::sort(all.begin(), all.end());
    std::vector<int> wanted(producers * each);
    std::iota(wanted.begin(), wanted.end(), 0);
    EXPECT_EQ(all, wanted);
}

TEST(BoundedQueue, NeverHoldsMoreThanItsBound) {
    constexpr std::size_t bound = 100;
    BoundedQueue<std::size_t> queue(bound);
    std::atomic<std::size_t> inside{0};
    std::atomic<std::size_t> most{0};
    std::jthread writer([&] {
        for (std::size_t i = 0; i < 5000; ++i) {
            const std::size_t size = 1 + i % 60;
            EXPECT_TRUE(queue.push(size, size, {}));
            const std::size_t now = inside += size;
            most = std::max(most.load(), now);
        }
        queue.close();
    });
    while (const auto size = queue.pop({})) {
        // The writer counts after the push: wait for it, so that the count never goes below zero.
        while (inside < *size) std::this_thread::yield();
        inside -= *size;
    }
    EXPECT_GT(most, 0U);
    // One item may be popped but not yet subtracted when the next is counted.
    EXPECT_LE(most, bound + 60);
}

TEST(BoundedQueue, APushWaitsForRoom) {
    BoundedQueue<int> queue(10);
    EXPECT_TRUE(queue.push(1, 10, {}));
    std::atomic<bool> second_is_in{false};
    std::jthread writer([&] {
        EXPECT_TRUE(queue.push(2, 1, {}));
        second_is_in = true;
    });
    std::this_thread::yield();
    EXPECT_FALSE(second_is_in);
    EXPECT_EQ(queue.pop({}), 1);
    EXPECT_EQ(queue.pop({}), 2);
    writer.join();
    EXPECT_TRUE(second_is_in);
}

TEST(BoundedQueue, AnItemLargerThanTheBoundPassesAlone) {
    BoundedQueue<int> queue(10);
    EXPECT_TRUE(queue.push(1, 1000, {}));
    EXPECT_EQ(queue.pop({}), 1);
    EXPECT_TRUE(queue.push(2, 5, {}));
    std::jthread writer([&] { EXPECT_TRUE(queue.push(3, 1000, {})); });
    EXPECT_EQ(queue.pop({}), 2);
    EXPECT_EQ(queue.pop({}), 3);
}

TEST(BoundedQueue, AfterCloseWhatIsInsideComesOutAndNothingGoesIn) {
    BoundedQueue<int> queue(10);
    EXPECT_TRUE(queue.push(1, 1, {}));
    queue.close();
    EXPECT_FALSE(queue.push(2, 1, {}));
    EXPECT_EQ(queue.pop({}), 1);
    EXPECT_EQ(queue.pop({}), std::nullopt);
    EXPECT_EQ(queue.pop({}), std::nullopt);
}

TEST(BoundedQueue, CloseWakesThoseThatWait) {
    BoundedQueue<int> empty(10);
    std::optional<int> popped = 1;
    std::jthread reader([&] { popped = empty.pop({}); });
    BoundedQueue<int> full(10);
    EXPECT_TRUE(full.push(1, 10, {}));
    bool pushed = true;
    std::jthread writer([&] { pushed = full.push(2, 10, {}); });
    empty.close();
    full.close();
    reader.join();
    writer.join();
    EXPECT_EQ(popped, std::nullopt);
    EXPECT_FALSE(pushed);
}

TEST(BoundedQueue, AStopWakesThoseThatWait) {
    std::stop_source stop;
    BoundedQueue<int> empty(10);
    std::optional<int> popped = 1;
    std::jthread reader([&] { popped = empty.pop(stop.get_token()); });
    BoundedQueue<int> full(10);
    EXPECT_TRUE(full.push(1, 10, {}));
    bool pushed = true;
    std::jthread writer([&] { pushed = full.push(2, 10, stop.get_token()); });
    stop.request_stop();
    reader.join();
    writer.join();
    EXPECT_EQ(popped, std::nullopt);
    EXPECT_FALSE(pushed);
}

TEST(BoundedQueue, AfterAStopNothingPassesAlthoughItCould) {
    std::stop_source stop;
    BoundedQueue<int> queue(10);
    EXPECT_TRUE(queue.push(1, 1, stop.get_token()));
    stop.request_stop();
    EXPECT_FALSE(queue.push(2, 1, stop.get_token()));
    EXPECT_EQ(queue.pop(stop.get_token()), std::nullopt);
}

} // namespace
} // namespace holdfast
