// The receiver at work: the parts of receive_wal().
#pragma once

#include "base/stop_grace.h"
#include "postgres/receive/alarms.h"
#include "postgres/receive/archive_side.h"
#include "postgres/receive/receive_status.h"
#include "postgres/receive/server_stream.h"

#include <optional>

namespace holdfast::postgres {

class WalReceiver {
  public:
    // What is given must outlive it.
    WalReceiver(const OpenArchive& open, const ReceiveSettings& settings, Logger& logger,
                std::stop_token stop);

    // See receive_wal().
    ReceiveResult run();

  private:
    // Until it is to stop; whether all that was received is stored.
    bool receive();
    // From connecting until the connection is of no more use.
    void session();
    void meet(const LogServer& server);
    void follow_server(LogServer& server);
    StreamResult stream(LogServer& server, WalPosition& next);
    WalPosition find_place(LogServer& server);
    // For an empty spool.
    WalPosition place_to_begin(LogServer& server);
    void enter(LogServer& server, WalPosition place);
    // The server no longer has what comes next: goes on behind it.
    void pass_gap(LogServer& server);
    void tell_gap(const LogGap& gap);
    void tell_not_received(const Error& error);
    bool spool_is_full() const;
    void wait_for_room();
    bool finish_storing();
    bool pause(Duration duration);

    const ReceiveSettings& settings_;
    Logger& logger_;
    const std::stop_token stop_;
    const StopGrace grace_; // for storing what came, once a stop was requested
    Alarms alarms_;
    WalSpool spool_;
    const std::optional<ReceiveState> before_; // what the run before has left
    bool received_once_ = false;
    std::optional<std::uint64_t> system_identifier_; // of what is in the spool
    ArchiveSide archive_;
    ReceiveStatus status_;
};

} // namespace holdfast::postgres
