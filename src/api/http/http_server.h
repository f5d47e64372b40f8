// An HTTP/1.1 server over TLS 1.3 that clients cannot hold up: everything they may send, keep open or make
// wait has a bound.
#pragma once

#include "api/http/connection.h"
#include "api/http/tls_identity.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace holdfast::api {

struct HttpServerSettings {
    // "127.0.0.1:7420", "[::]:7420", "localhost:7420"; port 0: one that is free.
    std::string listen = "127.0.0.1:7420";
    ConnectionLimits limits{};
    // When there are as many, the one whose client has been waited for the longest is closed for a new one.
    std::size_t most_connections = 512;
    unsigned io_threads = 2;
    unsigned handler_threads = 8;
    std::size_t most_waiting_requests = 256; // more are answered with 503
    // Requests whose answers may take long have threads of their own, so that those that do not never wait
    // for them. Called for each request, on a thread that moves bytes; empty: none does.
    std::function<bool(const Request&)> takes_long{};
    // Those whose answers wait for nothing are answered by that thread itself: also while all others hang.
    std::function<bool(const Request&)> waits_for_nothing{};
    unsigned slow_threads = 4;
    std::size_t most_waiting_slow_requests = 128;
};

struct HttpServerCounts {
    std::int64_t connections = 0, streams = 0; // now
    std::int64_t requests = 0;                 // so far
    std::int64_t refused = 0;                  // so far: malformed, or too much
};

// Begins to accept when it is made. All methods may be called by any thread.
class HttpServer {
  public:
    using Answer = std::function<Response(const Request&)>;
    // Makes an answer of a status and why: for what never became a request, and for what cannot be taken on.
    using Refuse = std::function<Response(int status, const std::string& reason)>;

    // `answer` is called by several threads at once. Clock and logger outlive the server. Throws Error(usage)
    // on an address that is none, Error(unavailable) when it cannot be listened on.
    HttpServer(HttpServerSettings settings, const TlsIdentity& identity, Answer answer, Refuse refuse,
               Clock& clock, Logger& logger);
    // As stop() without grace.
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    std::uint16_t port() const;
    // New connections are shown this from now on; those that exist go on. Throws as the constructor does.
    void use(const TlsIdentity& identity);
    // Accepts no more, lets what is being answered go out within `grace`, then closes everything. Streams end
    // at once. Returns when all threads have ended; a handler that runs is waited for.
    void stop(Duration grace);
    HttpServerCounts counts() const;

  private:
    class Inside;
    std::unique_ptr<Inside> inside_;
};

} // namespace holdfast::api
