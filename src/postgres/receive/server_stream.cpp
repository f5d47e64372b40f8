#include "postgres/receive/server_stream.h"

#include "base/error.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration sync_interval = milliseconds(500);
constexpr Duration told_interval = seconds(1);
constexpr std::uint64_t sync_bytes = std::uint64_t{8} << 20;
constexpr const char* server_alarm = "server";

WalStreamOptions options_of(const ServerStream::Tools& tools) {
    const WalPosition begin = tools.spool.end().value();
    return {.start = begin.lsn,
            .timeline = begin.timeline,
            .slot = tools.settings.server.slot,
            .confirmed = Lsn{}};
}

} // namespace

ServerStream::ServerStream(LogServer& server, const Tools& tools)
    : tools_(tools),
      timeline_(tools.spool.end().value().timeline),
      stream_(server.replication(), options_of(tools), system_clock(), tools.stop),
      told_written_(tools.spool.end().value().lsn) {
    // What the slot let go was acknowledged before: telling it less would take its promise back.
    if (server.slot().restart) told_ = {timeline_, *server.slot().restart};
}

StreamResult ServerStream::run() {
    try {
        for (;;) {
            const StreamEvent event = stream_.next(patience(), tools_.stop, &tools_.archive.stored());
            const bool goes_on = take(event);
            keep_up();
            if (!goes_on) return result_;
            if (tools_.spool_is_full()) return StreamResult::spool_full;
            tools_.archive.rethrow_if_hopeless();
        }
    } catch (const Error& error) {
        if (error.code() != ErrorCode::cancelled || !tools_.stop.stop_requested()) throw;
    }
    // The connection is kept until all is stored, so that the server learns of it.
    tools_.spool.sync();
    tools_.finish_storing();
    told_at_ = {};
    hurry_to_ = tools_.spool.end();
    tell_server();
    return StreamResult::reconnect;
}

bool ServerStream::take(const StreamEvent& event) {
    if (const WalData* data = std::get_if<WalData>(&event)) {
        take_data(*data);
    } else if (const Keepalive* alive = std::get_if<Keepalive>(&event)) {
        // A server that shuts down waits until all is acknowledged.
        if (alive->reply_requested) hurry_to_ = tools_.spool.end();
        tools_.status.heard({timeline_, alive->server_end});
    } else if (const TimelineEnd* end = std::get_if<TimelineEnd>(&event)) {
        // A server that does not say is asked anew.
        if (end->next > timeline_) {
            result_ = StreamResult::next_timeline;
            next_ = {end->next, segment_begin(end->switch_point, tools_.spool.segment_bytes())};
        }
        return false;
    } else if (std::holds_alternative<WalRemoved>(event)) {
        result_ = StreamResult::log_removed;
        return false;
    } else if (std::holds_alternative<ServerStopped>(event)) {
        tools_.alarms.raise(server_alarm, "the server was shut down");
        return false;
    }
    return true;
}

void ServerStream::take_data(const WalData& data) {
    const Lsn end = tools_.spool.end().value().lsn;
    if (data.start != end) {
        throw Error(ErrorCode::corrupt,
                    fmt::format("the server sent its log from {} on, where {} comes next", data.start.str(),
                                end.str()),
                    {}, true);
    }
    if (unsynced_bytes_ == 0) unsynced_since_ = now();
    unsynced_bytes_ += data.bytes.size();
    appended_ = true;
    tools_.spool.append(data.bytes);
    tools_.status.heard({timeline_, std::max(data.server_end, end + data.bytes.size())});
}

// Makes durable what came, has it stored, and tells the server.
void ServerStream::keep_up() {
    const bool hurry = hurry_to_.has_value();
    const Synchronous synchronous = tools_.settings.synchronous;
    const bool synced =
        unsynced_bytes_ > 0 && (hurry || synchronous == Synchronous::spool || unsynced_bytes_ >= sync_bytes ||
                                now() - unsynced_since_ >= sync_interval);
    if (synced) {
        tools_.spool.sync(synchronous != Synchronous::repository);
        unsynced_bytes_ = 0;
    }
    // Otherwise the shipper looks by itself every now and then.
    if (hurry || (appended_ && synchronous == Synchronous::repository) || (synced && !noticed_)) {
        tools_.archive.notice(hurry);
        noticed_ = true;
    }
    appended_ = false;
    tell_server();
}

void ServerStream::tell_server() {
    const WalPosition durable = tools_.status.acknowledgeable();
    const bool is_news = durable.timeline == timeline_ && durable > told_;
    const WalPosition telling = is_news ? durable : told_;
    const Lsn flushed = telling.timeline == timeline_ ? telling.lsn : Lsn{};
    const Lsn written = std::max(written_as_promised(), flushed);
    const bool soon = tools_.settings.synchronous != Synchronous::no || hurry_to_;
    const bool due = now() - told_at_ >= told_interval;
    const bool waited_for = tools_.settings.synchronous == Synchronous::spool;
    if (!(is_news && (soon || due)) && !(written != told_written_ && (waited_for || due))) return;
    told_ = telling;
    told_written_ = written;
    told_at_ = now();
    stream_.report(written, flushed, flushed);
    if (hurry_to_ && told_ >= *hurry_to_) hurry_to_.reset();
}

// A commit may wait for its log to be written only, and what that means is chosen: nothing less than to be
// flushed, to be in the spool for certain, or just to have come.
Lsn ServerStream::written_as_promised() const {
    switch (tools_.settings.synchronous) {
    case Synchronous::repository:
        return {};
    case Synchronous::spool: {
        const WalPosition synced = tools_.spool.synced().value_or(WalPosition{});
        return synced.timeline == timeline_ && tools_.archive.vouches_for_spool() ? synced.lsn : Lsn{};
    }
    case Synchronous::no:
        break;
    }
    return tools_.spool.end().value().lsn;
}

// How long to wait for more log, or for what came to be stored, when there may be something else to do.
Duration ServerStream::patience() const {
    const bool waits = told_ < tools_.spool.end();
    return waits ? milliseconds(250) : seconds(1);
}

} // namespace holdfast::postgres
