#include "api/http/handler_pool.h"

#include <utility>

namespace holdfast::api {

HandlerPool::HandlerPool(unsigned threads, std::size_t most_waiting) : most_waiting_(most_waiting) {
    for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

bool HandlerPool::submit(std::move_only_function<void()> work) {
    {
        const std::scoped_lock lock(mutex_);
        if (stopped_ || waiting_.size() >= most_waiting_) return false;
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
    while (true) {
        std::move_only_function<void()> work;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [this] { return stopped_ || !waiting_.empty(); });
            if (stopped_) return;
            work = std::move(waiting_.front());
            waiting_.pop_front();
        }
        work();
    }
}

} // namespace holdfast::api
