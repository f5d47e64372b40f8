#include "store/s3_store.h"
#include "store/store_factory.h"
#include "support/s3_server.h"
#include "support/store_conformance.h"

#include <atomic>
#include <mutex>
#include <set>

namespace holdfast::test {

namespace {

// Every test has a prefix of its own in one bucket.
std::string next_prefix() {
    static std::atomic<int> next = 0;
    return "test/" + std::to_string(next++);
}

enum class Bucket { plain, versions, locks };

std::string bucket_on(S3ServerKind kind, Bucket bucket) {
    static std::mutex mutex;
    static std::set<std::pair<S3ServerKind, Bucket>> made;
    const std::scoped_lock lock(mutex);
    const std::string name = bucket == Bucket::plain      ? "plain"
                             : bucket == Bucket::versions ? "versions"
                                                          : "locks";
    if (!made.contains({kind, bucket})) {
        S3Server::shared(kind).make_bucket(name, bucket == Bucket::versions, bucket == Bucket::locks);
        made.insert({kind, bucket});
    }
    return name;
}

S3Settings settings_on(S3ServerKind kind, Bucket bucket, const StoreCapabilities& capabilities) {
    const std::string name = bucket_on(kind, bucket);
    S3Settings settings = S3Server::shared(kind).settings(name);
    settings.prefix = next_prefix();
    settings.capabilities = capabilities;
    // So that the large object goes up in parts, the smallest that S3 allows.
    settings.multipart_above_bytes = 8 << 20;
    settings.part_bytes = 5 << 20;
    return settings;
}

// In a bucket with versions this radosgw passes over If-None-Match, as the probe finds out.
StoreCapabilities radosgw_capabilities(Bucket bucket) {
    return {.put_if_absent = bucket == Bucket::plain,
            .consistent = true,
            .object_lock = bucket == Bucket::locks,
            .versions = bucket != Bucket::plain,
            .server_copy = true,
            .tiers = {"STANDARD", "COLD"},
            .largest_object_bytes = 5ULL << 40};
}

StoreMaker radosgw_maker(std::string label, Bucket bucket) {
    return {.label = std::move(label),
            .make =
                [bucket] {
                    return std::make_shared<S3Store>(
                        settings_on(S3ServerKind::radosgw, bucket, radosgw_capabilities(bucket)));
                },
            .expected = radosgw_capabilities(bucket),
            .many_objects = bucket == Bucket::plain ? 2300U : 100U};
}

// As a program opens it: from a URL, with all decorators, over TLS with a CA of one's own.
std::shared_ptr<Store> opened_over_tls() {
    const S3Server& server = S3Server::shared(S3ServerKind::radosgw);
    StoreSettings settings;
    settings.throttle = {.upload_bytes_per_second = 1ULL << 40, .download_bytes_per_second = 1ULL << 40};
    settings.capabilities = radosgw_capabilities(Bucket::plain);
    settings.s3_credentials = server.credentials();
    const std::string bucket = bucket_on(S3ServerKind::radosgw, Bucket::plain);
    return open_store("s3://" + bucket + "/" + next_prefix() + "?endpoint=" + server.value("tls_endpoint") +
                          "&region=" + server.value("region") + "&ca_file=" + server.ca_file(),
                      settings)
        .store;
}

INSTANTIATE_TEST_SUITE_P(Radosgw, StoreConformance,
                         testing::Values(radosgw_maker("plain", Bucket::plain),
                                         radosgw_maker("versions", Bucket::versions),
                                         radosgw_maker("locks", Bucket::locks),
                                         StoreMaker{.label = "opened_over_tls",
                                                    .make = opened_over_tls,
                                                    .expected = radosgw_capabilities(Bucket::plain),
                                                    .many_objects = 100}),
                         store_label);

// What the probe finds there.
StoreCapabilities swift_capabilities() {
    return {.consistent = true, .server_copy = true, .largest_object_bytes = 5ULL << 40};
}

INSTANTIATE_TEST_SUITE_P(Swift, StoreConformance,
                         testing::Values(StoreMaker{.label = "plain",
                                                    .make =
                                                        [] {
                                                            return std::make_shared<S3Store>(settings_on(
                                                                S3ServerKind::swift, Bucket::plain,
                                                                swift_capabilities()));
                                                        },
                                                    .expected = swift_capabilities(),
                                                    .many_objects = 1200}),
                         store_label);

} // namespace

} // namespace holdfast::test
