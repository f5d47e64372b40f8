#include "store/retry_store.h"

#include "base/error.h"

#include <algorithm>
#include <exception>
#include <set>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::uint64_t comparison_step_bytes = 8 << 20;
constexpr Duration tolerable_wait = std::chrono::seconds(3);
constexpr Duration warning_interval = std::chrono::seconds(10);

// Carries what a visitor throws past the retries, which are for the store's own errors only.
template <typename Item>
class VisitorGuard {
  public:
    explicit VisitorGuard(const std::function<bool(const Item&)>& visit) : visit_(visit) {}

    bool operator()(const Item& item) {
        try {
            return visit_(item);
        } catch (...) {
            thrown_ = std::current_exception();
            return false;
        }
    }
    void rethrow() const {
        if (thrown_) std::rethrow_exception(thrown_);
    }

  private:
    const std::function<bool(const Item&)>& visit_;
    std::exception_ptr thrown_;
};

} // namespace

RetryStore::RetryStore(std::shared_ptr<Store> inner, RetrySettings settings, Clock& clock, Random& random,
                       Logger& logger)
    : StoreDecorator(std::move(inner)),
      settings_(settings),
      clock_(clock),
      random_(random),
      logger_(logger) {}

Duration RetryStore::delay_after(unsigned attempt, const Error& error) const {
    Duration ceiling = settings_.first_delay;
    for (unsigned i = 1; i < attempt && ceiling < settings_.longest_delay; ++i) ceiling *= 2;
    ceiling = std::min(ceiling, settings_.longest_delay);
    const auto jittered =
        Duration(static_cast<Duration::rep>(random_.below(static_cast<std::uint64_t>(ceiling.count()) + 1)));
    // A day bounds what a hostile server may ask for before it is turned into nanoseconds.
    const double asked_seconds = std::clamp(error.retry_after_seconds(), 0.0, 86'400.0);
    return std::max(jittered,
                    std::chrono::duration_cast<Duration>(std::chrono::duration<double>(asked_seconds)));
}

void RetryStore::tell_of_wait(const Error& error, Duration waited) {
    if (waited < tolerable_wait) return;
    {
        const std::lock_guard lock(mutex_);
        const Duration now = clock_.steady();
        if (told_ && now - *told_ < warning_interval) return;
        told_ = now;
    }
    // Fields that stay the same, for logs that leave out repetitions.
    logger_.warning("the store does not answer as it should, and is tried again",
                    {{"store", inner().url()}, {"reason", error.message()}});
}

void RetryStore::run(const CallOptions& options, const std::function<void(unsigned)>& attempt) {
    const Duration began = clock_.steady();
    const Duration deadline = began + settings_.total_time;
    for (unsigned number = 1;; ++number) {
        try {
            attempt(number);
            return;
        } catch (const Error& error) {
            if (!error.retryable()) throw;
            const Duration delay = delay_after(number, error);
            if (number >= settings_.attempts || clock_.steady() + delay > deadline) {
                if (number == 1) throw;
                throw error.with_context(fmt::format("after {} attempts", number));
            }
            tell_of_wait(error, clock_.steady() + delay - began);
            if (!clock_.sleep_for(delay, options.stop)) {
                throw Error(ErrorCode::cancelled, "stopped while waiting to try again: " + error.message());
            }
            ++retries_;
        }
    }
}

void RetryStore::around(StoreCall& call, const std::function<void()>& body) {
    run(call.options, [&](unsigned) { body(); });
}

bool RetryStore::holds(const std::string& name, std::span<const ByteView> parts, const CallOptions& options) {
    const std::optional<ObjectInfo> info = inner().head(name, options);
    if (!info || info->size_bytes != total_size(parts)) return false;
    std::uint64_t offset = 0;
    for (ByteView part : parts) {
        while (!part.empty()) {
            const ByteView expected = part.first(std::min<std::size_t>(part.size(), comparison_step_bytes));
            const std::optional<Bytes> found = inner().get(name, {offset, expected.size()}, options);
            if (!found || !std::ranges::equal(*found, expected)) return false;
            offset += expected.size();
            part = part.subspan(expected.size());
        }
    }
    return true;
}

bool RetryStore::equal_objects(const std::string& a, const std::string& b, const CallOptions& options) {
    for (std::uint64_t offset = 0;; offset += comparison_step_bytes) {
        const ByteRange range{offset, comparison_step_bytes};
        const std::optional<Bytes> bytes_a = inner().get(a, range, options);
        const std::optional<Bytes> bytes_b = inner().get(b, range, options);
        if (!bytes_a || !bytes_b || *bytes_a != *bytes_b) return false;
        if (bytes_a->size() < comparison_step_bytes) return true;
    }
}

PutResult RetryStore::put(const std::string& name, std::span<const ByteView> parts,
                          const PutOptions& put_options, const CallOptions& options) {
    PutResult result{};
    run(options, [&](unsigned number) {
        result = inner().put(name, parts, put_options, options);
        if (result == PutResult::already_there && number > 1 && holds(name, parts, options))
            result = PutResult::stored;
    });
    return result;
}

PutResult RetryStore::copy(const std::string& from, const std::string& to, const PutOptions& put_options,
                           const CallOptions& options) {
    PutResult result{};
    run(options, [&](unsigned number) {
        result = inner().copy(from, to, put_options, options);
        if (result == PutResult::already_there && number > 1 && equal_objects(from, to, options)) {
            result = PutResult::stored;
        }
    });
    return result;
}

void RetryStore::list(const std::string& prefix, const std::string& after,
                      const std::function<bool(const ObjectInfo&)>& visit, const CallOptions& options) {
    std::string last = after;
    VisitorGuard guard(visit);
    run(options, [&](unsigned) {
        inner().list(
            prefix, last,
            [&](const ObjectInfo& object) {
                last = object.name;
                return guard(object);
            },
            options);
    });
    guard.rethrow();
}

void RetryStore::list_versions(const std::string& prefix,
                               const std::function<bool(const ObjectVersion&)>& visit,
                               const CallOptions& options) {
    // A repeated listing begins anew; what was visited is passed over: all smaller names, and these of the
    // last one.
    std::string last;
    std::set<std::string> visited;
    VisitorGuard guard(visit);
    run(options, [&](unsigned) {
        inner().list_versions(
            prefix,
            [&](const ObjectVersion& version) {
                const std::string& name = version.object.name;
                if (name < last || (name == last && visited.contains(version.version))) return true;
                if (name != last) visited.clear();
                last = name;
                visited.insert(version.version);
                return guard(version);
            },
            options);
    });
    guard.rethrow();
}

} // namespace holdfast
