// One connection: its TLS, its requests one after the other, its end.
#pragma once

#include "api/http/handler_pool.h"
#include "api/http/message.h"
#include "api/http/request_parser.h"
#include "base/clock.h"
#include "base/log.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace boost::asio {
class io_context;
namespace ssl {
class context;
}
} // namespace boost::asio

namespace holdfast::api {

// How long a client may take, and how much it may want.
struct ConnectionLimits {
    RequestLimits request{};
    Duration handshake = std::chrono::seconds(10);
    Duration header = std::chrono::seconds(15); // from its first byte on
    Duration body = std::chrono::seconds(30);
    Duration answer = std::chrono::seconds(30); // to take an answer, or a piece of a stream
    Duration idle = std::chrono::seconds(75);   // between requests
    Duration event_interval = std::chrono::seconds(1);
    Duration heartbeat = std::chrono::seconds(15);
    std::int64_t requests_per_connection = 100'000;
    std::int64_t most_streams = 64;
};

// What all connections of a server share. Everything in it outlives them.
struct ConnectionHost {
    ConnectionLimits limits{};
    // Answers a request; on a thread of the pool. What it throws is answered with 500.
    std::function<Response(const Request&)> answer;
    // Whether the answer may take long, and is made on a thread of the slow pool; on a thread that moves
    // bytes. Empty: none does.
    std::function<bool(const Request&)> takes_long;
    // Whether the answer waits for nothing, and is made at once, on that thread itself. Empty: none does.
    std::function<bool(const Request&)> waits_for_nothing;
    // The answer to what was no request, or could not be taken on: a status and why.
    std::function<Response(int status, const std::string& reason)> refuse;
    Clock* clock = nullptr;
    Logger* logger = nullptr;
    HandlerPool* pool = nullptr;
    HandlerPool* slow_pool = nullptr;
    std::atomic<bool> stopping{false};
    std::atomic<std::int64_t> connections{0}, streams{0}, requests{0}, refused{0};
};

// Its methods may be called by any thread.
class Connection {
  public:
    // Owns `socket`, an accepted one, from now on; `io` and `host` outlive it. It keeps itself alive until it
    // has closed.
    static std::shared_ptr<Connection> start(boost::asio::io_context& io, boost::asio::ssl::context& tls,
                                             int socket, bool is_v6, std::string peer, ConnectionHost& host);
    virtual ~Connection() = default;
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // Closes soon, whatever is under way.
    virtual void close() = 0;
    // Closes when the answer that is being made has gone out; at once when there is none.
    virtual void close_gently() = 0;
    bool closed() const { return closed_; }
    // Whether the client is waited for (and not an answer), so that the connection can be closed for others.
    bool waits_for_client() const { return waits_for_client_; }
    // Of the steady clock: since when it is as it is, and when it has been so for too long (0: never).
    std::int64_t since() const { return since_; }
    std::int64_t deadline() const { return deadline_; }

  protected:
    Connection() = default;

    std::atomic<bool> closed_{false}, waits_for_client_{true};
    std::atomic<std::int64_t> since_{0}, deadline_{0};
};

} // namespace holdfast::api
