// The log as a server sends it, while it writes it.
#pragma once

#include "base/clock.h"
#include "postgres/server/replication.h"

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <variant>

namespace holdfast::postgres {

struct WalStreamOptions {
    Lsn start; // any position; a segment's begin, usually
    TimelineId timeline = 0;
    std::string slot{}; // empty: without one
    // Durable already: what the server is told until more is reported. Nothing: `start`; 0: the server is
    // told of nothing, and the slot stays as it is.
    std::optional<Lsn> confirmed{};
    // How often the server is told our positions when there is nothing else to say.
    Duration status_interval = std::chrono::seconds(5);
    // Without a word for half of this the server is asked whether it lives; without one for all of it, it is
    // given up.
    Duration receive_timeout = std::chrono::seconds(60);
};

// A piece of the log. `bytes` is valid until the next call to next().
struct WalData {
    Lsn start;
    Lsn server_end; // the end of the log on the server
    Timestamp sent; // by the server's clock
    ByteView bytes;
};
struct Keepalive {
    Lsn server_end;
    Timestamp sent;
    // The server waits for our positions (it shuts down, or fears we are dead). The last ones that were
    // reported have been sent again; newer ones should be reported as soon as they are durable.
    bool reply_requested = false;
};
// The timeline that was asked for ends here; nothing more comes. `next` is 0 when the server did not say.
struct TimelineEnd {
    TimelineId next = 0;
    Lsn switch_point;
};
// The server has the log from there on no longer, or the slot lost it. What is missing can come from an
// archive only.
struct WalRemoved {
    std::string message;
};
// The server shuts down in order and has sent all it had.
struct ServerStopped {};
// Nothing came within the time.
struct Nothing {};

using StreamEvent = std::variant<Nothing, WalData, Keepalive, TimelineEnd, WalRemoved, ServerStopped>;

// Not thread-safe. While it lives, its connection does nothing else.
class WalStream {
  public:
    // Starts streaming; `connection` and `clock` must outlive it. Throws Error(not_found) when there is no
    // such slot, Error (unavailable, retryable) when another receiver uses it, Error(corrupt) when the
    // server's own log ends before `start` (it lost what it had acknowledged, or is another cluster), what
    // connections throw. That the log is gone, or the timeline ends at `start`, is told by next().
    WalStream(ReplicationConnection& connection, WalStreamOptions options, Clock& clock = system_clock(),
              std::stop_token stop = {});
    ~WalStream();
    WalStream(const WalStream&) = delete;
    WalStream& operator=(const WalStream&) = delete;

    // The next event, or Nothing after `timeout` or when `also` is raised, which it takes. A stop ends
    // the wait at once with Error(cancelled). After TimelineEnd, WalRemoved and ServerStopped each call says
    // the same again; after TimelineEnd the connection can be used for the next stream. Throws
    // Error(timed_out, retryable) when the server is silent for too long, ServerError when it is gone.
    StreamEvent next(Duration timeout, std::stop_token stop = {}, const WakeEvent* also = nullptr);
    // Tells the server how far the log was received, is durable (it frees what the slot kept before that, and
    // lets commits return that wait for a synchronous standby), and was applied. Positions never go back:
    // smaller ones than before are taken as those.
    void report(Lsn written, Lsn flushed, Lsn applied, std::stop_token stop = {});

  private:
    struct FreeBuffer {
        void operator()(char* buffer) const;
    };
    using Time = std::chrono::steady_clock::time_point;

    void start(const std::stop_token& stop);
    void check_not_ahead(const std::stop_token& stop);
    // A message that is there already, taken apart; nothing when there is none.
    std::optional<StreamEvent> take_message(const StopWake& wake);
    StreamEvent parse_message(ByteView message, const StopWake& wake);
    // What the server says once it has stopped sending.
    StreamEvent take_end(const StopWake& wake);
    void send_status(bool reply_requested, const StopWake& wake);
    Time next_duty() const;
    void do_duties(const StopWake& wake);

    ReplicationConnection* connection_;
    WalStreamOptions options_;
    Clock* clock_;
    std::unique_ptr<char, FreeBuffer> buffer_;
    std::optional<StreamEvent> end_;
    Lsn written_, flushed_, applied_;
    Time last_received_, last_status_;
    bool asked_for_life_ = false;
};

} // namespace holdfast::postgres
