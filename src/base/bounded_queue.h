// A queue between two stages of a pipeline, bounded by the bytes that wait in it.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

namespace holdfast {

// Any number of threads push and pop. An item larger than the bound passes alone, so a bound never blocks for
// ever.
template <typename Item>
class BoundedQueue {
  public:
    explicit BoundedQueue(std::size_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}

    // Waits for room. False, and the item is dropped, once the queue is closed or `stop` is requested, even
    // if there is room: a pipeline that stops must not be fed any more.
    bool push(Item item, std::size_t size_bytes, std::stop_token stop) {
        std::unique_lock lock(mutex_);
        const bool ready = changed_.wait(lock, stop, [&] {
            return closed_ || waiting_bytes_ == 0 || waiting_bytes_ + size_bytes <= capacity_bytes_;
        });
        if (!ready || closed_ || stop.stop_requested()) return false;
        items_.emplace_back(std::move(item), size_bytes);
        waiting_bytes_ += size_bytes;
        changed_.notify_all();
        return true;
    }

    // Waits for an item. Nothing once the queue is closed and empty, or `stop` is requested, even if items
    // wait.
    std::optional<Item> pop(std::stop_token stop) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, stop, [&] { return closed_ || !items_.empty(); });
        if (items_.empty() || stop.stop_requested()) {
            return std::nullopt;
        }
        auto [item, size_bytes] = std::move(items_.front());
        items_.pop_front();
        waiting_bytes_ -= size_bytes;
        changed_.notify_all();
        return std::move(item);
    }

    // No more pushes; what is inside can still be popped.
    void close() {
        const std::scoped_lock lock(mutex_);
        closed_ = true;
        changed_.notify_all();
    }

  private:
    const std::size_t capacity_bytes_;
    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::deque<std::pair<Item, std::size_t>> items_;
    std::size_t waiting_bytes_ = 0;
    bool closed_ = false;
};

} // namespace holdfast
