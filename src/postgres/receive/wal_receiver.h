// The receiver at work: the parts of receive_wal().
#pragma once

#include "base/stop_grace.h"
#include "postgres/receive/acknowledgement.h"
#include "postgres/receive/alarms.h"
#include "postgres/receive/exposure.h"
#include "postgres/receive/receive_wal.h"
#include "postgres/server/wal_stream.h"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>

namespace holdfast::postgres {

class WalReceiver {
  public:
    // What is given must outlive it.
    WalReceiver(Repository& repository, const ReceiveSettings& settings, std::stop_token stop);

    // See receive_wal().
    ReceiveState run();

  private:
    enum class StreamResult { next_timeline, log_removed, reconnect, spool_full };
    struct Streaming; // what one stream has on its way

    void begin_with_spool();
    void receive();
    // From connecting until the connection is of no more use.
    void session();
    void meet(const LogServer& server);
    WalPosition find_place(LogServer& server);
    void enter(LogServer& server, WalPosition place);
    StreamResult stream(LogServer& server);
    bool take(Streaming& streaming, const StreamEvent& event);
    void keep_up(Streaming& streaming, bool more_waits);
    void tell_server(Streaming& streaming);
    Duration patience(const Streaming& streaming) const;
    // The server no longer has what comes next: goes on behind it.
    void pass_gap(LogServer& server);
    Lsn archived_from(WalPosition at) const;
    bool spool_is_full() const;
    void wait_for_room();

    void begin_shipping(std::uint64_t system_identifier);
    void set_archive(std::uint64_t system_identifier);
    bool finish_shipping();

    void set_phase(const char* phase);
    WalPosition acknowledgeable();
    ReceiveState state();
    void report(const std::stop_token& ended);
    void publish();
    bool pause(Duration duration);
    Duration now() const { return system_clock().steady(); }

    Repository& repository_;
    const ReceiveSettings& settings_;
    const std::stop_token stop_;
    const StopGrace grace_; // for storing what came, once a stop was requested
    Alarms alarms_;
    WalSpool spool_;
    std::optional<ReceiveState> before_; // what the run before has left
    const std::string boot_;
    bool received_once_ = false;
    std::uint64_t system_identifier_ = 0;
    std::optional<WalArchive> archive_;

    mutable std::mutex mutex_; // of what follows, up to the shipper
    std::string phase_ = "starting";
    Lsn server_end_;
    std::vector<LogGap> gaps_;
    Acknowledgement acknowledgement_;
    WalPosition acknowledged_;
    Exposure exposure_;
    std::unique_ptr<WalShipper> shipper_;
};

} // namespace holdfast::postgres
