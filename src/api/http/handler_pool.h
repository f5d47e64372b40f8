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

    // False, and `work` is dropped, when every thread has work and as much waits as may, or the pool has
    // stopped. `work` must not throw.
    bool submit(std::move_only_function<void()> work);
    // Drops what waits, and returns when what runs has ended.
    void stop();

  private:
    void run();

    const std::size_t most_at_once_; // that run, and that wait
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::move_only_function<void()>> waiting_;
    std::size_t running_ = 0;
    bool stopped_ = false;
    std::vector<std::jthread> threads_;
};

} // namespace holdfast::api
