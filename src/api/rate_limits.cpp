#include "api/rate_limits.h"

#include <algorithm>

namespace holdfast::api {

RateLimits::Bucket& RateLimits::bucket_of(const std::string& name) {
    const Duration now = clock_.steady();
    Bucket* bucket = buckets_.find(name);
    if (bucket == nullptr) return buckets_.put(name, {.filled = rate_.burst, .at = now}, 1);
    const double seconds = std::chrono::duration<double>(now - bucket->at).count();
    bucket->filled = std::min(rate_.burst, bucket->filled + std::max(seconds, 0.0) * rate_.per_second);
    bucket->at = now;
    return *bucket;
}

std::optional<double> RateLimits::take(const std::string& name) {
    const std::scoped_lock lock(mutex_);
    Bucket& bucket = bucket_of(name);
    if (bucket.filled < 1) return (1 - bucket.filled) / rate_.per_second;
    bucket.filled -= 1;
    return std::nullopt;
}

std::optional<double> RateLimits::wait_for(const std::string& name) {
    const std::scoped_lock lock(mutex_);
    const Bucket& bucket = bucket_of(name);
    if (bucket.filled < 1) return (1 - bucket.filled) / rate_.per_second;
    return std::nullopt;
}

} // namespace holdfast::api
