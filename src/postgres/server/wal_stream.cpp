#include "postgres/server/wal_stream.h"

#include "postgres/server/libpq_result.h"
#include "postgres/server/row.h"
#include "postgres/server/slots.h"
#include "postgres/server/wire_numbers.h"

#include <algorithm>

#include <fmt/format.h>
#include <libpq-fe.h>

namespace holdfast::postgres {

namespace {

constexpr std::string_view undefined_file = "58P01";
constexpr std::string_view object_not_in_state = "55000";
constexpr std::size_t data_header_bytes = 1 + 3 * 8;
constexpr std::size_t keepalive_bytes = 1 + 2 * 8 + 1;
// How long the server may take to answer a command, or to take a status.
constexpr auto answer_patience = std::chrono::seconds(60);
constexpr auto longest_wait = std::chrono::hours(24);

// A segment that is missing has an error code of its own; one that goes while it is read has none, only the
// place in the source that looks for that (in all of 13 to 18).
bool is_removed_log(const ServerMessage& said) {
    return said.sqlstate == undefined_file || said.function == "CheckXLogRemoved";
}

std::chrono::steady_clock::duration steady(Duration duration) {
    return std::chrono::duration_cast<std::chrono::steady_clock::duration>(duration);
}

} // namespace

void WalStream::FreeBuffer::operator()(char* buffer) const { PQfreemem(buffer); }

WalStream::WalStream(ReplicationConnection& connection, WalStreamOptions options, Clock& clock,
                     std::stop_token stop)
    : connection_(&connection),
      options_(std::move(options)),
      clock_(&clock),
      written_(options_.confirmed.value_or(options_.start)),
      flushed_(written_),
      applied_(written_),
      last_received_(std::chrono::steady_clock::now()),
      last_status_(last_received_) {
    if (!options_.slot.empty() && !is_slot_name(options_.slot)) {
        throw Error(ErrorCode::usage,
                    fmt::format("'{}' cannot be the name of a replication slot", options_.slot),
                    "use lower-case letters, digits and underscores, at most 63 of them");
    }
    check_not_ahead(stop);
    start(stop);
}

WalStream::~WalStream() = default;

// The server's own words for it have no SQLSTATE of their own.
void WalStream::check_not_ahead(const std::stop_token& stop) {
    const SystemIdentity now = connection_->identify(stop);
    if (options_.timeline != now.timeline || options_.start <= now.position) return;
    throw Error(
        ErrorCode::corrupt,
        fmt::format("{}: the log is wanted from {} on timeline {}, but the server's ends at {}",
                    connection_->connection().place(), options_.start.str(), options_.timeline,
                    now.position.str()),
        "see whether it is the right cluster, and whether it was set back or lost what it had written");
}

void WalStream::start(const std::stop_token& stop) {
    Connection& connection = connection_->connection();
    const std::string command =
        fmt::format("START_REPLICATION {}PHYSICAL {} TIMELINE {}",
                    options_.slot.empty() ? "" : fmt::format("SLOT {} ", options_.slot), options_.start.str(),
                    options_.timeline);
    if (PQsendQuery(connection.handle(), command.c_str()) == 0) connection.fail(connection.place(), nullptr);
    const StopWake wake(stop);
    const Deadline deadline = std::chrono::steady_clock::now() + answer_patience;
    connection.flush(wake, deadline);
    const Connection::Result result = connection.next_result(wake, deadline);
    switch (PQresultStatus(result.get())) {
    case PGRES_COPY_BOTH:
        return;
    case PGRES_TUPLES_OK: { // a timeline that ended right at the start
        const QueryResult answer = rows_of(result.get());
        const Row row = only_row(answer);
        end_ = TimelineEnd{row.number<TimelineId>("next_tli"), row.lsn("next_tli_startpos").value_or(Lsn{})};
        while (connection.next_result(wake, deadline)) {
        }
        return;
    }
    default:
        break;
    }
    const ServerMessage said = message_of(result.get());
    while (connection.next_result(wake, deadline)) {
    }
    // From 18 on a slot that lost its log is refused; before, the log is found missing later.
    if (is_removed_log(said) || (said.sqlstate == object_not_in_state && !options_.slot.empty())) {
        end_ = WalRemoved{said.text};
        return;
    }
    throw ServerError(connection.place(), said);
}

StreamEvent WalStream::next(Duration timeout, std::stop_token stop, const WakeEvent* also) {
    if (end_) return *end_;
    Connection& connection = connection_->connection();
    const StopWake wake(stop);
    const Time deadline =
        std::chrono::steady_clock::now() + steady(std::min<Duration>(timeout, longest_wait));
    if (stop.stop_requested()) throw Error(ErrorCode::cancelled, connection.place() + ": stopped");
    if (std::optional<StreamEvent> event = take_message(wake)) return std::move(*event);
    // What came while the caller was busy counts as a sign of life.
    if (PQconsumeInput(connection.handle()) == 0) connection.fail(connection.place(), nullptr);
    for (;;) {
        if (std::optional<StreamEvent> event = take_message(wake)) return std::move(*event);
        do_duties(wake);
        if (PQstatus(connection.handle()) != CONNECTION_OK) {
            if (std::optional<StreamEvent> event = take_message(wake)) return std::move(*event);
            connection.fail(connection.place(), nullptr);
        }
        switch (
            wake.wait(PQsocket(connection.handle()), true, false, std::min(deadline, next_duty()), also)) {
        case SocketState::stopped:
            throw Error(ErrorCode::cancelled, connection.place() + ": stopped");
        case SocketState::timed_out:
            if (std::chrono::steady_clock::now() >= deadline) return Nothing{};
            break;
        case SocketState::ready:
            if (also != nullptr && also->take()) return Nothing{};
            if (PQconsumeInput(connection.handle()) == 0) connection.fail(connection.place(), nullptr);
        }
    }
}

std::optional<StreamEvent> WalStream::take_message(const StopWake& wake) {
    char* buffer = nullptr;
    const int size = PQgetCopyData(connection_->connection().handle(), &buffer, 1);
    if (size == 0) return std::nullopt;
    if (size < 0) {
        end_ = take_end(wake);
        return end_;
    }
    buffer_.reset(buffer);
    last_received_ = std::chrono::steady_clock::now();
    asked_for_life_ = false;
    return parse_message({reinterpret_cast<const Byte*>(buffer), static_cast<std::size_t>(size)}, wake);
}

StreamEvent WalStream::parse_message(ByteView message, const StopWake& wake) {
    if (message[0] == 'w' && message.size() >= data_header_bytes) {
        const WalData data{Lsn{read_wire_u64(message.subspan(1))}, Lsn{read_wire_u64(message.subspan(9))},
                           from_wire_time(read_wire_u64(message.subspan(17))),
                           message.subspan(data_header_bytes)};
        return data;
    }
    if (message[0] == 'k' && message.size() == keepalive_bytes) {
        const Keepalive alive{Lsn{read_wire_u64(message.subspan(1))},
                              from_wire_time(read_wire_u64(message.subspan(9))), message.back() != 0};
        if (alive.reply_requested) send_status(false, wake);
        return alive;
    }
    throw Error(ErrorCode::incompatible,
                fmt::format("{}: an unknown message {:#x} of {} bytes in a stream of the log",
                            connection_->connection().place(), message[0], message.size()));
}

StreamEvent WalStream::take_end(const StopWake& wake) {
    Connection& connection = connection_->connection();
    const Deadline deadline = std::chrono::steady_clock::now() + answer_patience;
    TimelineEnd end;
    bool timeline_ended = false;
    while (const Connection::Result result = connection.next_result(wake, deadline)) {
        switch (PQresultStatus(result.get())) {
        case PGRES_COPY_IN: // the server has ended its direction and waits for us to end ours
            timeline_ended = true;
            if (PQputCopyEnd(connection.handle(), nullptr) < 0) connection.fail(connection.place(), nullptr);
            connection.flush(wake, deadline);
            break;
        case PGRES_TUPLES_OK: {
            const QueryResult answer = rows_of(result.get());
            const Row row = only_row(answer);
            end = {row.number<TimelineId>("next_tli"), row.lsn("next_tli_startpos").value_or(Lsn{})};
            timeline_ended = true;
            break;
        }
        case PGRES_COMMAND_OK:
            // Without an end of the timeline: its last word before it closes the connection.
            if (!timeline_ended) return ServerStopped{};
            break;
        default: {
            const ServerMessage said = message_of(result.get());
            if (is_removed_log(said)) return WalRemoved{said.text};
            throw ServerError(connection.place(), said);
        }
        }
    }
    return end;
}

void WalStream::report(Lsn written, Lsn flushed, Lsn applied, std::stop_token stop) {
    written_ = std::max(written_, written);
    flushed_ = std::max(flushed_, flushed);
    applied_ = std::max(applied_, applied);
    if (!end_) send_status(false, StopWake(stop));
}

void WalStream::send_status(bool reply_requested, const StopWake& wake) {
    Connection& connection = connection_->connection();
    Bytes message{'r'};
    append_wire_u64(message, written_.value);
    append_wire_u64(message, flushed_.value);
    append_wire_u64(message, applied_.value);
    append_wire_u64(message, to_wire_time(clock_->now()));
    message.push_back(reply_requested ? 1 : 0);
    last_status_ = std::chrono::steady_clock::now();
    try {
        const int queued = PQputCopyData(connection.handle(), reinterpret_cast<const char*>(message.data()),
                                         static_cast<int>(message.size()));
        if (queued < 0) connection.fail(connection.place(), nullptr);
        connection.flush(wake, last_status_ + answer_patience);
    } catch (const Error& error) {
        // A server that shut down does not read any more. What it sent before, its last word too, is still to
        // be read; whoever reads finds out that it has gone.
        if (error.code() != ErrorCode::unavailable) throw;
    }
}

WalStream::Time WalStream::next_duty() const {
    const auto patience = steady(options_.receive_timeout);
    return std::min(last_status_ + steady(options_.status_interval),
                    last_received_ + (asked_for_life_ ? patience : patience / 2));
}

void WalStream::do_duties(const StopWake& wake) {
    const Time now = std::chrono::steady_clock::now();
    const auto silence = now - last_received_;
    const auto patience = steady(options_.receive_timeout);
    if (silence >= patience && asked_for_life_) {
        throw Error(ErrorCode::timed_out,
                    fmt::format("{}: the server has not been heard of for {} s",
                                connection_->connection().place(),
                                std::chrono::ceil<std::chrono::seconds>(patience).count()),
                    "see that it runs and that nothing on the way drops packets", true);
    }
    if (silence >= patience / 2 && !asked_for_life_) {
        asked_for_life_ = true;
        send_status(true, wake);
    } else if (now - last_status_ >= steady(options_.status_interval)) {
        send_status(false, wake);
    }
}

} // namespace holdfast::postgres
