// Slices read ahead by several threads, for who wants all of them in their order.
#pragma once

#include "base/error.h"
#include "base/task_group.h"
#include "repository/log/log_reader.h"

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

namespace holdfast {

struct FedSlice {
    LogSliceId id;
    LogReader::Whole whole;
    // Why it could not be read: it is gone or damaged, its writer may not write logs, or no key opens it.
    std::optional<Error> error;
};

// Memory: `ahead_bytes` of content that waits or is being read, and what a worker needs for one slice each.
class SliceFeed {
  public:
    // Called by the workers; must be thread-safe.
    using Read = std::function<LogReader::Whole(const LogSliceId&, const CallOptions&)>;

    SliceFeed(std::vector<LogSliceId> slices, Read read, unsigned workers, std::uint64_t ahead_bytes,
              std::stop_token stop);
    ~SliceFeed();

    // In the order in which they were given; nothing behind the last. Throws what a worker threw that says
    // nothing about the slice, such as that the store does not answer, and Error(cancelled). For one thread.
    std::optional<FedSlice> next();

  private:
    void work(const std::stop_token& stop);
    std::optional<std::size_t> take(const std::stop_token& stop);
    FedSlice read(const LogSliceId& slice, const std::stop_token& stop) const;
    static std::uint64_t bytes_of(const LogSliceId& slice);

    const std::vector<LogSliceId> slices_;
    const Read read_;
    const std::uint64_t ahead_bytes_;

    std::mutex mutex_; // of what follows
    std::condition_variable_any changed_;
    std::size_t next_to_read_ = 0;
    std::size_t next_to_give_ = 0;
    std::uint64_t ahead_ = 0; // bytes of those between the two
    std::map<std::size_t, FedSlice> ready_;

    TaskGroup workers_; // last: they use the rest
};

} // namespace holdfast
