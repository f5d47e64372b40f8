// How old the oldest log is that would be lost with the server's host.
#pragma once

#include "base/clock.h"
#include "postgres/receive/wal_position.h"

#include <deque>
#include <optional>

namespace holdfast::postgres {

// Remembers when positions were first heard of, some ten a second at most. Times are of a clock that only
// grows. Not thread-safe.
class Exposure {
  public:
    // The server's log is known to reach up to `end` now. While it is `connected`, what it wrote later is
    // heard of at once; when it is not, from now on anything may be written.
    void heard(WalPosition end, Duration now);
    void disconnected(Duration now);
    void archived(WalPosition position);
    // Zero when all that is known is archived, and the server is connected.
    Duration age(Duration now) const;

  private:
    struct Mark {
        WalPosition end;
        Duration since;
    };
    std::deque<Mark> marks_; // not archived, ascending
    WalPosition heard_;
    WalPosition archived_;
    std::optional<Duration> disconnected_;
};

} // namespace holdfast::postgres
