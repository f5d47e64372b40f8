#include "api/http/connection.h"

#include "api/http/response_text.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/write.hpp>

namespace holdfast::api {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr std::size_t read_bytes = 16u << 10;
// Of what a refused client still sends, before it is left alone.
constexpr std::size_t most_drained = 256u << 10;
constexpr Duration drain_time = std::chrono::seconds(2);
constexpr Duration goodbye_time = std::chrono::seconds(3);

// All runs on the strand of the socket, but for the handlers and the methods that post to it.
class TlsConnection final : public Connection, public std::enable_shared_from_this<TlsConnection> {
  public:
    TlsConnection(tcp::socket socket, asio::ssl::context& tls, std::string peer, ConnectionHost& host)
        : stream_(std::move(socket), tls),
          timer_(stream_.get_executor()),
          peer_(std::move(peer)),
          host_(host) {
        enter(true, host_.limits.handshake);
        ++host_.connections;
    }

    void begin() {
        asio::post(stream_.get_executor(), [self = shared_from_this()] {
            self->stream_.async_handshake(asio::ssl::stream_base::server, [self](const error_code& error) {
                if (error) return self->end();
                self->next_request();
            });
        });
    }

    void close() override {
        asio::post(stream_.get_executor(), [self = shared_from_this()] { self->end(); });
    }

    void close_gently() override {
        asio::post(stream_.get_executor(), [self = shared_from_this()] {
            if (self->source_ || (self->waits_for_client_ && !self->in_request_)) self->end();
        });
    }

  private:
    // Says what the connection waits for from now on; no `time` is as long as it takes.
    void enter(bool for_client, Duration time) {
        const std::int64_t now = host_.clock->steady().count();
        since_ = now;
        deadline_ = time == Duration::zero() ? 0 : now + time.count();
        waits_for_client_ = for_client;
    }

    void end() {
        if (closed_.exchange(true)) return;
        error_code ignored;
        stream_.lowest_layer().close(ignored);
        timer_.cancel();
        --host_.connections;
        if (source_) --host_.streams;
    }

    void next_request() {
        if (host_.stopping) return say_goodbye();
        parser_ = RequestParser(host_.limits.request);
        in_request_ = !buffer_.empty();
        in_body_ = false;
        enter(true, in_request_ ? host_.limits.header : host_.limits.idle);
        advance();
    }

    void advance() {
        if (closed_) return;
        if (!buffer_.empty() || in_body_) buffer_.erase(0, parser_.feed(buffer_));
        switch (parser_.state()) {
        case RequestParser::State::refused:
            return refuse(parser_.status(), parser_.reason());
        case RequestParser::State::done:
            return dispatch();
        case RequestParser::State::body:
            if (!in_body_) {
                in_body_ = true;
                enter(true, host_.limits.body);
                if (parser_.expects_continue() && buffer_.empty()) return let_continue();
            }
            break;
        case RequestParser::State::header:
            break;
        }
        // Extensions of chunks can be of any length, and nobody needs them.
        if (buffer_.size() > host_.limits.request.header_bytes + read_bytes)
            return refuse(431, "a line of the request is too long");
        read_more();
    }

    void read_more() {
        stream_.async_read_some(asio::buffer(piece_),
                                [self = shared_from_this()](const error_code& error, std::size_t size) {
                                    if (error) return self->end();
                                    if (!self->in_request_) {
                                        self->in_request_ = true;
                                        self->enter(true, self->host_.limits.header);
                                    }
                                    self->buffer_.append(self->piece_.data(), size);
                                    self->advance();
                                });
    }

    void let_continue() {
        out_ = "HTTP/1.1 100 Continue\r\n\r\n";
        asio::async_write(stream_, asio::buffer(out_),
                          [self = shared_from_this()](const error_code& error, std::size_t) {
                              if (error) return self->end();
                              self->read_more();
                          });
    }

    void dispatch() {
        ++host_.requests;
        keep_alive_ = parser_.keep_alive() && ++served_ < host_.limits.requests_per_connection;
        Request request = parser_.take(peer_);
        head_only_ = request.method == "HEAD";
        enter(false, Duration::zero());
        if (host_.waits_for_nothing && host_.waits_for_nothing(request)) return respond(answer_of(request));
        HandlerPool& pool = host_.takes_long && host_.takes_long(request) ? *host_.slow_pool : *host_.pool;
        auto work = [self = shared_from_this(), asked = std::move(request)] {
            Response response = self->answer_of(asked);
            asio::post(self->stream_.get_executor(),
                       [self, ready = std::move(response)]() mutable { self->respond(std::move(ready)); });
        };
        if (!pool.submit(std::move(work))) {
            ++host_.refused;
            respond(host_.refuse(503, "the server has more to do than it can take on"));
        }
    }

    Response answer_of(const Request& request) {
        try {
            return host_.answer(request);
        } catch (const std::exception& error) {
            host_.logger->error("api.handler_failed", {{"path", request.path}, {"error", error.what()}});
        } catch (...) {
            host_.logger->error("api.handler_failed", {{"path", request.path}});
        }
        return host_.refuse(500, "the request could not be answered");
    }

    void refuse(int status, const std::string& reason) {
        ++host_.refused;
        keep_alive_ = false;
        head_only_ = false;
        drain_ = true;
        respond(host_.refuse(status, reason));
    }

    void respond(Response response) {
        if (closed_) return;
        if (host_.stopping || response.events) keep_alive_ = false;
        if (response.events && !head_only_) {
            if (++host_.streams > host_.limits.most_streams) {
                --host_.streams;
                ++host_.refused;
                response = host_.refuse(503, "there are too many streams of events");
            } else {
                source_ = std::move(response.events);
                response.events = source_;
            }
        }
        out_ = response_text(response,
                             {.keep_alive = keep_alive_, .head_only = head_only_, .now = host_.clock->now()});
        write([](TlsConnection& self) {
            if (self.source_) return self.begin_stream();
            if (self.keep_alive_) return self.next_request();
            return self.drain_ ? self.drain(0) : self.say_goodbye();
        });
    }

    // Writes out_, then goes on.
    template <typename Next>
    void write(Next next) {
        enter(false, host_.limits.answer);
        asio::async_write(stream_, asio::buffer(out_),
                          [self = shared_from_this(), next](const error_code& error, std::size_t) {
                              if (error || self->closed_) return self->end();
                              next(*self);
                          });
    }

    // A socket that is closed with bytes unread takes back the answer that its client has not read yet.
    void drain(std::size_t drained) {
        if (drained == 0) enter(true, drain_time);
        stream_.async_read_some(asio::buffer(piece_), [self = shared_from_this(),
                                                       drained](const error_code& error, std::size_t size) {
            if (error) return self->end();
            if (drained + size > most_drained) return self->say_goodbye();
            self->drain(drained + size);
        });
    }

    void say_goodbye() {
        enter(true, goodbye_time);
        in_request_ = false;
        stream_.async_shutdown([self = shared_from_this()](const error_code&) { self->end(); });
    }

    void begin_stream() {
        enter(false, Duration::zero());
        last_sent_ = host_.clock->steady();
        watch_peer();
        pull();
    }

    // Nothing is expected from it any more but that it goes.
    void watch_peer() {
        stream_.async_read_some(asio::buffer(piece_),
                                [self = shared_from_this()](const error_code& error, std::size_t) {
                                    if (error || self->closed_) return self->end();
                                    self->watch_peer();
                                });
    }

    void pull_later() {
        enter(false, Duration::zero());
        timer_.expires_after(std::chrono::ceil<asio::steady_timer::duration>(host_.limits.event_interval));
        timer_.async_wait([self = shared_from_this()](const error_code& error) {
            if (error || self->closed_) return;
            self->host_.stopping ? self->end() : self->pull();
        });
    }

    void pull() {
        auto work = [self = shared_from_this()] {
            std::optional<std::vector<Event>> events;
            try {
                events = self->source_->next();
            } catch (const std::exception& error) {
                self->host_.logger->warning("api.stream_ended", {{"error", error.what()}});
            }
            asio::post(self->stream_.get_executor(),
                       [self, ready = std::move(events)] { self->send_events(ready); });
        };
        // Where there is no room now there is some later.
        if (!host_.pool->submit(std::move(work))) pull_later();
    }

    void send_events(const std::optional<std::vector<Event>>& events) {
        if (closed_) return;
        if (!events) return end();
        out_ = event_text(*events);
        const Duration now = host_.clock->steady();
        if (out_.empty() && now - last_sent_ >= host_.limits.heartbeat) out_ = ":\n\n";
        if (out_.empty()) return pull_later();
        last_sent_ = now;
        write([](TlsConnection& self) { self.pull_later(); });
    }

    asio::ssl::stream<tcp::socket> stream_;
    asio::steady_timer timer_;
    const std::string peer_;
    ConnectionHost& host_;

    RequestParser parser_{RequestLimits{}};
    std::array<char, read_bytes> piece_{};
    std::string buffer_; // what was read and is not parsed yet
    std::string out_;
    std::int64_t served_ = 0;
    bool in_request_ = false, in_body_ = false, keep_alive_ = true, head_only_ = false, drain_ = false;
    std::shared_ptr<EventSource> source_;
    Duration last_sent_{};
};

} // namespace

std::shared_ptr<Connection> Connection::start(asio::io_context& io, asio::ssl::context& tls, int socket,
                                              bool is_v6, std::string peer, ConnectionHost& host) {
    tcp::socket accepted(asio::make_strand(io));
    error_code error;
    accepted.assign(is_v6 ? tcp::v6() : tcp::v4(), socket, error);
    accepted.set_option(tcp::no_delay(true), error);
    auto connection = std::make_shared<TlsConnection>(std::move(accepted), tls, std::move(peer), host);
    connection->begin();
    return connection;
}

} // namespace holdfast::api
