#include "store/store_factory.h"

#include "base/error.h"
#include "store/file_store.h"
#include "store/s3_store.h"

#include <fmt/format.h>

namespace holdfast {

namespace {

void fill(std::string& field, const std::string& value) {
    if (field.empty()) field = value;
}

std::shared_ptr<Store> open_s3(const std::string& url, const StoreSettings& settings) {
    S3Settings s3 = parse_s3_url(url);
    fill(s3.endpoint, settings.s3_endpoint);
    fill(s3.region, settings.s3_region);
    // Two stores may have credentials of their own each.
    if (s3.profile.empty()) s3.credentials = settings.s3_credentials;
    fill(s3.profile, settings.s3_profile);
    fill(s3.ca_file, settings.s3_ca_file);
    fill(s3.min_tls, settings.s3_min_tls);
    s3.capabilities = settings.capabilities;
    return std::make_shared<S3Store>(complete_s3_settings(std::move(s3), settings.environment),
                                     *settings.clock);
}

std::shared_ptr<Store> open_driver(const std::string& url, const StoreSettings& settings) {
    if (url.starts_with("s3://")) return open_s3(url, settings);
    const FileStoreSettings file{.durable = settings.durable, .landmark = settings.landmark};
    if (url.starts_with("file:")) return std::make_shared<FileStore>(path_of_file_url(url), file);
    if (url.starts_with("/")) return std::make_shared<FileStore>(url, file);
    // What follows the scheme may be a secret that was pasted to the wrong place.
    const std::size_t colon = url.find("://");
    throw Error(ErrorCode::usage,
                colon == std::string::npos
                    ? std::string("the URL of a store has no scheme")
                    : fmt::format("there is no kind of store called '{}'", url.substr(0, colon)),
                "write file:///path or s3://bucket/prefix");
}

} // namespace

OpenStore open_store(const std::string& url, const StoreSettings& settings) {
    std::shared_ptr<Store> store = open_driver(url, settings);
    if (settings.throttle.upload_bytes_per_second != 0 || settings.throttle.download_bytes_per_second != 0) {
        store = std::make_shared<ThrottleStore>(std::move(store), settings.throttle, *settings.clock);
    }
    OpenStore open;
    open.metrics = std::make_shared<MetricsStore>(std::move(store), *settings.clock);
    open.retry = std::make_shared<RetryStore>(open.metrics, settings.retry, *settings.clock, *settings.random,
                                              *settings.logger);
    open.store = open.retry;
    return open;
}

} // namespace holdfast
