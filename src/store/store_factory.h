// From a URL to a store with all its decorators, and finding out what it can do.
#pragma once

#include "base/log.h"
#include "store/metrics_store.h"
#include "store/retry_store.h"
#include "store/s3_settings.h"
#include "store/throttle_store.h"

namespace holdfast {

struct StoreSettings {
    RetrySettings retry{};
    ThrottleSettings throttle{};
    // False leaves out fsync in a local directory: for tests and benchmarks.
    bool durable = true;
    // The object that tells a store in a local directory from the place where its disk is not mounted
    // (FileStoreSettings); empty: any directory becomes a store.
    std::string landmark{};
    // What the store is known to do, from an earlier probe. Nothing: what its driver knows to ask for.
    std::optional<StoreCapabilities> capabilities{};
    // For S3: what is set here is preferred to the environment, and what the URL says to both; a URL that
    // names a profile takes its credentials from there.
    S3Credentials s3_credentials{};
    std::string s3_endpoint{};
    std::string s3_region{};
    std::string s3_profile{};
    std::string s3_ca_file{};
    std::string s3_min_tls{}; // as in S3Settings
    Environment environment = process_environment();
    // Must outlive the store.
    Clock* clock = &system_clock();
    Random* random = &system_random();
    // Told when the store keeps somebody waiting. Must outlive the store.
    Logger* logger = &silent_logger();
};

// A store and the decorators that can be asked how it goes. Outside in: retry, metrics, throttle, driver; so
// each attempt is counted, and waiting for bandwidth is part of its time.
struct OpenStore {
    std::shared_ptr<Store> store;
    std::shared_ptr<MetricsStore> metrics;
    std::shared_ptr<RetryStore> retry;
};

// Opens file:///path, /path, or s3://bucket/prefix?…. Touches nothing that is stored. Throws Error(usage) on
// any other URL, and on missing credentials.
OpenStore open_store(const std::string& url, const StoreSettings& settings = {});

// Finds what the store really does, by objects under "probe/" that it removes again. `store` must not be told
// capabilities by an earlier probe. tiers and largest_object_bytes are as the driver says. Throws when the
// store cannot be written to at all; whatever else fails is a capability that is missing.
StoreCapabilities probe_capabilities(Store& store, Random& random = system_random());

} // namespace holdfast
