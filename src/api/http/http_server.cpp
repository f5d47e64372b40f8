#include "api/http/http_server.h"

#include "base/error.h"

#include <algorithm>
#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>
#include <openssl/ssl.h>

namespace holdfast::api {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr auto sweep_interval = std::chrono::milliseconds(250);
// After an accept that failed, as when there are no descriptors left.
constexpr auto accept_pause = std::chrono::milliseconds(50);

// Of what a client offers (RFC 7301), the one protocol that is spoken here.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                    unsigned offered_size, void*) {
    constexpr std::string_view ours = "http/1.1";
    for (unsigned i = 0; i < offered_size; i += offered[i] + 1u) {
        const std::string_view name(reinterpret_cast<const char*>(offered + i + 1),
                                    std::min<std::size_t>(offered[i], offered_size - i - 1));
        if (name != ours) continue;
        *out = offered + i + 1;
        *out_size = offered[i];
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

std::shared_ptr<asio::ssl::context> context_of(const TlsIdentity& identity) {
    auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
    SSL_CTX* raw = context->native_handle();
    error_code error;
    context->use_certificate_chain(asio::buffer(identity.chain), error);
    if (!error) {
        context->use_private_key(asio::buffer(identity.key.view().data(), identity.key.size()),
                                 asio::ssl::context::pem, error);
    }
    if (error || SSL_CTX_check_private_key(raw) != 1 ||
        SSL_CTX_set_min_proto_version(raw, TLS1_3_VERSION) != 1) {
        throw Error(ErrorCode::usage, fmt::format("the certificate cannot be used: {}", error.message()));
    }
    // Every connection proves itself anew: tickets would live on after a change of certificates.
    SSL_CTX_set_num_tickets(raw, 0);
    SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(raw, choose_protocol, nullptr);
    return context;
}

tcp::endpoint endpoint_of(const std::string& listen, asio::io_context& io) {
    const std::size_t colon = listen.rfind(':');
    std::string host = listen.substr(0, colon);
    const std::string port = colon == std::string::npos ? "" : listen.substr(colon + 1);
    const bool has_port = !port.empty() && port.size() <= 5 &&
                          port.find_first_not_of("0123456789") == std::string::npos &&
                          std::stoi(port) <= 65535;
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    if (!has_port || host.empty()) {
        throw Error(ErrorCode::usage, fmt::format("\"{}\" is no address and port to listen on", listen),
                    "write it like \"127.0.0.1:7420\" or \"[::]:7420\"");
    }
    error_code error;
    tcp::resolver resolver(io);
    const auto found = resolver.resolve(host, port, tcp::resolver::passive, error);
    if (error || found.empty()) {
        throw Error(ErrorCode::usage,
                    fmt::format("the address \"{}\" to listen on is not known: {}", host, error.message()));
    }
    return found.begin()->endpoint();
}

std::string text_of(const asio::ip::address& address) {
    if (address.is_v6() && address.to_v6().is_v4_mapped())
        return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
    return address.to_string();
}

} // namespace

class HttpServer::Inside {
  public:
    Inside(HttpServerSettings settings, const TlsIdentity& identity, Answer answer, Refuse refuse,
           Clock& clock, Logger& logger)
        : settings_(std::move(settings)),
          pool_(settings_.handler_threads, settings_.most_waiting_requests),
          slow_pool_(settings_.slow_threads, settings_.most_waiting_slow_requests),
          tls_(context_of(identity)),
          acceptor_(io_),
          sweeper_(io_),
          pause_(io_),
          guard_(io_.get_executor()) {
        host_.limits = settings_.limits;
        host_.answer = std::move(answer);
        host_.refuse = std::move(refuse);
        host_.clock = &clock;
        host_.logger = &logger;
        host_.takes_long = settings_.takes_long;
        host_.waits_for_nothing = settings_.waits_for_nothing;
        host_.pool = &pool_;
        host_.slow_pool = &slow_pool_;
        listen();
        accept();
        sweep_later();
        for (unsigned i = 0; i < std::max(settings_.io_threads, 1u); ++i)
            threads_.emplace_back([this] { run(); });
    }

    std::uint16_t port() const { return port_; }

    void use(const TlsIdentity& identity) {
        auto context = context_of(identity);
        const std::scoped_lock lock(mutex_);
        tls_ = std::move(context);
    }

    void stop(Duration grace) {
        const std::scoped_lock once(stop_mutex_);
        if (threads_.empty()) return;
        host_.stopping = true;
        asio::post(io_, [this] {
            error_code ignored;
            acceptor_.close(ignored);
        });
        for (const auto& connection : all()) connection->close_gently();
        wait_until_closed(grace);
        for (const auto& connection : all()) connection->close();
        pool_.stop();
        slow_pool_.stop();
        wait_until_closed(std::chrono::seconds(1));
        io_.stop();
        threads_.clear();
        const std::scoped_lock lock(mutex_);
        connections_.clear();
    }

    HttpServerCounts counts() const {
        return {.connections = host_.connections,
                .streams = host_.streams,
                .requests = host_.requests,
                .refused = host_.refused};
    }

  private:
    void run() {
        while (true) {
            try {
                io_.run();
                return;
            } catch (const std::exception& error) {
                host_.logger->error("api.connection_failed", {{"error", error.what()}});
            }
        }
    }

    void listen() {
        const tcp::endpoint endpoint = endpoint_of(settings_.listen, io_);
        error_code error;
        acceptor_.open(endpoint.protocol(), error);
        if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
        if (!error && endpoint.address().is_v6() && endpoint.address().is_unspecified())
            acceptor_.set_option(asio::ip::v6_only(false), error);
        if (!error) acceptor_.bind(endpoint, error);
        if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
        if (error) {
            throw Error(ErrorCode::unavailable,
                        fmt::format("{} cannot be listened on: {}", settings_.listen, error.message()),
                        "is another server running there?");
        }
        port_ = acceptor_.local_endpoint().port();
    }

    void accept() {
        acceptor_.async_accept([this](const error_code& error, tcp::socket socket) {
            if (host_.stopping) return;
            if (error) {
                pause_.expires_after(accept_pause);
                pause_.async_wait([this](const error_code& stopped) {
                    if (stopped || host_.stopping) return;
                    make_room(settings_.most_connections / 2 + 1);
                    accept();
                });
                return;
            }
            take(std::move(socket));
            accept();
        });
    }

    void take(tcp::socket socket) {
        error_code error;
        const tcp::endpoint peer = socket.remote_endpoint(error);
        if (error || !make_room(settings_.most_connections)) return; // which closes it
        const bool is_v6 = socket.local_endpoint(error).address().is_v6();
        const int descriptor = socket.release(error);
        if (error) return;
        const std::scoped_lock lock(mutex_);
        connections_.push_back(
            Connection::start(io_, *tls_, descriptor, is_v6, text_of(peer.address()), host_));
    }

    // Sees to it that there are fewer than `most`: closes those whose clients have been waited for the
    // longest. False when all are being answered.
    bool make_room(std::size_t most) {
        const std::scoped_lock lock(mutex_);
        forget_closed();
        while (connections_.size() >= most) {
            auto oldest = connections_.end();
            for (auto each = connections_.begin(); each != connections_.end(); ++each) {
                if (!(*each)->waits_for_client()) continue;
                if (oldest == connections_.end() || (*each)->since() < (*oldest)->since()) oldest = each;
            }
            if (oldest == connections_.end()) return false;
            (*oldest)->close();
            connections_.erase(oldest);
        }
        return true;
    }

    void forget_closed() {
        std::erase_if(connections_, [](const auto& connection) { return connection->closed(); });
        closed_some_.notify_all();
    }

    void sweep_later() {
        sweeper_.expires_after(sweep_interval);
        sweeper_.async_wait([this](const error_code& error) {
            if (error) return;
            const std::int64_t now = host_.clock->steady().count();
            {
                const std::scoped_lock lock(mutex_);
                for (const auto& connection : connections_)
                    if (connection->deadline() != 0 && connection->deadline() <= now) connection->close();
                forget_closed();
            }
            sweep_later();
        });
    }

    std::vector<std::shared_ptr<Connection>> all() {
        const std::scoped_lock lock(mutex_);
        return {connections_.begin(), connections_.end()};
    }

    void wait_until_closed(Duration time) {
        const auto end = std::chrono::steady_clock::now() + time;
        std::unique_lock lock(mutex_);
        while (true) {
            forget_closed();
            if (connections_.empty() || std::chrono::steady_clock::now() >= end) return;
            closed_some_.wait_for(lock, std::chrono::milliseconds(10));
        }
    }

    const HttpServerSettings settings_;
    ConnectionHost host_;
    HandlerPool pool_, slow_pool_;
    std::mutex mutex_; // of what follows
    std::shared_ptr<asio::ssl::context> tls_;
    std::list<std::shared_ptr<Connection>> connections_;
    std::condition_variable closed_some_;

    asio::io_context io_;
    tcp::acceptor acceptor_;
    asio::steady_timer sweeper_, pause_;
    asio::executor_work_guard<asio::io_context::executor_type> guard_;
    std::uint16_t port_ = 0;
    std::mutex stop_mutex_;
    std::vector<std::jthread> threads_;
};

HttpServer::HttpServer(HttpServerSettings settings, const TlsIdentity& identity, Answer answer, Refuse refuse,
                       Clock& clock, Logger& logger)
    : inside_(std::make_unique<Inside>(std::move(settings), identity, std::move(answer), std::move(refuse),
                                       clock, logger)) {}
HttpServer::~HttpServer() { stop(Duration::zero()); }
std::uint16_t HttpServer::port() const { return inside_->port(); }
void HttpServer::use(const TlsIdentity& identity) { inside_->use(identity); }
void HttpServer::stop(Duration grace) { inside_->stop(grace); }
HttpServerCounts HttpServer::counts() const { return inside_->counts(); }

} // namespace holdfast::api
