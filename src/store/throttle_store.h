// Limits how fast bytes flow, over all calls of a process together.
#pragma once

#include "store/store_decorator.h"

#include <mutex>

namespace holdfast {

// A token bucket that lets its users go into debt: whoever takes tokens waits until all taken so far have
// flowed, so that over any longer time no more than the rate goes through, in whatever sizes it is asked for.
// Thread-safe.
class RateLimit {
  public:
    // `bytes_per_second` 0 means no limit. `clock` must outlive the limit. Up to `burst` of idle time is
    // saved up.
    RateLimit(std::uint64_t bytes_per_second, Clock& clock, Duration burst = std::chrono::milliseconds(250));
    // Waits until `bytes` may flow. Throws Error(cancelled) when `stop` is requested; the tokens are gone
    // then.
    void take(std::uint64_t bytes, std::stop_token stop);

  private:
    const double bytes_per_second_;
    const Duration burst_;
    Clock& clock_;
    std::mutex mutex_;
    Duration paid_until_{}; // everything taken so far would have flowed by this time
};

struct ThrottleSettings {
    std::uint64_t upload_bytes_per_second = 0; // 0: no limit
    std::uint64_t download_bytes_per_second = 0;
};

// Puts wait before they send, reads after they have received. One object goes at full speed; the average is
// what is limited. Thread-safe.
class ThrottleStore final : public StoreDecorator {
  public:
    ThrottleStore(std::shared_ptr<Store> inner, ThrottleSettings settings, Clock& clock = system_clock());

  protected:
    void around(StoreCall& call, const std::function<void()>& body) override;

  private:
    RateLimit upload_;
    RateLimit download_;
};

} // namespace holdfast
