// A TCP server that answers as a test tells it to: for what a well-behaved server never does.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace holdfast::test {

// What the server does with one request.
struct Answer {
    std::string bytes; // sent as they are
    enum class Then { keep_open, close, stay_silent } then = Then::close;
};

// Listens on a port of 127.0.0.1; one connection at a time is served by its own thread.
class ScriptedServer {
  public:
    // Called with each whole request (headers and body), in order.
    explicit ScriptedServer(std::function<Answer(const std::string& request)> respond);
    ~ScriptedServer();

    std::string endpoint() const { return "http://127.0.0.1:" + std::to_string(port_); }
    std::vector<std::string> requests() const;
    int connections() const;

  private:
    void run(std::stop_token stop);
    void serve(int connection, const std::stop_token& stop);

    std::function<Answer(const std::string&)> respond_;
    int listener_ = -1;
    unsigned short port_ = 0;
    mutable std::mutex mutex_;
    std::vector<std::string> requests_;
    int connections_ = 0;
    std::jthread thread_;
};

// "HTTP/1.1 <status>" with Content-Length, the headers (each ending in "\r\n") and the body.
std::string http_answer(const std::string& status, const std::string& headers = "",
                        const std::string& body = "");

} // namespace holdfast::test
