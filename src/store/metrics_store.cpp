#include "store/metrics_store.h"

namespace holdfast {

VerbMetrics StoreMetrics::total() const {
    VerbMetrics sum;
    for (const VerbMetrics& verb : verbs) {
        sum.calls += verb.calls;
        sum.errors += verb.errors;
        sum.sent_bytes += verb.sent_bytes;
        sum.received_bytes += verb.received_bytes;
        sum.time += verb.time;
    }
    return sum;
}

MetricsStore::MetricsStore(std::shared_ptr<Store> inner, Clock& clock)
    : StoreDecorator(std::move(inner)), clock_(clock) {}

StoreMetrics MetricsStore::metrics() const {
    StoreMetrics metrics;
    for (std::size_t i = 0; i < counters_.size(); ++i) {
        const Counters& from = counters_[i];
        metrics.verbs[i] = {.calls = from.calls,
                            .errors = from.errors,
                            .sent_bytes = from.sent_bytes,
                            .received_bytes = from.received_bytes,
                            .time = Duration(from.nanoseconds)};
    }
    return metrics;
}

void MetricsStore::around(StoreCall& call, const std::function<void()>& body) {
    Counters& counters = counters_[static_cast<std::size_t>(call.verb)];
    const Duration start = clock_.steady();
    ++counters.calls;
    try {
        body();
    } catch (...) {
        ++counters.errors;
        counters.nanoseconds += (clock_.steady() - start).count();
        throw;
    }
    counters.sent_bytes += call.sent_bytes;
    counters.received_bytes += call.received_bytes;
    counters.nanoseconds += (clock_.steady() - start).count();
}

} // namespace holdfast
