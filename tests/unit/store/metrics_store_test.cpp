#include "store/fault_store.h"
#include "store/memory_store.h"
#include "store/metrics_store.h"
#include "support/store_conformance.h"

namespace holdfast::test {

namespace {

TEST(MetricsStore, CountsCallsBytesErrorsAndTime) {
    FakeClock clock(from_rfc3339("2026-01-01T00:00:00Z"));
    const auto faults = std::make_shared<FaultStore>(std::make_shared<MemoryStore>(), clock);
    MetricsStore store(faults, clock);
    faults->plan({.kind = FaultKind::delay, .verb = StoreVerb::get, .delay = std::chrono::seconds(3)});
    faults->plan({.kind = FaultKind::fail_before, .verb = StoreVerb::put, .skip = 1});
    store.put("a", Bytes(100));
    EXPECT_THROW(store.put("b", Bytes(50)), Error);
    store.get("a", {.offset = 40}, {});
    store.get("absent", {}, {});
    store.list_all("");
    const StoreMetrics metrics = store.metrics();
    EXPECT_EQ(metrics[StoreVerb::put].calls, 2U);
    EXPECT_EQ(metrics[StoreVerb::put].errors, 1U);
    EXPECT_EQ(metrics[StoreVerb::put].sent_bytes, 100U);
    EXPECT_EQ(metrics[StoreVerb::get].calls, 2U);
    EXPECT_EQ(metrics[StoreVerb::get].received_bytes, 60U);
    EXPECT_EQ(metrics[StoreVerb::get].time, std::chrono::seconds(3));
    EXPECT_EQ(metrics[StoreVerb::list].calls, 1U);
    EXPECT_EQ(metrics[StoreVerb::remove].calls, 0U);
    EXPECT_EQ(metrics.total().calls, 5U);
    EXPECT_EQ(metrics.total().errors, 1U);
    EXPECT_EQ(to_string(StoreVerb::list_versions), "list_versions");
}

} // namespace

} // namespace holdfast::test
