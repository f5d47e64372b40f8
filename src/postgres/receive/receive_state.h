// What a receiver says of itself, for others and for its own next start.
#pragma once

#include "base/clock.h"
#include "postgres/receive/wal_position.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace holdfast::postgres {

// Log that neither the server nor the archive had any more when it was asked for.
struct LogGap {
    TimelineId timeline = 0;
    Lsn begin;
    Lsn end;

    bool operator==(const LogGap&) const = default;
};

struct ReceiveState {
    std::string source;
    std::string archive; // its id in hexadecimal digits
    Timestamp time;      // of this report
    // starting, streaming, reconnecting, waiting for room, stopped
    std::string phase;
    std::string boot; // which run of the machine this was written in
    Lsn server;       // the end of the log there, as last heard
    WalPosition received;
    WalPosition spooled; // durable in the spool directory
    WalPosition archived;
    WalPosition acknowledged; // as durable
    Lsn last_commit;          // the last archived one's end; 0: none yet
    std::int64_t last_commit_us = 0;
    double exposure_seconds = 0;
    std::uint64_t spool_bytes = 0;
    // What the server's slot keeps, while it has to because we take nothing.
    std::optional<std::uint64_t> server_keeps_bytes;
    std::vector<LogGap> gaps; // the newest ones
    std::vector<std::string> alarms;
};

// One line of JSON.
std::string to_json_text(const ReceiveState& state);

// Replaces `path` atomically, without waiting for the disk: after a crash of the machine it may be an older
// one, or unreadable.
void write_receive_state(const std::string& path, const ReceiveState& state);
// Nothing when there is none that can be read.
std::optional<ReceiveState> read_receive_state(const std::string& path);

// Tells this run of the machine from others; empty when the system does not say.
std::string boot_id();

} // namespace holdfast::postgres
