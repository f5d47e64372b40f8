// Time to end in good order between being asked to stop and having to.
#pragma once

#include "base/clock.h"

#include <stop_token>
#include <thread>

namespace holdfast {

class StopGrace {
  public:
    // `clock` must outlive it.
    StopGrace(std::stop_token asked, Duration grace, Clock& clock);

    // Requested `grace` after `asked` was, unless this is gone by then.
    std::stop_token token() const { return over_.get_token(); }
    // Requests it now. Thread-safe.
    void cut_short() { over_.request_stop(); }

  private:
    void wait(const std::stop_token& asked, Duration grace, Clock& clock, const std::stop_token& ended);

    std::stop_source over_;
    std::jthread thread_; // last: joined before the rest goes
};

} // namespace holdfast
