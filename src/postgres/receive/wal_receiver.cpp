#include "postgres/receive/wal_receiver.h"

#include "base/error.h"
#include "postgres/archive/same_cluster.h"
#include "repository/log/log_path.h"

#include <algorithm>
#include <filesystem>
#include <thread>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration report_interval = seconds(1);
constexpr Duration sync_interval = milliseconds(500);
constexpr Duration told_interval = seconds(1);
constexpr std::uint64_t sync_bytes = std::uint64_t{8} << 20;
constexpr std::size_t gaps_kept = 16;
constexpr std::uint64_t least_spool_segments = 4;

constexpr const char* repository_alarm = "repository";
constexpr const char* server_alarm = "server";
constexpr const char* spool_alarm = "spool";
constexpr const char* gap_alarm = "gap";
constexpr const char* branch_alarm = "branch";

std::string place_for_spool(const ReceiveSettings& settings) {
    create_directories_private(settings.spool_directory);
    return receive_directory(settings.spool_directory);
}

// Waiting does not help, whatever was received before.
bool is_final(const Error& error) {
    switch (error.code()) {
    case ErrorCode::already_exists:
    case ErrorCode::usage:
    case ErrorCode::internal:
        return true;
    default:
        return false;
    }
}

} // namespace

struct WalReceiver::Streaming {
    WalStream stream;
    TimelineId timeline;
    WalPosition told; // to the server, as durable
    Lsn told_end;     // and as received
    Duration told_at{};
    std::uint64_t unsynced_bytes = 0;
    Duration unsynced_since{};
    std::optional<WalPosition> hurry_to{}; // the server waits until this is acknowledged
    StreamResult result = StreamResult::reconnect;
    WalPosition next{}; // where the next timeline is entered
};

WalReceiver::WalReceiver(Repository& repository, const ReceiveSettings& settings, std::stop_token stop)
    : repository_(repository),
      settings_(settings),
      stop_(std::move(stop)),
      grace_(stop_, settings.stop_grace, system_clock()),
      alarms_(repository.logger(), settings.source),
      spool_(place_for_spool(settings)),
      before_(read_receive_state(receive_state_path(settings.spool_directory))),
      boot_(boot_id()),
      acknowledgement_(settings.synchronous, settings.repository_patience) {
    if (before_) gaps_ = before_->gaps;
}

ReceiveState WalReceiver::run() {
    begin_with_spool();
    {
        const std::jthread reporter([this](const std::stop_token& ended) { report(ended); });
        receive();
    }
    set_phase("stopped");
    publish();
    return state();
}

// What an earlier run left is stored also while the server cannot be reached.
void WalReceiver::begin_with_spool() {
    const std::optional<SegmentHeader> of = spool_.header();
    if (!of) return;
    if (!before_ || before_->boot.empty() || before_->boot != boot_) {
        if (const std::uint64_t dropped = spool_.drop_what_was_not_synced(); dropped > 0)
            repository_.logger().info("the end of the spool is asked for again", {{"bytes", dropped}});
    }
    begin_shipping(of->system_identifier);
}

void WalReceiver::set_archive(std::uint64_t system_identifier) {
    if (archive_) return;
    const ArchiveId id = wal_archive_id(repository_.keys(), settings_.source, system_identifier);
    system_identifier_ = system_identifier;
    archive_.emplace(repository_.context(), id);
}

void WalReceiver::begin_shipping(std::uint64_t system_identifier) {
    set_archive(system_identifier);
    WalPosition archived;
    if (before_ && before_->archive == archive_->id().hex()) archived = before_->archived;
    ShipperSettings shipping = settings_.shipping;
    auto shipper = std::make_unique<WalShipper>(repository_, *archive_, spool_, archived, shipping, alarms_);
    const std::scoped_lock lock(mutex_);
    shipper_ = std::move(shipper);
}

void WalReceiver::receive() {
    Duration delay = settings_.first_reconnect;
    while (!stop_.stop_requested()) {
        const std::optional<WalPosition> before = spool_.end();
        try {
            session();
            delay = spool_.end() > before ? settings_.first_reconnect : delay;
        } catch (const Error& error) {
            if (stop_.stop_requested()) break;
            if (is_final(error) || (!received_once_ && !error.retryable())) {
                finish_shipping();
                throw;
            }
            if (spool_.end() > before) delay = settings_.first_reconnect;
            alarms_.raise(server_alarm, fmt::format("the log is not received: {}", error.message()));
        }
        {
            const std::scoped_lock lock(mutex_);
            exposure_.disconnected(now());
        }
        if (stop_.stop_requested()) break;
        set_phase("reconnecting");
        if (spool_is_full()) {
            wait_for_room();
            continue;
        }
        pause(delay);
        delay = std::min(delay * 2, settings_.last_reconnect);
    }
    if (!finish_shipping() && shipper_)
        repository_.logger().warning(
            "what is not archived stays in the spool and is stored at the next start",
            {{"spool", receive_directory(settings_.spool_directory)}});
}

void WalReceiver::session() {
    LogServer server(settings_.server, stop_, repository_.logger());
    meet(server);
    const WalPosition place = find_place(server);
    if (spool_.end() != place) enter(server, place);
    while (!stop_.stop_requested()) {
        switch (stream(server)) {
        case StreamResult::next_timeline:
            continue;
        case StreamResult::log_removed:
            pass_gap(server);
            continue;
        case StreamResult::reconnect:
        case StreamResult::spool_full:
            return;
        }
    }
}

void WalReceiver::meet(const LogServer& server) {
    const std::uint64_t identifier = server.identity().system_identifier;
    if (archive_ && system_identifier_ != identifier) {
        throw Error(
            ErrorCode::already_exists,
            fmt::format("{} has the system identifier {}, but the log in {} is of {}", server.place(),
                        identifier, receive_directory(settings_.spool_directory), system_identifier_),
            "give this cluster a source of its own; or, if it has replaced the old one and the old log "
            "is archived, move that directory away and say --new-cluster");
    }
    if (!received_once_ && !settings_.new_cluster) {
        expect_same_cluster(repository_, settings_.source,
                            wal_archive_id(repository_.keys(), settings_.source, identifier),
                            settings_.spool_directory);
    }
    set_archive(identifier);
    spool_.set_segment_bytes(server.segment_bytes());
}

WalPosition WalReceiver::find_place(LogServer& server) {
    const std::optional<WalPosition> end = spool_.end();
    if (!end) return server.first_place();
    if (server.identity().timeline == end->timeline) return *end;
    const std::optional<std::string> text = spool_.history(end->timeline);
    const TimelineHistory ours =
        text ? TimelineHistory::parse(end->timeline, *text) : TimelineHistory(end->timeline);
    const NextPlace next =
        place_in(server.history(server.identity().timeline), ours, *end, server.segment_bytes());
    if (next.parted) {
        alarms_.raise(
            branch_alarm,
            fmt::format("the server left timeline {} at {}; what was received behind that, up to {}, is "
                        "of a branch that was given up, and stays in the archive",
                        end->timeline, next.parted->str(), end->lsn.str()));
    }
    return next.at;
}

void WalReceiver::enter(LogServer& server, WalPosition place) {
    const std::optional<WalPosition> end = spool_.end();
    if (place.timeline > 1 && (!end || end->timeline != place.timeline))
        spool_.put_history(place.timeline, server.history(place.timeline).text());
    spool_.begin_run(place);
    repository_.logger().info(
        "receiving the log",
        {{"source", settings_.source}, {"from", place.str()}, {"server", server.place()}});
    const std::scoped_lock lock(mutex_);
    if (shipper_) shipper_->notice();
}

WalReceiver::StreamResult WalReceiver::stream(LogServer& server) {
    const WalPosition begin = spool_.end().value();
    Streaming streaming{WalStream(server.replication(),
                                  {.start = begin.lsn,
                                   .timeline = begin.timeline,
                                   .slot = settings_.server.slot,
                                   .confirmed = Lsn{}},
                                  system_clock(), stop_),
                        begin.timeline,
                        {},
                        begin.lsn};
    // What the slot let go was acknowledged before: telling it less would take its promise back.
    if (server.slot().restart) streaming.told = {begin.timeline, *server.slot().restart};
    received_once_ = true;
    set_phase("streaming");
    alarms_.clear(server_alarm);
    try {
        for (;;) {
            const StreamEvent event = streaming.stream.next(patience(streaming), stop_);
            const bool goes_on = take(streaming, event);
            keep_up(streaming, !std::holds_alternative<Nothing>(event));
            if (!goes_on) {
                if (streaming.result == StreamResult::next_timeline) enter(server, streaming.next);
                return streaming.result;
            }
            if (spool_is_full()) return StreamResult::spool_full;
        }
    } catch (const Error& error) {
        if (error.code() != ErrorCode::cancelled || !stop_.stop_requested()) throw;
    }
    // The connection is kept until all is stored, so that the server learns of it.
    spool_.sync();
    finish_shipping();
    streaming.told_at = {};
    streaming.hurry_to = spool_.end();
    tell_server(streaming);
    return StreamResult::reconnect;
}

// False when the stream has ended.
bool WalReceiver::take(Streaming& streaming, const StreamEvent& event) {
    if (const WalData* data = std::get_if<WalData>(&event)) {
        const Lsn end = spool_.end().value().lsn;
        if (data->start != end) {
            throw Error(ErrorCode::corrupt,
                        fmt::format("the server sent its log from {} on, where {} comes next",
                                    data->start.str(), end.str()),
                        {}, true);
        }
        if (streaming.unsynced_bytes == 0) streaming.unsynced_since = now();
        streaming.unsynced_bytes += data->bytes.size();
        spool_.append(data->bytes);
        const std::scoped_lock lock(mutex_);
        server_end_ = data->server_end;
        exposure_.heard({streaming.timeline, std::max(server_end_, end + data->bytes.size())}, now());
    } else if (const Keepalive* alive = std::get_if<Keepalive>(&event)) {
        // A server that shuts down waits until all is acknowledged.
        if (alive->reply_requested) streaming.hurry_to = spool_.end();
        const std::scoped_lock lock(mutex_);
        server_end_ = alive->server_end;
        exposure_.heard({streaming.timeline, server_end_}, now());
    } else if (const TimelineEnd* end = std::get_if<TimelineEnd>(&event)) {
        // A server that does not say is asked anew.
        if (end->next > streaming.timeline) {
            streaming.result = StreamResult::next_timeline;
            streaming.next = {end->next, segment_begin(end->switch_point, spool_.segment_bytes())};
        }
        return false;
    } else if (std::holds_alternative<WalRemoved>(event)) {
        streaming.result = StreamResult::log_removed;
        return false;
    } else if (std::holds_alternative<ServerStopped>(event)) {
        alarms_.raise(server_alarm, "the server was shut down");
        return false;
    }
    return true;
}

// Makes durable what came, has it stored, and tells the server.
void WalReceiver::keep_up(Streaming& streaming, bool more_waits) {
    const bool hurry = streaming.hurry_to.has_value();
    const bool at_once = hurry || (settings_.synchronous && !more_waits);
    const bool synced = streaming.unsynced_bytes > 0 && (at_once || streaming.unsynced_bytes >= sync_bytes ||
                                                         now() - streaming.unsynced_since >= sync_interval);
    if (synced) {
        spool_.sync();
        streaming.unsynced_bytes = 0;
    }
    if (!shipper_ && spool_.header()) begin_shipping(system_identifier_);
    // Otherwise the shipper looks by itself every now and then.
    if (shipper_ && (hurry || (synced && settings_.synchronous))) shipper_->notice(hurry);
    tell_server(streaming);
}

void WalReceiver::tell_server(Streaming& streaming) {
    const WalPosition durable = acknowledgeable();
    const Lsn end = spool_.end().value().lsn;
    const bool is_news = durable.timeline == streaming.timeline && durable > streaming.told;
    const bool soon = settings_.synchronous || streaming.hurry_to;
    const bool due = now() - streaming.told_at >= told_interval;
    if (!(is_news && (soon || due)) && !(due && end != streaming.told_end)) return;
    if (is_news) streaming.told = durable;
    streaming.told_end = end;
    streaming.told_at = now();
    const Lsn flushed = streaming.told.timeline == streaming.timeline ? streaming.told.lsn : Lsn{};
    // A commit may wait for its log to be written only: that means as little as the spool.
    streaming.stream.report(settings_.synchronous ? flushed : std::max(end, flushed), flushed, flushed);
    if (streaming.hurry_to && streaming.told >= *streaming.hurry_to) streaming.hurry_to.reset();
}

// How long to wait for more log when there may be something else to do.
Duration WalReceiver::patience(const Streaming& streaming) const {
    const bool waits = streaming.told < spool_.end();
    if (settings_.synchronous && streaming.unsynced_bytes > 0) return {};
    if (waits && settings_.synchronous) return milliseconds(2);
    if (waits && streaming.hurry_to) return milliseconds(20);
    return waits ? milliseconds(250) : seconds(1);
}

Lsn WalReceiver::archived_from(WalPosition at) const {
    const WalRange range{at.timeline, at.lsn, Lsn{UINT64_MAX}};
    const std::vector<PathStep> path =
        find_path(archive_->slices_of(range, {.stop = stop_}), {at.timeline, at.lsn.value, UINT64_MAX});
    return path.empty() ? at.lsn : Lsn{path.back().end};
}

void WalReceiver::pass_gap(LogServer& server) {
    const WalPosition at = spool_.end().value();
    const Lsn covered = archived_from(at);
    // Somebody else has archived what follows ('holdfast wal push', or an earlier receiver).
    const Lsn behind = segment_begin(covered, server.segment_bytes());
    if (behind > at.lsn) {
        enter(server, {at.timeline, behind});
        return;
    }
    const std::optional<WalPosition> next = server.oldest_behind(at);
    if (!next) {
        throw Error(
            ErrorCode::unavailable,
            fmt::format("the server has the log from {} on no longer, and nothing behind it yet", at.str()),
            "is it the right server?", true);
    }
    const LogGap gap{at.timeline, covered, next->lsn};
    {
        const std::scoped_lock lock(mutex_);
        gaps_.push_back(gap);
        if (gaps_.size() > gaps_kept) gaps_.erase(gaps_.begin());
    }
    alarms_.raise(
        gap_alarm,
        fmt::format("the log of {} from {} to {} is lost: neither the server nor the archive has it, "
                    "and no moment behind it can be recovered from the snapshots before it. Make a new "
                    "snapshot now: holdfast backup {}",
                    settings_.source, WalPosition{gap.timeline, gap.begin}.str(), next->str(),
                    settings_.source));
    enter(server, *next);
}

bool WalReceiver::spool_is_full() const {
    return spool_.bytes() >=
           std::max(settings_.spool_limit_bytes, least_spool_segments * spool_.segment_bytes());
}

void WalReceiver::wait_for_room() {
    set_phase("waiting for room");
    const std::uint64_t limit = spool_.bytes();
    alarms_.raise(
        spool_alarm,
        fmt::format("the spool is full ({} MiB in {}): nothing more is received, and the server keeps "
                    "its log, which fills its disk. See to the repository, or raise --spool-limit",
                    limit >> 20, receive_directory(settings_.spool_directory)));
    while (spool_.bytes() > limit - limit / 8 && pause(milliseconds(200))) {
    }
    if (!stop_.stop_requested()) alarms_.clear(spool_alarm);
}

bool WalReceiver::finish_shipping() {
    if (!shipper_) return true;
    if (stop_.stop_requested()) return shipper_->finish(grace_.token());
    // An error ends the work, and nobody has asked for a stop yet: the grace counts from now.
    std::stop_source over;
    const std::jthread timer([&](const std::stop_token& done) {
        if (system_clock().sleep_for(settings_.stop_grace, done)) over.request_stop();
    });
    return shipper_->finish(over.get_token());
}

bool WalReceiver::pause(Duration duration) { return system_clock().sleep_for(duration, stop_); }

void WalReceiver::set_phase(const char* phase) {
    const std::scoped_lock lock(mutex_);
    phase_ = phase;
}

WalPosition WalReceiver::acknowledgeable() {
    const std::scoped_lock lock(mutex_);
    const std::optional<WalPosition> end = spool_.end();
    if (!end) return {};
    ReceivedSoFar so_far{*end, spool_.synced().value_or(WalPosition{}), {}};
    if (shipper_) so_far.archived = shipper_->so_far().archived;
    acknowledged_ = acknowledgement_.update(so_far, now());
    exposure_.archived(so_far.archived);
    return acknowledged_;
}

ReceiveState WalReceiver::state() {
    ReceiveState state;
    state.acknowledged = acknowledgeable();
    state.alarms = alarms_.texts();
    const std::scoped_lock lock(mutex_);
    state.source = settings_.source;
    state.archive = archive_ ? archive_->id().hex() : "";
    state.time = system_clock().now();
    state.phase = phase_;
    state.boot = boot_;
    state.server = server_end_;
    state.received = spool_.end().value_or(WalPosition{});
    state.spooled = spool_.synced().value_or(WalPosition{});
    if (shipper_) {
        const ShippedSoFar shipped = shipper_->so_far();
        state.archived = shipped.archived;
        state.last_commit = shipped.last_commit_end;
        state.last_commit_us = shipped.last_commit_us;
    }
    if (!state.last_commit && before_ && before_->archive == state.archive) {
        state.last_commit = before_->last_commit;
        state.last_commit_us = before_->last_commit_us;
    }
    state.exposure_seconds = std::chrono::duration<double>(exposure_.age(now())).count();
    state.spool_bytes = spool_.bytes();
    state.gaps = gaps_;
    return state;
}

void WalReceiver::publish() {
    const ReceiveState now_ = state();
    try {
        write_receive_state(receive_state_path(settings_.spool_directory), now_);
    } catch (const Error& error) {
        // The disk is full, most likely, which others say louder.
        repository_.logger().warning("the state of the receiver was not written",
                                     {{"reason", error.message()}});
    }
    if (settings_.report) settings_.report(now_);
}

void WalReceiver::report(const std::stop_token& ended) {
    do {
        acknowledgeable();
        bool fails = false;
        Duration stalled{};
        std::string why;
        {
            const std::scoped_lock lock(mutex_);
            fails = acknowledgement_.repository_fails();
            stalled = acknowledgement_.stalled_for(now());
            if (shipper_) why = shipper_->last_error();
        }
        if (!fails) {
            alarms_.clear(repository_alarm);
        } else if (!alarms_.raised(repository_alarm)) {
            alarms_.raise(repository_alarm,
                          fmt::format("for {} s nothing could be stored in the repository{}{}; {}",
                                      std::chrono::duration_cast<seconds>(stalled).count(),
                                      why.empty() ? "" : ": ", why,
                                      settings_.synchronous
                                          ? "nothing is acknowledged to the server"
                                          : "the server is told to forget what is in the spool alone"));
        }
        publish();
    } while (system_clock().sleep_for(report_interval, ended));
}

} // namespace holdfast::postgres
