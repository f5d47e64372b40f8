// The threads that handlers run on, apart from those that move bytes, so that a slow database holds up no
// socket.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace holdfast::api {

// Thread-safe.
class HandlerPool {
  public:
    HandlerPool(unsigned threads, std::size_t most_waiting);
    ~HandlerPool() { stop(); }
    HandlerPool(const HandlerPool&) = delete;
    HandlerPool& operator=(const HandlerPool&) = delete;

    // False, and `work` is dropped, when too much waits already or the pool has stopped. `work` must not
    // throw.
    bool submit(std::move_only_function<void()> work);
    // Drops what waits, and returns when what runs has ended.
    void stop();

  private:
    void run();

    const std::size_t most_waiting_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::move_only_function<void()>> waiting_;
    bool stopped_ = false;
    std::vector<std::jthread> threads_;
};

} // namespace holdfast::api
