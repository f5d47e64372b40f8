#include "store/s3_signature.h"

#include "base/error.h"
#include "base/sha256.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

namespace holdfast {

namespace {

// Header values are compared with outer spaces removed and inner runs of spaces made one.
std::string trimmed(std::string_view value) {
    std::string text;
    for (const char c : value) {
        if (c != ' ' || (!text.empty() && text.back() != ' ')) text += c;
    }
    if (!text.empty() && text.back() == ' ') text.pop_back();
    return text;
}

struct CanonicalHeaders {
    std::string lines;
    std::string names; // joined with ';'
};

CanonicalHeaders canonical_headers(const NameValues& headers) {
    std::map<std::string, std::string> sorted;
    for (const auto& [name, value] : headers) {
        std::string lower = name;
        std::ranges::transform(lower, lower.begin(),
                               [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
        const auto [at, inserted] = sorted.emplace(lower, trimmed(value));
        if (!inserted) at->second += "," + trimmed(value);
    }
    CanonicalHeaders canonical;
    for (const auto& [name, value] : sorted) {
        canonical.lines += fmt::format("{}:{}\n", name, value);
        canonical.names += (canonical.names.empty() ? "" : ";") + name;
    }
    return canonical;
}

} // namespace

std::string amz_date(Timestamp time) {
    std::string text = to_rfc3339(std::chrono::floor<std::chrono::seconds>(time));
    std::erase_if(text, [](char c) { return c == '-' || c == ':'; });
    return text;
}

std::string uri_encode(std::string_view text, bool keep_slashes) {
    std::string encoded;
    for (const char c : text) {
        const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                           c == '-' || c == '.' || c == '_' || c == '~' || (c == '/' && keep_slashes);
        if (plain) {
            encoded += c;
        } else {
            encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return encoded;
}

std::string canonical_query(const NameValues& query) {
    NameValues encoded;
    for (const auto& [name, value] : query) encoded.emplace_back(uri_encode(name), uri_encode(value));
    std::ranges::sort(encoded);
    std::string text;
    for (const auto& [name, value] : encoded)
        text += fmt::format("{}{}={}", text.empty() ? "" : "&", name, value);
    return text;
}

std::string canonical_request(const SigningRequest& request) {
    const CanonicalHeaders headers = canonical_headers(request.headers);
    return fmt::format("{}\n{}\n{}\n{}\n{}\n{}", request.method, request.path, canonical_query(request.query),
                       headers.lines, headers.names, request.payload_hash);
}

std::string authorization_header(const SigningRequest& request, const S3Credentials& credentials,
                                 std::string_view region, std::string_view service, Timestamp time) {
    constexpr std::string_view algorithm = "AWS4-HMAC-SHA256";
    const std::string date_time = amz_date(time);
    const std::string date = date_time.substr(0, 8);
    const std::string scope = fmt::format("{}/{}/{}/aws4_request", date, region, service);
    const std::string to_sign = fmt::format("{}\n{}\n{}\n{}", algorithm, date_time, scope,
                                            sha256_hex(as_bytes(canonical_request(request))));
    FixedBytes<32> key = hmac_sha256(as_bytes("AWS4" + credentials.secret_key), date);
    for (const std::string_view step : {region, service, std::string_view("aws4_request")}) {
        key = hmac_sha256(key.view(), step);
    }
    return fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature={}", algorithm,
                       credentials.access_key, scope, canonical_headers(request.headers).names,
                       hmac_sha256(key.view(), to_sign).hex());
}

} // namespace holdfast
