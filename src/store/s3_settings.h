// Where an S3 store is and who we are there: from its URL, the environment and the files of the AWS tools.
#pragma once

#include "store/s3_signature.h"
#include "store/store.h"

#include <functional>
#include <map>
#include <optional>

namespace holdfast {

enum class S3Addressing {
    automatic,    // virtual_host at AWS, path at any other endpoint
    path,         // https://endpoint/bucket/key
    virtual_host, // https://bucket.endpoint/key
};

struct S3Settings {
    std::string bucket{};
    std::string prefix{};   // without slashes at its ends; may be empty
    std::string endpoint{}; // "https://host" or "http://host:port"; empty: AWS's for the region
    std::string region{};   // empty: us-east-1
    std::string profile{};  // of the credentials file; empty: "default"
    std::string ca_file{};
    std::string min_tls{}; // "1.2" or "1.3": the least over https; empty: 1.3
    S3Addressing addressing = S3Addressing::automatic;
    S3Credentials credentials{};
    // Objects larger than this go up in parts of part_bytes (larger parts when there would be more than
    // 10,000).
    std::uint64_t multipart_above_bytes = 64 << 20;
    std::uint64_t part_bytes = 16 << 20;
    // The largest answer to a read that names no end.
    std::uint64_t largest_read_bytes = 1 << 30;
    // What the store is known to do. Nothing: all that the driver knows to ask for.
    std::optional<StoreCapabilities> capabilities{};

    // The endpoint with the default filled in, no slash at its end.
    std::string effective_endpoint() const;
    bool at_aws() const { return endpoint.empty(); }
    bool virtual_host() const;
};

// Reads s3://bucket/prefix?endpoint=…&region=…&style=path|virtual&ca_file=…&profile=…&min_tls=1.2|1.3. Throws
// Error(usage) on anything else, on names that no bucket can have, and on credentials in the URL, which it
// does not repeat.
S3Settings parse_s3_url(std::string_view url);

// A variable of the environment; nothing when it is not set.
using Environment = std::function<std::optional<std::string>(const std::string&)>;
Environment process_environment();

// Fills in what `settings` leave empty: from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN,
// AWS_REGION, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_CA_BUNDLE, AWS_PROFILE; then
// from the profile in AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials) and AWS_CONFIG_FILE (~/.aws/config). A
// profile that is named is preferred to keys in the environment. Throws Error(usage) when no credentials are
// found, or a file is malformed.
S3Settings complete_s3_settings(S3Settings settings, const Environment& environment);

using Profile = std::map<std::string, std::string>;
// The profiles in a credentials or configuration file, by name ("profile x" and "x" are the same). Throws
// Error(usage) with `name` and the line's number, never its text, which may be a secret.
std::map<std::string, Profile> parse_profiles(std::string_view text, std::string_view name);

} // namespace holdfast
