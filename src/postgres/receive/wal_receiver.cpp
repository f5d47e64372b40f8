#include "postgres/receive/wal_receiver.h"

#include "base/error.h"
#include "postgres/receive/final_error.h"
#include "postgres/receive/resume_place.h"

#include <algorithm>
#include <thread>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t least_spool_segments = 4;

constexpr const char* server_alarm = "server";
constexpr const char* spool_alarm = "spool";
constexpr const char* gap_alarm = "gap";
constexpr const char* branch_alarm = "branch";

std::string place_for_spool(const ReceiveSettings& settings) {
    create_directories_private(settings.spool_directory);
    return receive_directory(settings.spool_directory);
}

// What the log in the spool is of, once what may be anything was cut off its end: when the machine itself had
// stopped, what was not synced. All that stays is durable then.
std::optional<std::uint64_t> look_into(WalSpool& spool, const std::optional<ReceiveState>& before,
                                       Logger& logger) {
    const std::optional<SegmentHeader> of = spool.header();
    if (!of) return std::nullopt;
    if (!before || before->boot.empty() || before->boot != boot_id()) {
        if (const std::uint64_t dropped = spool.drop_what_was_not_synced(); dropped > 0)
            logger.info("the end of the spool is asked for again", {{"bytes", dropped}});
    }
    // What the run before has appended may be on its way to the disk.
    spool.sync();
    return of->system_identifier;
}

} // namespace

WalReceiver::WalReceiver(const OpenArchive& open, const ReceiveSettings& settings, Logger& logger,
                         std::stop_token stop)
    : settings_(settings),
      logger_(logger),
      stop_(std::move(stop)),
      grace_(stop_, settings.stop_grace, system_clock()),
      alarms_(logger, settings.source),
      spool_(place_for_spool(settings)),
      before_(read_receive_state(receive_state_path(settings.spool_directory))),
      system_identifier_(look_into(spool_, before_, logger)),
      archive_(open, settings, spool_, before_, alarms_),
      status_(settings, spool_, archive_, alarms_, logger, before_) {}

ReceiveResult WalReceiver::run() {
    bool all_stored = false;
    {
        const std::jthread reporter([this](const std::stop_token& ended) { status_.report(ended); });
        const std::jthread watcher([this](const std::stop_token& ended) {
            watch_slot(
                settings_.server, settings_.slot_interval, [this] { return status_.server_must_keep(); },
                [this](const std::optional<SlotRetention>& found) { status_.set_retention(found); }, alarms_,
                logger_, ended);
        });
        all_stored = receive();
    }
    status_.set_phase("stopped");
    status_.publish();
    return {status_.state(), all_stored};
}

bool WalReceiver::receive() {
    Duration delay = settings_.first_reconnect;
    while (!stop_.stop_requested()) {
        const std::optional<WalPosition> before = spool_.end();
        try {
            session();
            archive_.rethrow_if_hopeless();
            delay = spool_.end() > before ? settings_.first_reconnect : delay;
        } catch (const Error& error) {
            if (stop_.stop_requested()) break;
            if (ends_receiving(error, received_once_)) {
                finish_storing();
                throw;
            }
            archive_.rethrow_if_hopeless();
            if (spool_.end() > before) delay = settings_.first_reconnect;
            tell_not_received(error);
        }
        status_.disconnected();
        if (stop_.stop_requested()) break;
        status_.set_phase("reconnecting");
        if (spool_is_full()) {
            wait_for_room();
            continue;
        }
        pause(delay);
        delay = std::min(delay * 2, settings_.last_reconnect);
    }
    const bool all_stored = finish_storing();
    if (!all_stored)
        logger_.warning("what is not archived stays in the spool and is stored at the next start",
                        {{"spool", receive_directory(settings_.spool_directory)}});
    return all_stored;
}

void WalReceiver::tell_not_received(const Error& error) {
    const std::string last = status_.last_commit();
    alarms_.raise(
        server_alarm,
        fmt::format("the log is not received: {}{}{}", error.message(),
                    error.hint().empty() ? "" : fmt::format(" ({})", error.hint()),
                    last.empty() ? "" : fmt::format("; what was committed after {} is not stored", last)));
}

void WalReceiver::session() {
    LogServer server(settings_.server, stop_, logger_);
    meet(server);
    const WalPosition place = find_place(server);
    if (spool_.end() != place) enter(server, place);
    follow_server(server);
}

void WalReceiver::follow_server(LogServer& server) {
    while (!stop_.stop_requested()) {
        WalPosition next;
        switch (stream(server, next)) {
        case StreamResult::next_timeline:
            enter(server, next);
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

StreamResult WalReceiver::stream(LogServer& server, WalPosition& next) {
    const ServerStream::Tools tools{settings_,
                                    spool_,
                                    archive_,
                                    status_,
                                    alarms_,
                                    stop_,
                                    [this] { finish_storing(); },
                                    [this] { return spool_is_full(); }};
    ServerStream stream(server, tools);
    received_once_ = true;
    status_.set_phase("streaming");
    alarms_.clear(server_alarm);
    const StreamResult result = stream.run();
    next = stream.next();
    return result;
}

void WalReceiver::meet(const LogServer& server) {
    const std::uint64_t identifier = server.identity().system_identifier;
    if (system_identifier_.value_or(identifier) != identifier) {
        throw Error(
            ErrorCode::already_exists,
            fmt::format("{} has the system identifier {}, but the log in {} is of {}", server.place(),
                        identifier, receive_directory(settings_.spool_directory), *system_identifier_),
            "give this cluster a source of its own; or, if it has replaced the old one and the old log "
            "is archived, move that directory away and say --new-cluster");
    }
    system_identifier_ = identifier;
    archive_.meet(identifier);
    // When the repository answers, nothing is received of a cluster that does not belong here.
    if (!received_once_ && !archive_.vouches_for_spool())
        archive_.wait_until_known(settings_.open_patience, stop_);
    archive_.rethrow_if_hopeless();
    spool_.set_segment_bytes(server.segment_bytes());
}

WalPosition WalReceiver::find_place(LogServer& server) {
    const std::optional<WalPosition> end = spool_.end();
    if (!end) return place_to_begin(server);
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

WalPosition WalReceiver::place_to_begin(LogServer& server) {
    const WalPosition first = server.first_place();
    if (const std::optional<WalArchive> archive = archive_.archive())
        return place_behind_archive(*archive, server, {.stop = stop_}).value_or(first);
    logger_.warning("the archive is not known yet: the log is received from where the slot keeps it",
                    {{"source", settings_.source}, {"from", first.str()}});
    return first;
}

void WalReceiver::enter(LogServer& server, WalPosition place) {
    const std::optional<WalPosition> end = spool_.end();
    if (place.timeline > 1 && (!end || end->timeline != place.timeline))
        spool_.put_history(place.timeline, server.history(place.timeline).text());
    spool_.begin_run(place);
    logger_.info("receiving the log",
                 {{"source", settings_.source}, {"from", place.str()}, {"server", server.place()}});
    archive_.notice();
}

void WalReceiver::pass_gap(LogServer& server) {
    const WalPosition at = spool_.end().value();
    archive_.wait_until_known(settings_.open_patience, stop_);
    const std::optional<WalArchive> archive = archive_.archive();
    const Lsn covered = archive ? archived_from(*archive, at, {.stop = stop_}) : at.lsn;
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
    tell_gap({at.timeline, covered, next->lsn});
    enter(server, *next);
}

void WalReceiver::tell_gap(const LogGap& gap) {
    status_.add_gap(gap);
    const std::string last = status_.last_commit();
    alarms_.raise(gap_alarm,
                  fmt::format("the log of {} from {} to {} is lost: neither the server nor the archive{} has "
                              "it, and no moment {} can "
                              "be recovered until there is a new snapshot. Make one now: holdfast backup {}",
                              settings_.source, WalPosition{gap.timeline, gap.begin}.str(), gap.end.str(),
                              archive_.known() ? "" : ", which could not be asked,",
                              last.empty() ? "behind it" : "after " + last, settings_.source));
}

bool WalReceiver::spool_is_full() const {
    return spool_.bytes() >=
           std::max(settings_.spool_limit_bytes, least_spool_segments * spool_.segment_bytes());
}

void WalReceiver::wait_for_room() {
    status_.set_phase("waiting for room");
    const std::uint64_t limit = spool_.bytes();
    alarms_.raise(
        spool_alarm,
        fmt::format("the spool is full ({} MiB in {}): nothing more is received, and the server keeps "
                    "its log, which fills its disk. See to the repository, or raise --spool-limit",
                    limit >> 20, receive_directory(settings_.spool_directory)));
    while (spool_.bytes() > limit - limit / 8 && pause(milliseconds(200))) {
        archive_.rethrow_if_hopeless();
    }
    if (!stop_.stop_requested()) alarms_.clear(spool_alarm);
}

bool WalReceiver::finish_storing() {
    if (stop_.stop_requested()) return archive_.finish(grace_.token());
    // An error ends the work, and nobody has asked for a stop yet: the grace counts from now.
    std::stop_source over;
    const std::jthread timer([&](const std::stop_token& done) {
        if (system_clock().sleep_for(settings_.stop_grace, done)) over.request_stop();
    });
    return archive_.finish(over.get_token());
}

bool WalReceiver::pause(Duration duration) { return system_clock().sleep_for(duration, stop_); }

} // namespace holdfast::postgres
