#include "postgres/receive/receive_status.h"

#include "base/error.h"

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

using std::chrono::seconds;

constexpr Duration report_interval = seconds(1);
constexpr std::size_t gaps_kept = 16;
constexpr const char* repository_alarm = "repository";
constexpr const char* waiting_for_room = "waiting for room";

} // namespace

ReceiveStatus::ReceiveStatus(const ReceiveSettings& settings, const WalSpool& spool,
                             const ArchiveSide& archive, Alarms& alarms, Logger& logger,
                             const std::optional<ReceiveState>& earlier)
    : settings_(settings),
      spool_(spool),
      archive_(archive),
      alarms_(alarms),
      logger_(logger),
      boot_(boot_id()),
      acknowledgement_(settings.synchronous != Synchronous::no, settings.repository_patience) {
    if (earlier) gaps_ = earlier->gaps;
}

void ReceiveStatus::set_phase(const char* phase) {
    const std::scoped_lock lock(mutex_);
    phase_ = phase;
}

void ReceiveStatus::heard(WalPosition end) {
    const std::scoped_lock lock(mutex_);
    server_end_ = end.lsn;
    exposure_.heard(end, now());
}

void ReceiveStatus::disconnected() {
    const std::scoped_lock lock(mutex_);
    exposure_.disconnected(now());
}

void ReceiveStatus::add_gap(const LogGap& gap) {
    const std::scoped_lock lock(mutex_);
    gaps_.push_back(gap);
    if (gaps_.size() > gaps_kept) gaps_.erase(gaps_.begin());
}

void ReceiveStatus::set_retention(const std::optional<SlotRetention>& retention) {
    const std::scoped_lock lock(mutex_);
    retention_ = retention;
}

WalPosition ReceiveStatus::acknowledgeable() {
    const std::scoped_lock lock(mutex_);
    const std::optional<WalPosition> end = spool_.end();
    if (!end) return {};
    const ReceivedSoFar so_far{*end, spool_.synced().value_or(WalPosition{}), archive_.so_far().archived};
    const WalPosition acknowledged = acknowledgement_.update(so_far, now());
    // Of a cluster that may be another one nothing is acknowledged.
    if (archive_.vouches_for_spool()) acknowledged_ = acknowledged;
    exposure_.archived(so_far.archived);
    return acknowledged_;
}

bool ReceiveStatus::server_must_keep() const {
    const std::scoped_lock lock(mutex_);
    if (phase_ == waiting_for_room) return true;
    return acknowledgement_.repository_fails() &&
           (settings_.synchronous != Synchronous::no || !archive_.vouches_for_spool());
}

std::string ReceiveStatus::last_commit() const {
    const ShippedSoFar shipped = archive_.so_far();
    return shipped.last_commit_us == 0
               ? std::string()
               : to_rfc3339(Timestamp(std::chrono::microseconds(shipped.last_commit_us)));
}

ReceiveState ReceiveStatus::state() {
    ReceiveState state;
    state.acknowledged = acknowledgeable();
    state.alarms = alarms_.texts();
    const ShippedSoFar shipped = archive_.so_far();
    const std::scoped_lock lock(mutex_);
    state.source = settings_.source;
    state.archive = archive_.archive_name();
    state.time = system_clock().now();
    state.phase = phase_;
    state.boot = boot_;
    state.server = server_end_;
    state.received = spool_.end().value_or(WalPosition{});
    state.spooled = spool_.synced().value_or(WalPosition{});
    state.archived = shipped.archived;
    state.last_commit = shipped.last_commit_end;
    state.last_commit_us = shipped.last_commit_us;
    state.exposure_seconds = std::chrono::duration<double>(exposure_.age(now())).count();
    state.spool_bytes = spool_.bytes();
    if (retention_) state.server_keeps_bytes = retention_->bytes;
    state.gaps = gaps_;
    return state;
}

void ReceiveStatus::publish() {
    const ReceiveState now_ = state();
    try {
        write_receive_state(receive_state_path(settings_.spool_directory), now_);
    } catch (const Error& error) {
        // The disk is full, most likely, which others say louder.
        logger_.warning("the state of the receiver was not written", {{"reason", error.message()}});
    }
    if (settings_.report) settings_.report(now_);
}

void ReceiveStatus::see_to_alarm() {
    acknowledgeable();
    const std::string why = archive_.last_error();
    bool fails = false;
    Duration stalled{};
    {
        const std::scoped_lock lock(mutex_);
        fails = acknowledgement_.repository_fails();
        stalled = acknowledgement_.stalled_for(now());
    }
    if (!fails) return alarms_.clear(repository_alarm);
    if (alarms_.raised(repository_alarm)) return;
    const bool let_go = settings_.synchronous == Synchronous::no && archive_.vouches_for_spool();
    alarms_.raise(repository_alarm,
                  fmt::format("for {} s nothing could be stored in the repository{}{}; {}",
                              std::chrono::duration_cast<seconds>(stalled).count(), why.empty() ? "" : ": ",
                              why,
                              let_go ? "the server is told to forget what is in the spool alone"
                                     : "nothing is acknowledged to the server"));
}

void ReceiveStatus::report(const std::stop_token& ended) {
    do {
        see_to_alarm();
        publish();
    } while (system_clock().sleep_for(report_interval, ended));
}

} // namespace holdfast::postgres
