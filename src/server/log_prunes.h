// When log that windows let go of is pruned although no snapshot was forgotten.
#pragma once

#include "base/clock.h"

#include <mutex>
#include <optional>
#include <string>

namespace holdfast {

// Thread-safe.
class LogPrunes {
  public:
    // Whether to prune behind this operation, which ends now: once a day is enough. Asked again of the same
    // one, as when its end has to be written again, it says the same.
    bool follows(const std::string& operation, Timestamp now) {
        const std::scoped_lock lock(mutex_);
        if (operation == behind_) return true;
        if (at_ && *at_ <= now && now < *at_ + std::chrono::hours(23)) return false;
        at_ = now;
        behind_ = operation;
        return true;
    }

  private:
    std::mutex mutex_;
    std::optional<Timestamp> at_; // of the last one
    std::string behind_;
};

} // namespace holdfast
