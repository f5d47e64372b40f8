#include "store/s3_error.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace holdfast {

namespace {

struct Meaning {
    ErrorCode code;
    bool retryable;
    std::string_view hint;
};

struct KnownCode {
    std::string_view s3_code;
    Meaning meaning;
};

constexpr std::string_view check_key = "check the access key, the secret key and the endpoint";

constexpr std::array known_codes = {
    KnownCode{"NoSuchBucket", {ErrorCode::not_found, false, "create the bucket first, or correct its name"}},
    KnownCode{"NoSuchKey", {ErrorCode::not_found, false, ""}},
    KnownCode{"NoSuchVersion", {ErrorCode::not_found, false, ""}},
    // An upload that somebody else has aborted, or a lifecycle rule: a new one may succeed.
    KnownCode{"NoSuchUpload", {ErrorCode::unavailable, true, ""}},
    KnownCode{"SignatureDoesNotMatch",
              {ErrorCode::access_denied, false, "check the secret key and the region"}},
    KnownCode{"InvalidAccessKeyId", {ErrorCode::access_denied, false, check_key}},
    KnownCode{"AuthorizationHeaderMalformed", {ErrorCode::access_denied, false, "check the region"}},
    KnownCode{"ExpiredToken", {ErrorCode::access_denied, false, "get new temporary credentials"}},
    KnownCode{"InvalidToken", {ErrorCode::access_denied, false, "get new temporary credentials"}},
    KnownCode{"AccountProblem", {ErrorCode::access_denied, false, "ask the provider of the store"}},
    KnownCode{"AllAccessDisabled", {ErrorCode::access_denied, false, "ask the provider of the store"}},
    KnownCode{"InvalidObjectState",
              {ErrorCode::unavailable, false,
               "the object is in a cold tier: ask for it back (thaw), and try again when it is ready"}},
    KnownCode{"ObjectLocked", {ErrorCode::access_denied, false, "it is locked until its retention ends"}},
    KnownCode{"NotImplemented", {ErrorCode::unsupported, false, ""}},
    KnownCode{"MethodNotAllowed", {ErrorCode::unsupported, false, ""}},
    KnownCode{"InvalidStorageClass",
              {ErrorCode::unsupported, false, "choose a storage class that the store has"}},
    KnownCode{"QuotaExceeded", {ErrorCode::no_space, false, "raise the quota, or remove something"}},
    KnownCode{"InsufficientCapacity", {ErrorCode::no_space, false, "the store is full"}},
    KnownCode{"EntityTooLarge", {ErrorCode::no_space, false, "the store takes no object this large"}},
    KnownCode{"SlowDown", {ErrorCode::unavailable, true, ""}},
    KnownCode{"ServiceUnavailable", {ErrorCode::unavailable, true, ""}},
    KnownCode{"InternalError", {ErrorCode::unavailable, true, ""}},
    KnownCode{"OperationAborted", {ErrorCode::unavailable, true, ""}},
    KnownCode{"ConditionalRequestConflict", {ErrorCode::unavailable, true, ""}},
    KnownCode{"RequestTimeout", {ErrorCode::timed_out, true, ""}},
    // The bytes changed on their way: sending them again is right.
    KnownCode{"BadDigest", {ErrorCode::unavailable, true, ""}},
    KnownCode{"XAmzContentSHA256Mismatch", {ErrorCode::unavailable, true, ""}},
    KnownCode{"IncompleteBody", {ErrorCode::unavailable, true, ""}},
};

Meaning meaning_of_status(int status) {
    if (status == 401 || status == 403) {
        return {ErrorCode::access_denied, false,
                "check the credentials, and what the policy of the bucket allows"};
    }
    if (status == 404) return {ErrorCode::not_found, false, ""};
    if (status == 405 || status == 501) return {ErrorCode::unsupported, false, ""};
    if (status == 408) return {ErrorCode::timed_out, true, ""};
    if (status == 507) return {ErrorCode::no_space, false, "raise the quota, or remove something"};
    if (status == 429 || status >= 500) return {ErrorCode::unavailable, true, ""};
    if (status < 200) return {ErrorCode::unavailable, true, ""};
    return {ErrorCode::io, false, ""};
}

std::string printable(std::string_view text) {
    constexpr std::size_t longest = 300;
    std::string clean;
    for (const char c : text.substr(0, longest))
        clean += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
    return clean;
}

// How far this clock is from the server's, for the hint.
std::string clock_hint(const S3Answer& answer, Timestamp now) {
    const std::optional<Timestamp> theirs = parse_http_date(answer.http.header("date"));
    if (!theirs) return "set the clock of this machine";
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - *theirs).count();
    return fmt::format("set the clock of this machine: it is {} s {} that of the store", std::abs(seconds),
                       seconds < 0 ? "behind" : "ahead of");
}

std::string redirect_hint(const S3Answer& answer, const S3Settings& settings) {
    const std::string region = answer.http.header("x-amz-bucket-region");
    if (!region.empty() && region != settings.region)
        return fmt::format("set the region to {}", printable(region));
    return "check the endpoint and the region: redirects are not followed";
}

} // namespace

Error s3_error(const S3Answer& answer, const std::string& what, const S3Settings& settings, Timestamp now) {
    const int status = answer.http.status;
    const std::string& code = answer.error.code;
    Meaning meaning = meaning_of_status(status);
    if (const auto* known = std::ranges::find(known_codes, code, &KnownCode::s3_code);
        known != known_codes.end()) {
        meaning = known->meaning;
    }
    std::string hint(meaning.hint);
    if (code == "RequestTimeTooSkewed") hint = clock_hint(answer, now);
    if (status >= 300 && status < 400) {
        meaning = {ErrorCode::unavailable, false, ""};
        hint = redirect_hint(answer, settings);
    }
    std::string message = fmt::format("{}: HTTP {}", what, status);
    if (!code.empty()) message += " " + printable(code);
    if (!answer.error.message.empty()) message += ": " + printable(answer.error.message);
    return Error(meaning.code, message, hint, meaning.retryable)
        .with_retry_after(answer.http.retry_after_seconds(now));
}

} // namespace holdfast
