#include "store/throttle_store.h"

#include "base/error.h"

#include <algorithm>

namespace holdfast {

RateLimit::RateLimit(std::uint64_t bytes_per_second, Clock& clock, Duration burst)
    : bytes_per_second_(static_cast<double>(bytes_per_second)),
      burst_(burst),
      clock_(clock),
      paid_until_(clock.steady() - burst) {}

void RateLimit::take(std::uint64_t bytes, std::stop_token stop) {
    if (bytes_per_second_ <= 0 || bytes == 0) return;
    const auto cost = std::chrono::duration_cast<Duration>(
        std::chrono::duration<double>(static_cast<double>(bytes) / bytes_per_second_));
    Duration wait{};
    {
        const std::scoped_lock lock(mutex_);
        const Duration now = clock_.steady();
        paid_until_ = std::max(paid_until_, now - burst_) + cost;
        wait = paid_until_ - now;
    }
    if (wait > Duration::zero() && !clock_.sleep_for(wait, stop)) {
        throw Error(ErrorCode::cancelled, "stopped while waiting for its share of the bandwidth");
    }
}

ThrottleStore::ThrottleStore(std::shared_ptr<Store> inner, ThrottleSettings settings, Clock& clock)
    : StoreDecorator(std::move(inner)),
      upload_(settings.upload_bytes_per_second, clock),
      download_(settings.download_bytes_per_second, clock) {}

void ThrottleStore::around(StoreCall& call, const std::function<void()>& body) {
    upload_.take(call.sent_bytes, call.options.stop);
    body();
    download_.take(call.received_bytes, call.options.stop);
}

} // namespace holdfast
