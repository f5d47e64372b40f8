#include "base/task_group.h"

#include "base/error.h"

#include <sched.h>

namespace holdfast {

TaskGroup::TaskGroup(std::stop_token parent)
    : parent_(std::move(parent)), forward_(parent_, Forward{&stop_}) {}

TaskGroup::~TaskGroup() {
    stop_.request_stop();
    threads_.clear();
}

void TaskGroup::start(std::function<void(std::stop_token)> task) {
    threads_.emplace_back([this, task = std::move(task)] {
        try {
            task(stop_.get_token());
        } catch (...) {
            fail(std::current_exception());
        }
    });
}

void TaskGroup::fail(std::exception_ptr error) {
    {
        const std::scoped_lock lock(mutex_);
        if (!first_error_) first_error_ = std::move(error);
    }
    stop_.request_stop();
}

void TaskGroup::wait() {
    threads_.clear();
    rethrow_if_failed();
    if (parent_.stop_requested()) throw Error(ErrorCode::cancelled, "stopped before it was done");
}

void TaskGroup::rethrow_if_failed() {
    std::exception_ptr error;
    {
        const std::scoped_lock lock(mutex_);
        error = first_error_;
    }
    if (error) std::rethrow_exception(error);
}

unsigned worker_count() {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
        const int count = CPU_COUNT(&allowed);
        if (count > 0) return static_cast<unsigned>(count);
    }
    return 1;
}

} // namespace holdfast
