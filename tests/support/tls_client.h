// A client that sends whatever bytes it is told to, over TLS or not.
#pragma once

#include "base/file_descriptor.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;

namespace holdfast::test {

// A connected socket that says nothing by itself. Throws std::runtime_error.
FileDescriptor connect_to(std::uint16_t port);

struct TlsAnswer {
    int status = 0;
    std::string head, body;
};

// Blocking, with a deadline of a minute for everything: a server that hangs fails the test. Throws
// std::runtime_error.
class TlsClient {
  public:
    explicit TlsClient(std::uint16_t port, bool tls_1_2 = false);
    ~TlsClient();
    TlsClient(const TlsClient&) = delete;
    TlsClient& operator=(const TlsClient&) = delete;

    // False when the server has closed.
    bool send(std::string_view bytes);
    // One answer by its Content-Length; nothing when the server closed before it was whole.
    std::optional<TlsAnswer> receive(bool without_body = false);
    // Bytes until `text` has come, or the server closed: then without it.
    std::string receive_until(std::string_view text);
    // Whether the server closes now, without another byte.
    bool is_closed();
    TlsAnswer get(const std::string& target, const std::string& token = {});
    // SHA-256 of the server's certificate.
    std::string fingerprint() const;

  private:
    bool read_more();

    FileDescriptor socket_;
    SSL_CTX* context_ = nullptr;
    SSL* ssl_ = nullptr;
    std::string read_;
};

} // namespace holdfast::test
