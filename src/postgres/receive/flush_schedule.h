// When what is not yet a whole slice is stored all the same.
#pragma once

#include "base/clock.h"

#include <algorithm>

namespace holdfast::postgres {

// Every `interval`, but later while the store is slow: never while an earlier one is on its way, and not more
// often than storing one takes. With an interval of zero each waits for the one before only. Times are of a
// clock that only grows. Not thread-safe.
class FlushSchedule {
  public:
    FlushSchedule(Duration interval, Duration now) : interval_(interval), last_(now) {}

    // Whether to flush, if something came since the last cut. `hurry`: the server waits for it.
    bool due(Duration now, bool hurry) const { return !on_its_way_ && (hurry || now >= next()); }
    // When that becomes so by itself, unless one is on its way.
    Duration next() const { return last_ + std::max(interval_, took_); }
    bool on_its_way() const { return on_its_way_; }

    // A flush is on its way, or a whole slice was cut: nothing waits longer than since now.
    void flushed(Duration now) {
        last_ = began_ = now;
        on_its_way_ = true;
    }
    void cut(Duration now) { last_ = now; }
    // The flush is durable.
    void stored(Duration now) {
        on_its_way_ = false;
        took_ = now - began_;
    }

  private:
    Duration interval_;
    Duration last_;
    Duration began_{};
    Duration took_{};
    bool on_its_way_ = false;
};

} // namespace holdfast::postgres
