// The server that the log comes from: its slot, what cluster and timeline it is, where it can go on.
#pragma once

#include "postgres/receive/wal_position.h"
#include "postgres/server/replication.h"
#include "postgres/server/slots.h"
#include "postgres/wal/timeline_history.h"

#include <optional>
#include <string>

namespace holdfast::postgres {

struct LogServerSettings {
    std::string conninfo;
    // How the receiver shows on the server, and counts in synchronous_standby_names.
    std::string application_name = "holdfast";
    std::string slot;
    // Make the slot when it is missing, or lost its log.
    bool create_slot = false;
};

// One connection for SQL, one for the stream. Not thread-safe.
class LogServer {
  public:
    // Connects and sees to the slot. Throws Error(not_found) when there is none, or it lost its log, and it
    // is not to be made; what connections throw. `logger` must outlive it.
    LogServer(const LogServerSettings& settings, std::stop_token stop, Logger& logger);

    ReplicationConnection& replication() { return replication_; }
    const SystemIdentity& identity() const { return identity_; }
    std::uint64_t segment_bytes() const { return segment_bytes_; }
    const SlotFacts& slot() const { return slot_; }
    const std::string& place() const { return sql_.place(); }

    // Throws Error(not_found, retryable) when the server has none, except for timeline 1.
    TimelineHistory history(TimelineId timeline);

    // For somebody who has nothing yet: the start of the segment from which the slot keeps the log, or of the
    // one that is written now.
    WalPosition first_place();
    // The oldest segment that the server still has behind `position`, on its own timeline; where the role may
    // not look, the one that is written now. Empty when that is not behind `position`.
    std::optional<WalPosition> oldest_behind(WalPosition position);

  private:
    void see_to_slot(const LogServerSettings& settings, Logger& logger);

    std::stop_token stop_;
    Connection sql_;
    SlotFacts slot_;
    std::uint64_t segment_bytes_ = 0;
    ReplicationConnection replication_;
    SystemIdentity identity_;
};

// Where to go on when all up to `at` was received on `ours`, and the server's timeline has the history
// `theirs`: at `at` itself, or, when they parted before it, at the segment of that point on the next timeline
// of theirs. Throws Error(corrupt) when they have nothing in common, and Error(unavailable, retryable) when
// the server is on an older timeline than ours.
struct NextPlace {
    WalPosition at;
    // Where the server left the timeline, when what was received behind that is of a branch it does not know.
    std::optional<Lsn> parted;
};
NextPlace place_in(const TimelineHistory& theirs, const TimelineHistory& ours, WalPosition at,
                   std::uint64_t segment_bytes);

} // namespace holdfast::postgres
