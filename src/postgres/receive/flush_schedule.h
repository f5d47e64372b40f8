// When what is not yet a whole slice is stored all the same.
#pragma once

#include "base/clock.h"

#include <algorithm>

namespace holdfast::postgres {

// Every `interval`, but later while the store is slow: never while `most` earlier ones are on their way, and
// then so far apart that they are spread over the time that storing one takes. With an interval of zero
// that alone decides. Times are of a clock that only grows. Not thread-safe.
class FlushSchedule {
  public:
    FlushSchedule(Duration interval, Duration now, unsigned most = 1)
        : interval_(interval), most_(most), last_(now) {}

    // Whether to flush, if something came since the last cut. `hurry`: the server waits for it.
    bool due(Duration now, bool hurry) const { return !full() && (hurry || now >= next()); }
    // When that becomes so by itself, unless it is full.
    Duration next() const { return last_ + std::max(interval_, took_ / most_); }
    // So many are on their way that the next one waits for one of them.
    bool full() const { return under_way_ >= most_; }

    // A flush is on its way, or a whole slice was cut: nothing waits longer than since now.
    void flushed(Duration now) {
        last_ = now;
        ++under_way_;
    }
    void cut(Duration now) { last_ = now; }
    // The flush that began at `began` is durable.
    void stored(Duration began, Duration now) {
        --under_way_;
        took_ = now - began;
    }

  private:
    Duration interval_;
    unsigned most_;
    Duration last_;
    Duration took_{};
    unsigned under_way_ = 0;
};

} // namespace holdfast::postgres
