// What a receiver knows of itself while it is at work: how far it is, what the server may forget, what an
// operator must know.
#pragma once

#include "postgres/receive/acknowledgement.h"
#include "postgres/receive/archive_side.h"
#include "postgres/receive/exposure.h"
#include "postgres/receive/slot_retention.h"

#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace holdfast::postgres {

// Thread-safe.
class ReceiveStatus {
  public:
    // `earlier`: what the run before has left. What is given must outlive it.
    ReceiveStatus(const ReceiveSettings& settings, const WalSpool& spool, const ArchiveSide& archive,
                  Alarms& alarms, Logger& logger, const std::optional<ReceiveState>& earlier);

    void set_phase(const char* phase);
    // The server's log is known to reach up to `end`.
    void heard(WalPosition end);
    void disconnected();
    void add_gap(const LogGap& gap);
    // What the server keeps for us, while nothing is acknowledged; nothing: not known.
    void set_retention(const std::optional<SlotRetention>& retention);

    // What may be told to the server as durable: never less than before.
    WalPosition acknowledgeable();
    // Nothing is acknowledged although there is something, so that the server keeps its log.
    bool server_must_keep() const;
    ReceiveState state();
    // The last commit that is stored, for people; "" when none is.
    std::string last_commit() const;
    // Writes the state file, and calls back.
    void publish();
    // Publishes once a second until `ended`, with the alarm for a repository that does not take anything.
    void report(const std::stop_token& ended);

  private:
    Duration now() const { return system_clock().steady(); }
    void see_to_alarm();

    const ReceiveSettings& settings_;
    const WalSpool& spool_;
    const ArchiveSide& archive_;
    Alarms& alarms_;
    Logger& logger_;
    const std::string boot_;

    mutable std::mutex mutex_; // of what follows
    std::string phase_ = "starting";
    Lsn server_end_;
    std::vector<LogGap> gaps_;
    Acknowledgement acknowledgement_;
    WalPosition acknowledged_;
    Exposure exposure_;
    std::optional<SlotRetention> retention_;
};

} // namespace holdfast::postgres
