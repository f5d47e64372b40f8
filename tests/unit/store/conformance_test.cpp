#include "store/fault_store.h"
#include "store/file_store.h"
#include "store/memory_store.h"
#include "store/metrics_store.h"
#include "store/retry_store.h"
#include "store/throttle_store.h"
#include "support/store_conformance.h"
#include "support/temporary_directory.h"

namespace holdfast::test {

namespace {

// A file store whose directory goes with it.
std::shared_ptr<Store> owned_file_store(bool durable) {
    struct Owned {
        TemporaryDirectory directory;
        FileStore store;
        explicit Owned(bool is_durable) : store(directory / "deep/root", {.durable = is_durable}) {}
    };
    const auto owned = std::make_shared<Owned>(durable);
    return {owned, &owned->store};
}

std::shared_ptr<Store> plain_memory_store() {
    MemoryStoreSettings settings;
    settings.capabilities = {.consistent = true, .tiers = {}, .largest_object_bytes = UINT64_MAX};
    return std::make_shared<MemoryStore>(settings);
}

MemoryStoreSettings unversioned_with_tiers() {
    MemoryStoreSettings settings;
    settings.capabilities.versions = false;
    settings.capabilities.tiers = {"WARM", "COLD"};
    return settings;
}

// All decorators as a program stacks them, over a store whose answers get lost and which often fails.
std::shared_ptr<Store> stacked_on_a_bad_store() {
    auto faults = std::make_shared<FaultStore>(std::make_shared<MemoryStore>(unversioned_with_tiers()));
    faults->set_chances({.fail_before = 100, .fail_after = 100}, 7);
    auto throttled =
        std::make_shared<ThrottleStore>(faults, ThrottleSettings{.upload_bytes_per_second = 1ULL << 40,
                                                                 .download_bytes_per_second = 1ULL << 40});
    const RetrySettings retry{.attempts = 50, .first_delay = std::chrono::microseconds(1)};
    return std::make_shared<RetryStore>(std::make_shared<MetricsStore>(throttled), retry);
}

const std::vector<StoreMaker>& makers() {
    static const std::vector<StoreMaker> all = {
        {.label = "memory",
         .make = [] { return std::make_shared<MemoryStore>(); },
         .expected = MemoryStoreSettings().capabilities},
        {.label = "memory_that_can_little", .make = plain_memory_store, .expected = {}},
        {.label = "memory_with_tiers",
         .make = [] { return std::make_shared<MemoryStore>(unversioned_with_tiers()); },
         .expected = unversioned_with_tiers().capabilities},
        {.label = "file",
         .make = [] { return owned_file_store(false); },
         .expected = {.put_if_absent = true, .consistent = true}},
        {.label = "durable_file",
         .make = [] { return owned_file_store(true); },
         .expected = {.put_if_absent = true, .consistent = true},
         .many_objects = 40},
        {.label = "faultless_fault_store",
         .make = [] { return std::make_shared<FaultStore>(std::make_shared<MemoryStore>()); },
         .expected = MemoryStoreSettings().capabilities},
        {.label = "all_decorators_on_a_bad_store",
         .make = stacked_on_a_bad_store,
         .expected = unversioned_with_tiers().capabilities},
    };
    return all;
}

} // namespace

INSTANTIATE_TEST_SUITE_P(Stores, StoreConformance, testing::ValuesIn(makers()), store_label);

} // namespace holdfast::test
