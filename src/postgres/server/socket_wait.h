// Waiting for a socket until a moment or a request to stop.
#pragma once

#include "base/file_descriptor.h"

#include <chrono>
#include <optional>
#include <stop_token>

namespace holdfast::postgres {

// A moment of a clock that only grows; nothing: no limit.
using Deadline = std::optional<std::chrono::steady_clock::time_point>;

enum class SocketState { ready, timed_out, stopped };

// Ends waits from another thread, from when it is raised until somebody takes that. Thread-safe.
class WakeEvent {
  public:
    WakeEvent();
    void raise() const;
    // Whether it was raised.
    bool take() const;
    int fd() const { return event_.get(); }

  private:
    FileDescriptor event_;
};

// Wakes waits of one thread when a stop is requested. Made once per operation, since it costs a descriptor.
class StopWake {
  public:
    explicit StopWake(const std::stop_token& stop);

    // Returns when `socket` can be read (or written, as asked for), when `also` is raised, at the deadline,
    // or when a stop was requested, which wins over the others. A socket is ready also when it was closed or
    // has failed, and while `also` is raised. Throws the system's error.
    SocketState wait(int socket, bool for_reading, bool for_writing, const Deadline& deadline,
                     const WakeEvent* also = nullptr) const;

  private:
    struct Wake {
        int event;
        void operator()() const;
    };
    std::stop_token stop_;
    FileDescriptor event_;
    std::optional<std::stop_callback<Wake>> callback_; // last: gone before the descriptor is
};

} // namespace holdfast::postgres
