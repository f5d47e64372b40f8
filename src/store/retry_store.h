// Tries again what may succeed later.
#pragma once

#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "store/store_decorator.h"

#include <atomic>
#include <mutex>
#include <optional>

namespace holdfast {

struct RetrySettings {
    // Attempts of one call, the first one included.
    unsigned attempts = 10;
    // Before attempt n+1 it waits a random time below first_delay * 2^(n-1), at most longest_delay ("full
    // jitter", so that clients which failed together do not come back together), or what the other side asked
    // for if that is more.
    Duration first_delay = std::chrono::milliseconds(200);
    Duration longest_delay = std::chrono::seconds(30);
    // No attempt begins later than this after the first one.
    Duration total_time = std::chrono::minutes(15);
};

// Repeats calls whose Error is retryable(). The last error is thrown with the number of attempts in its
// message.
//
// A lost answer: when a put with only_if_absent is repeated and then finds its name taken, the object is read
// back; if it holds the bytes of this put, the put has succeeded. (Two writers that put equal bytes under one
// name may so both be told that they stored it: names that decide between writers must hold bytes that differ
// between them.) Copies with only_if_absent are resolved alike.
//
// A listing that fails goes on behind the last object that was visited. Errors that a visitor throws are
// passed on as they are. Thread-safe.
//
// Who waits is told why: a warning when a call will have taken three seconds, and then every ten at most, of
// all calls together.
class RetryStore final : public StoreDecorator {
  public:
    // `clock`, `random` and `logger` must outlive the store.
    RetryStore(std::shared_ptr<Store> inner, RetrySettings settings, Clock& clock = system_clock(),
               Random& random = system_random(), Logger& logger = silent_logger());

    using Store::put;
    PutResult put(const std::string& name, std::span<const ByteView> parts, const PutOptions& put_options,
                  const CallOptions& options) override;
    void list(const std::string& prefix, const std::string& after,
              const std::function<bool(const ObjectInfo&)>& visit, const CallOptions& options) override;
    void list_versions(const std::string& prefix, const std::function<bool(const ObjectVersion&)>& visit,
                       const CallOptions& options) override;
    PutResult copy(const std::string& from, const std::string& to, const PutOptions& put_options,
                   const CallOptions& options) override;

    // How many attempts were made beyond the first ones.
    std::uint64_t retries() const { return retries_; }

  protected:
    void around(StoreCall& call, const std::function<void()>& body) override;

  private:
    // Runs `attempt` with the number of the attempt, counted from 1, until it succeeds or nothing more may be
    // tried.
    void run(const CallOptions& options, const std::function<void(unsigned)>& attempt);
    Duration delay_after(unsigned attempt, const Error& error) const;
    // `waited` at the end of the delay that begins.
    void tell_of_wait(const Error& error, Duration waited);
    bool holds(const std::string& name, std::span<const ByteView> parts, const CallOptions& options);
    bool equal_objects(const std::string& a, const std::string& b, const CallOptions& options);

    const RetrySettings settings_;
    Clock& clock_;
    Random& random_;
    Logger& logger_;
    std::atomic<std::uint64_t> retries_ = 0;
    std::mutex mutex_;
    std::optional<Duration> told_; // when a warning was given last
};

} // namespace holdfast
