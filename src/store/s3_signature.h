// AWS Signature Version 4, in request headers.
//
// Written after "Create a signed AWS API request" (AWS Identity and Access Management User Guide) and
// "Authenticating requests: using the Authorization header" (Amazon S3 API Reference), whose examples are our
// tests.
#pragma once

#include "base/bytes.h"
#include "base/clock.h"

#include <string>
#include <utility>
#include <vector>

namespace holdfast {

struct S3Credentials {
    std::string access_key{};
    std::string secret_key{};
    std::string session_token{}; // empty unless the credentials are temporary
};

using NameValues = std::vector<std::pair<std::string, std::string>>;

struct SigningRequest {
    std::string method;
    std::string path;         // as on the wire: encoded once, beginning with '/'
    NameValues query{};       // names and values before encoding, in any order
    NameValues headers{};     // all that are to be signed, "host" and "x-amz-date" among them
    std::string payload_hash; // lower-case hexadecimal SHA-256, or unsigned_payload
};

inline constexpr std::string_view unsigned_payload = "UNSIGNED-PAYLOAD";

// "20130524T000000Z", the value of x-amz-date.
std::string amz_date(Timestamp time);
// Percent-encodes all but A-Z a-z 0-9 - . _ ~ , and '/' when `keep_slashes`.
std::string uri_encode(std::string_view text, bool keep_slashes = false);
// The query as SigV4 wants it and as it goes on the wire: encoded, sorted, joined with '&'.
std::string canonical_query(const NameValues& query);
// The canonical request: what is hashed into the string to sign. For tests and for messages; holds no secret.
std::string canonical_request(const SigningRequest& request);
// The value of the Authorization header. `time` must be that of the x-amz-date header. Pure.
std::string authorization_header(const SigningRequest& request, const S3Credentials& credentials,
                                 std::string_view region, std::string_view service, Timestamp time);

} // namespace holdfast
