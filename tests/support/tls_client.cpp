#include "support/tls_client.h"

#include "base/sha256.h"

#include <array>
#include <csignal>
#include <cstring>
#include <stdexcept>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <sys/time.h>

namespace holdfast::test {

FileDescriptor connect_to(std::uint16_t port) {
    FileDescriptor descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval minute{.tv_sec = 60, .tv_usec = 0};
    ::setsockopt(descriptor.get(), SOL_SOCKET, SO_RCVTIMEO, &minute, sizeof minute);
    ::setsockopt(descriptor.get(), SOL_SOCKET, SO_SNDTIMEO, &minute, sizeof minute);
    const int on = 1;
    ::setsockopt(descriptor.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(descriptor.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        throw std::runtime_error(std::string("cannot connect: ") + std::strerror(errno));
    return descriptor;
}

TlsClient::TlsClient(std::uint16_t port, bool tls_1_2) : socket_(connect_to(port)) {
    // A server that has closed is an outcome, not the end of the test.
    std::signal(SIGPIPE, SIG_IGN);
    context_ = SSL_CTX_new(TLS_client_method());
    if (tls_1_2) SSL_CTX_set_max_proto_version(context_, TLS1_2_VERSION);
    ssl_ = SSL_new(context_);
    SSL_set_fd(ssl_, socket_.get());
    if (SSL_connect(ssl_) != 1) {
        SSL_free(ssl_);
        SSL_CTX_free(context_);
        throw std::runtime_error("no TLS handshake");
    }
}

TlsClient::~TlsClient() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
}

bool TlsClient::send(std::string_view bytes) {
    return bytes.empty() || SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) > 0;
}

bool TlsClient::read_more() {
    std::array<char, 16384> piece;
    errno = 0;
    const int size = SSL_read(ssl_, piece.data(), piece.size());
    if (size <= 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK) throw std::runtime_error("the server hangs");
        return false;
    }
    read_.append(piece.data(), static_cast<std::size_t>(size));
    return true;
}

std::optional<TlsAnswer> TlsClient::receive(bool without_body) {
    std::size_t end = 0;
    while ((end = read_.find("\r\n\r\n")) == std::string::npos)
        if (!read_more()) return std::nullopt;
    TlsAnswer answer{.status = std::stoi(read_.substr(9, 3)), .head = read_.substr(0, end + 4), .body = {}};
    read_.erase(0, end + 4);
    const std::size_t length = answer.head.find("Content-Length: ");
    const std::size_t size =
        length == std::string::npos || without_body ? 0 : std::stoul(answer.head.substr(length + 16));
    while (read_.size() < size)
        if (!read_more()) return std::nullopt;
    answer.body = read_.substr(0, size);
    read_.erase(0, size);
    return answer;
}

std::string TlsClient::receive_until(std::string_view text) {
    while (read_.find(text) == std::string::npos)
        if (!read_more()) break;
    return std::exchange(read_, {});
}

bool TlsClient::is_closed() { return read_.empty() && !read_more(); }

TlsAnswer TlsClient::get(const std::string& target, const std::string& token) {
    send("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n" +
         (token.empty() ? "" : "Authorization: Bearer " + token + "\r\n") + "\r\n");
    auto answer = receive();
    if (!answer) throw std::runtime_error("no answer");
    return *answer;
}

std::string TlsClient::fingerprint() const {
    X509* certificate = SSL_get1_peer_certificate(ssl_);
    unsigned char* der = nullptr;
    const int size = i2d_X509(certificate, &der);
    const std::string digest = sha256_hex(ByteView(der, static_cast<std::size_t>(size)));
    OPENSSL_free(der);
    X509_free(certificate);
    return digest;
}

} // namespace holdfast::test
