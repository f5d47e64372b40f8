// HTTP requests over libcurl, with connections kept alive.
#pragma once

#include "store/store.h"

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace holdfast {

enum class TlsVersion { tls_1_2, tls_1_3 };

struct HttpClientSettings {
    // A file of certificates (PEM) to trust instead of the system's; empty: the system's.
    std::string ca_file{};
    // The least that a server must speak over https.
    TlsVersion least_tls = TlsVersion::tls_1_2;
    // What may help when it speaks only older versions; empty: nothing that can be set.
    std::string old_tls_hint{};
    Duration connect_timeout = std::chrono::seconds(20);
    // A transfer that moves less than a byte a second for this long has failed.
    Duration stall_timeout = std::chrono::seconds(60);
    // For requests that bring no timeout of their own.
    Duration default_timeout = std::chrono::minutes(15);
    // Idle connections kept.
    std::size_t kept_connections = 32;
};

struct HttpRequest {
    std::string method = "GET";
    std::string url{};
    std::vector<std::pair<std::string, std::string>> headers{};
    // The body, one part behind the other; must live until perform() returns. Sent with Content-Length, also
    // when empty, for PUT, POST and PATCH.
    std::span<const ByteView> body{};
    // A longer answer is an Error(corrupt).
    std::uint64_t largest_answer_bytes = 1 << 20;
};

struct HttpResponse {
    int status = 0;
    std::map<std::string, std::string> headers{}; // names in lower case, values trimmed
    Bytes body{};

    // Empty when there is no such header.
    std::string header(const std::string& lower_case_name) const;
    // Seconds from now that Retry-After asks for, as a number or as a date seen from `now`; 0 when it asks
    // for none.
    double retry_after_seconds(Timestamp now) const;
};

// Thread-safe; each request uses one connection. Any status is an answer; redirects are answers too and are
// never followed. Speaks http and https only.
class HttpClient {
  public:
    explicit HttpClient(HttpClientSettings settings = {});
    ~HttpClient();

    // Throws Error(timed_out, unavailable, cancelled, corrupt, usage); those that may pass are retryable. The
    // URL is not in the message, since a query may hold what is nobody's business; the host is.
    HttpResponse perform(const HttpRequest& request, const CallOptions& options);

  private:
    class Transfer;
    struct FreeHandle {
        void operator()(void* handle) const;
    };
    using Handle = std::unique_ptr<void, FreeHandle>;

    Handle take_handle();
    void give_back(Handle handle);

    const HttpClientSettings settings_;
    std::mutex mutex_;
    std::vector<Handle> idle_;
};

// An HTTP date such as "Sun, 06 Nov 1994 08:49:37 GMT"; nothing when it is none, or not of the years 1970 to
// 2261.
std::optional<Timestamp> parse_http_date(const std::string& text);

} // namespace holdfast
