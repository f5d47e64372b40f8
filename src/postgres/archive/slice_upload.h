// Slices on their way into the archive: compressed, encrypted and put by several threads.
#pragma once

#include "base/bounded_queue.h"
#include "base/task_group.h"
#include "postgres/archive/wal_slicer.h"
#include "repository/log/log_writer.h"

#include <functional>

namespace holdfast::postgres {

// Memory: `waiting_bytes` and two slices a worker. One thread adds. Destroyed before finish(), it stops.
class SliceUpload {
  public:
    // Called by a worker when a slice is durable; must be thread-safe.
    using Stored = std::function<void(const LogSliceId&, std::size_t object_bytes)>;

    SliceUpload(LogWriter& log, unsigned workers, std::size_t waiting_bytes, Stored stored,
                std::stop_token stop);
    ~SliceUpload();

    // Waits for room. Throws what a worker threw.
    void add(CutSlice slice);
    // Throws what a worker threw, if one did: nothing more is stored then.
    void rethrow_if_failed() { workers_.rethrow_if_failed(); }
    // Returns when all that was added is durable. Throws what a worker threw, or Error(cancelled).
    void finish();

  private:
    void work(std::stop_token stop);

    LogWriter& log_;
    Stored stored_;
    BoundedQueue<CutSlice> queue_;
    TaskGroup workers_;
};

} // namespace holdfast::postgres
