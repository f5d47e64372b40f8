// How often somebody may ask: token buckets by name.
#pragma once

#include "base/clock.h"
#include "base/lru_cache.h"

#include <mutex>
#include <optional>
#include <string>

namespace holdfast::api {

struct Rate {
    double per_second = 1;
    double burst = 1; // how many at once, after a time of rest
};

// Remembers those that asked last, some ten thousand; who is forgotten begins with a full bucket.
// Thread-safe. The clock outlives it.
class RateLimits {
  public:
    RateLimits(Clock& clock, Rate rate) : clock_(clock), rate_(rate), buckets_(most_buckets) {}

    // Takes one for `name`. Nothing when that was within the rate; else how many seconds to wait.
    std::optional<double> take(const std::string& name);
    // The same, without taking: whether the next one would be.
    std::optional<double> wait_for(const std::string& name);

  private:
    struct Bucket {
        double filled = 0;
        Duration at{};
    };
    static constexpr std::size_t most_buckets = 16'384;
    Bucket& bucket_of(const std::string& name);

    Clock& clock_;
    const Rate rate_;
    std::mutex mutex_;
    LruCache<std::string, Bucket> buckets_;
};

} // namespace holdfast::api
