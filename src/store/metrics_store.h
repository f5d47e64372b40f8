// Counts what goes through a store.
#pragma once

#include "store/store_decorator.h"

#include <atomic>

namespace holdfast {

struct VerbMetrics {
    std::uint64_t calls = 0;
    std::uint64_t errors = 0; // calls that threw, lost answers included
    std::uint64_t sent_bytes = 0;
    std::uint64_t received_bytes = 0;
    Duration time{}; // summed over calls; calls of several threads overlap
};

struct StoreMetrics {
    std::array<VerbMetrics, store_verb_count> verbs;

    const VerbMetrics& operator[](StoreVerb verb) const { return verbs[static_cast<std::size_t>(verb)]; }
    VerbMetrics total() const;
};

// Thread-safe. A put counts its bytes as sent when it succeeded.
class MetricsStore final : public StoreDecorator {
  public:
    explicit MetricsStore(std::shared_ptr<Store> inner, Clock& clock = system_clock());
    // Each number is exact; numbers of calls that run meanwhile may not belong together.
    StoreMetrics metrics() const;

  protected:
    void around(StoreCall& call, const std::function<void()>& body) override;

  private:
    struct Counters {
        std::atomic<std::uint64_t> calls{0}, errors{0}, sent_bytes{0}, received_bytes{0};
        std::atomic<Duration::rep> nanoseconds{0};
    };
    Clock& clock_;
    std::array<Counters, store_verb_count> counters_;
};

} // namespace holdfast
