// The commands of the streaming replication protocol.
//
// Source: PostgreSQL's documentation, chapter "Frontend/Backend Protocol", "Streaming Replication Protocol".
#pragma once

#include "postgres/server/connection.h"
#include "postgres/wal/lsn.h"

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>

namespace holdfast::postgres {

struct SystemIdentity {
    std::uint64_t system_identifier = 0;
    TimelineId timeline = 0;
    Lsn position; // durable on the server: a standby's is what it has received
};

struct SlotPosition {
    Lsn restart;                     // 0: it keeps nothing
    TimelineId restart_timeline = 0; // 0 as well then
};

// A connection in physical replication mode. Not thread-safe.
class ReplicationConnection {
  public:
    // The role must have the attribute REPLICATION, and pg_hba.conf must let it in for "replication".
    explicit ReplicationConnection(ConnectionSettings settings, std::stop_token stop = {},
                                   Logger& logger = silent_logger());

    SystemIdentity identify(std::stop_token stop = {});
    // The content of the timeline's history file; nothing when the server has none (timeline 1 never has).
    std::optional<std::string> timeline_history(TimelineId timeline, std::stop_token stop = {});
    // From PostgreSQL 15 on; before, Error(unsupported). Nothing when there is no physical slot of that name.
    std::optional<SlotPosition> read_slot_position(const std::string& slot, std::stop_token stop = {});

    Connection& connection() { return connection_; }
    int server_version() const { return connection_.server_version(); }

  private:
    Connection connection_;
};

} // namespace holdfast::postgres
