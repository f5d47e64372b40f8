// Signed requests to one bucket, and what its answers mean. The verbs of a store are built on it.
#pragma once

#include "base/error.h"
#include "store/http_client.h"
#include "store/s3_settings.h"
#include "store/s3_xml.h"

namespace holdfast {

struct S3Request {
    std::string method = "GET";
    std::string key{}; // whole, with the prefix; empty for the bucket itself
    NameValues query{};
    NameValues headers{};
    std::span<const ByteView> body{};
    // The SHA-256 of the body when it is known; otherwise it is computed. Servers check what they received
    // against it.
    std::string payload_hash{};
    std::uint64_t largest_answer_bytes = 4 << 20;
    // Adds Content-MD5, which some requests must have.
    bool with_md5 = false;
};

struct S3Answer {
    HttpResponse http;
    // What the body of an answer that is no success says; the code is empty when it says nothing.
    S3ErrorBody error{};

    bool succeeded() const { return http.status >= 200 && http.status < 300 && error.code.empty(); }
    bool is(int status, std::string_view code) const { return http.status == status && error.code == code; }
};

// Thread-safe.
class S3Client {
  public:
    // Settings must be complete. `clock` must outlive the client.
    S3Client(S3Settings settings, Clock& clock);

    // The answer, whatever it is; throws only when there was none.
    S3Answer call(const S3Request& request, const CallOptions& options);
    // As call(), but throws error_of() for anything but a success. `what` is for the message: "storing
    // packs/1".
    S3Answer expect(const S3Request& request, const CallOptions& options, std::string_view what);
    // What an answer that is no success means: code, message with the server's own words, hint, whether to
    // try again.
    Error error_of(const S3Answer& answer, std::string_view what) const;
    // "s3://bucket/prefix at https://endpoint"; no secret.
    std::string place() const;
    const S3Settings& settings() const { return settings_; }

  private:
    const S3Settings settings_;
    Clock& clock_;
    HttpClient http_;
    std::string origin_;    // scheme and host of every request
    std::string host_;      // the Host header
    std::string base_path_; // "" or "/bucket"
};

} // namespace holdfast
