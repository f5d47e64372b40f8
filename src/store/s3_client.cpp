#include "store/s3_client.h"

#include "base/error.h"
#include "base/sha256.h"
#include "store/s3_error.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <openssl/evp.h>

namespace holdfast {

namespace {

constexpr const char* old_gateway_hint = "an old gateway may speak TLS 1.2 at most: where it cannot be "
                                         "renewed, allow that with min_tls=1.2 in the "
                                         "URL, or min_tls = \"1.2\" below [s3] in holdfast.toml";

struct FreeDigestContext {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

std::string md5_base64(std::span<const ByteView> parts) {
    const std::unique_ptr<EVP_MD_CTX, FreeDigestContext> context(EVP_MD_CTX_new());
    std::array<Byte, 16> digest{};
    bool good = context && EVP_DigestInit_ex(context.get(), EVP_md5(), nullptr) == 1;
    for (const ByteView part : parts)
        good = good && EVP_DigestUpdate(context.get(), part.data(), part.size()) == 1;
    good = good && EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1;
    if (!good) throw Error(ErrorCode::internal, "OpenSSL cannot compute an MD5, which S3 asks for");
    return to_base64(digest);
}

// What HTTP calls the Host: without the port that the scheme has anyway.
std::string host_of(const std::string& origin) {
    std::string host = origin.substr(origin.find("://") + 3);
    if (origin.starts_with("https://") && host.ends_with(":443")) host.resize(host.size() - 4);
    if (origin.starts_with("http://") && host.ends_with(":80")) host.resize(host.size() - 3);
    return host;
}

} // namespace

S3Client::S3Client(S3Settings settings, Clock& clock)
    : settings_(std::move(settings)),
      clock_(clock),
      http_({.ca_file = settings_.ca_file,
             .least_tls = settings_.min_tls == "1.2" ? TlsVersion::tls_1_2 : TlsVersion::tls_1_3,
             .old_tls_hint = settings_.min_tls == "1.2" ? "" : old_gateway_hint}) {
    origin_ = settings_.effective_endpoint();
    if (settings_.virtual_host()) {
        origin_.insert(origin_.find("://") + 3, settings_.bucket + ".");
    } else {
        base_path_ = "/" + settings_.bucket;
    }
    host_ = host_of(origin_);
}

std::string S3Client::place() const {
    std::string text = "s3://" + settings_.bucket;
    if (!settings_.prefix.empty()) text += "/" + settings_.prefix;
    return settings_.at_aws() ? text : fmt::format("{} at {}", text, settings_.endpoint);
}

S3Answer S3Client::call(const S3Request& request, const CallOptions& options) {
    const Timestamp now = clock_.now();
    SigningRequest signing{.method = request.method,
                           .path = base_path_ + "/" + uri_encode(request.key, true),
                           .query = request.query,
                           .headers = request.headers,
                           .payload_hash = request.payload_hash.empty() ? sha256_hex(request.body)
                                                                        : request.payload_hash};
    signing.headers.emplace_back("host", host_);
    signing.headers.emplace_back("x-amz-date", amz_date(now));
    signing.headers.emplace_back("x-amz-content-sha256", signing.payload_hash);
    if (!settings_.credentials.session_token.empty()) {
        signing.headers.emplace_back("x-amz-security-token", settings_.credentials.session_token);
    }
    if (request.with_md5) signing.headers.emplace_back("content-md5", md5_base64(request.body));
    const std::string query = canonical_query(signing.query);
    HttpRequest http{.method = request.method,
                     .url = origin_ + signing.path + (query.empty() ? "" : "?" + query),
                     .headers = signing.headers,
                     .body = request.body,
                     .largest_answer_bytes = request.largest_answer_bytes};
    const std::string region = settings_.region.empty() ? "us-east-1" : settings_.region;
    http.headers.emplace_back("authorization",
                              authorization_header(signing, settings_.credentials, region, "s3", now));
    S3Answer answer{.http = http_.perform(http, options)};
    const bool success = answer.http.status >= 200 && answer.http.status < 300;
    // Answers to copies and completed uploads begin before the work is done, so a 200 may hold an error.
    const bool late_error_possible = request.method != "GET" && request.method != "HEAD";
    if (!success || late_error_possible)
        answer.error = parse_s3_error(answer.http.body).value_or(S3ErrorBody());
    return answer;
}

S3Answer S3Client::expect(const S3Request& request, const CallOptions& options, std::string_view what) {
    S3Answer answer = call(request, options);
    if (!answer.succeeded()) throw error_of(answer, what);
    return answer;
}

Error S3Client::error_of(const S3Answer& answer, std::string_view what) const {
    return s3_error(answer, fmt::format("{} in {}", what, place()), settings_, clock_.now());
}

} // namespace holdfast
