// Threads that work on one thing: the first error stops them all and surfaces once.
#pragma once

#include <exception>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

namespace holdfast {

// Not thread-safe itself: one thread starts and waits. The destructor asks all to stop and joins them.
class TaskGroup {
  public:
    // A stop requested at `parent` reaches the tasks.
    explicit TaskGroup(std::stop_token parent = {});
    ~TaskGroup();
    TaskGroup(const TaskGroup&) = delete;
    TaskGroup& operator=(const TaskGroup&) = delete;

    // Runs `task` on a thread of its own. What it throws stops the group; only the first is kept.
    void start(std::function<void(std::stop_token)> task);
    // Stops the group as if a task had thrown `error`. Thread-safe.
    void fail(std::exception_ptr error);
    std::stop_token stop_token() const { return stop_.get_token(); }
    // Joins all tasks, then throws the first error if there was one, or Error(cancelled) when the parent
    // stopped.
    void wait();
    // Throws the first error if there is one already. Thread-safe.
    void rethrow_if_failed();

  private:
    struct Forward {
        std::stop_source* target;
        void operator()() const { target->request_stop(); }
    };
    std::stop_token parent_;
    std::stop_source stop_;
    std::stop_callback<Forward> forward_;
    std::mutex mutex_;
    std::exception_ptr first_error_;
    std::vector<std::jthread> threads_;
};

// How many workers CPU-bound stages start: the processors this process may use, at least 1.
unsigned worker_count();

} // namespace holdfast
