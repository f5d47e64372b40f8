#include "api/http/handler_pool.h"

#include <utility>

namespace holdfast::api {

HandlerPool::HandlerPool(unsigned threads, std::size_t most_waiting) : most_at_once_(threads + most_waiting) {
    for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

bool HandlerPool::submit(std::move_only_function<void()> work) {
    {
        const std::scoped_lock lock(mutex_);
        // What a thread is free for does not wait, though the thread may not have awoken yet.
        if (stopped_ || waiting_.size() + running_ >= most_at_once_) return false;
        waiting_.push_back(std::move(work));
    }
    changed_.notify_one();
    return true;
}

void HandlerPool::stop() {
    std::deque<std::move_only_function<void()>> dropped;
    {
        const std::scoped_lock lock(mutex_);
        stopped_ = true;
        dropped.swap(waiting_);
    }
    changed_.notify_all();
    for (std::jthread& thread : threads_)
        if (thread.joinable()) thread.join();
}

void HandlerPool::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [this] { return stopped_ || !waiting_.empty(); });
        if (stopped_) return;
        auto work = std::move(waiting_.front());
        waiting_.pop_front();
        ++running_;
        lock.unlock();
        work();
        work = nullptr; // what it holds ends here, not under the lock
        lock.lock();
        --running_;
    }
}

} // namespace holdfast::api
