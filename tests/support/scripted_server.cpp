#include "support/scripted_server.h"

#include "base/file_descriptor.h"

#include <array>
#include <optional>
#include <stdexcept>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace holdfast::test {

namespace {

bool readable(int fd, const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
        if (::poll(&waiting, 1, 20) > 0) return true;
    }
    return false;
}

// How long the request at the beginning of `text` is, once all of it is there.
std::optional<std::size_t> request_size(const std::string& text) {
    const std::size_t headers_end = text.find("\r\n\r\n");
    if (headers_end == std::string::npos) return std::nullopt;
    std::size_t body = 0;
    for (const char* name : {"Content-Length: ", "content-length: "}) {
        const std::size_t at = text.find(name);
        if (at < headers_end) body = std::stoul(text.substr(at + 16));
    }
    const std::size_t size = headers_end + 4 + body;
    if (text.size() < size) return std::nullopt;
    return size;
}

} // namespace

std::string http_answer(const std::string& status, const std::string& headers, const std::string& body) {
    return fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\n{}\r\n{}", status, body.size(), headers, body);
}

ScriptedServer::ScriptedServer(std::function<Answer(const std::string& request)> respond)
    : respond_(std::move(respond)), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 16) != 0 ||
        ::getsockname(listener_, generic, &size) != 0) {
        throw std::runtime_error("cannot listen on loopback");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
}

ScriptedServer::~ScriptedServer() {
    thread_.request_stop();
    thread_.join();
    ::close(listener_);
}

std::vector<std::string> ScriptedServer::requests() const {
    const std::scoped_lock lock(mutex_);
    return requests_;
}

int ScriptedServer::connections() const {
    const std::scoped_lock lock(mutex_);
    return connections_;
}

void ScriptedServer::run(std::stop_token stop) {
    std::vector<std::jthread> serving;
    while (readable(listener_, stop)) {
        const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (connection < 0) continue;
        {
            const std::scoped_lock lock(mutex_);
            ++connections_;
        }
        serving.emplace_back([this, connection, stop] { serve(connection, stop); });
    }
}

void ScriptedServer::serve(int connection, const std::stop_token& stop) {
    const FileDescriptor owner(connection);
    std::string received;
    while (readable(connection, stop)) {
        std::array<char, 65536> buffer{};
        const ssize_t got = ::recv(connection, buffer.data(), buffer.size(), 0);
        if (got <= 0) return;
        received.append(buffer.data(), static_cast<std::size_t>(got));
        while (const std::optional<std::size_t> size = request_size(received)) {
            const std::string request = received.substr(0, *size);
            received.erase(0, *size);
            {
                const std::scoped_lock lock(mutex_);
                requests_.push_back(request);
            }
            const Answer answer = respond_(request);
            if (::send(connection, answer.bytes.data(), answer.bytes.size(), MSG_NOSIGNAL) < 0) return;
            if (answer.then == Answer::Then::close) return;
            if (answer.then == Answer::Then::stay_silent) {
                while (!stop.stop_requested()) ::usleep(5000);
                return;
            }
        }
    }
}

} // namespace holdfast::test
