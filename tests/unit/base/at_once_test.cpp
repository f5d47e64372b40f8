#include "base/at_once.h"
#include "support/error_matchers.h"

#include <atomic>
#include <latch>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using test::code_of;

std::vector<std::string> numbers(int count) {
    std::vector<std::string> names;
    for (int i = 0; i < count; ++i) names.push_back(std::to_string(i));
    return names;
}

TEST(AtOnce, DoesEachOnceAndSeveralTogether) {
    std::mutex mutex;
    std::multiset<std::string> done;
    std::latch together(4);
    for_each_at_once(numbers(100), 4, {}, [&](const std::string& name, const std::stop_token&) {
        if (name.size() == 1 && name < "4") together.arrive_and_wait(); // one alone would wait for ever
        const std::scoped_lock lock(mutex);
        done.insert(name);
    });
    const std::vector<std::string> all = numbers(100);
    EXPECT_EQ(done, std::multiset<std::string>(all.begin(), all.end()));
}

TEST(AtOnce, OneThreadIsTheCallers) {
    std::vector<std::string> done;
    const std::thread::id caller = std::this_thread::get_id();
    for_each_at_once(numbers(20), 1, {}, [&](const std::string& name, const std::stop_token&) {
        EXPECT_EQ(std::this_thread::get_id(), caller);
        done.push_back(name);
    });
    EXPECT_EQ(done, numbers(20));
    for_each_at_once({}, 8, {}, [](const std::string&, const std::stop_token&) { FAIL(); });
}

TEST(AtOnce, TheFirstErrorEndsIt) {
    for (const unsigned most : {1U, 4U}) {
        std::atomic<unsigned> begun = 0;
        EXPECT_EQ(code_of([&] {
                      for_each_at_once(numbers(10'000), most, {},
                                       [&](const std::string& name, const std::stop_token& ending) {
                                           ++begun;
                                           if (name == "2") throw Error(ErrorCode::io, "planned");
                                           while (most > 1 && !ending.stop_requested())
                                               std::this_thread::yield();
                                       });
                  }),
                  to_string(ErrorCode::io));
        EXPECT_LT(begun, 10'000U);
    }
}

TEST(AtOnce, AStopEndsIt) {
    for (const unsigned most : {1U, 4U}) {
        std::stop_source stop;
        std::atomic<unsigned> begun = 0;
        EXPECT_EQ(code_of([&] {
                      for_each_at_once(numbers(10'000), most, stop.get_token(),
                                       [&](const std::string&, const std::stop_token& ending) {
                                           if (++begun == 3) stop.request_stop();
                                           while (most > 1 && !ending.stop_requested())
                                               std::this_thread::yield();
                                       });
                  }),
                  to_string(ErrorCode::cancelled));
        EXPECT_LT(begun, 10'000U);
    }
}

} // namespace
} // namespace holdfast
