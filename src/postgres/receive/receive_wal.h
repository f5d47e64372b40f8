// Receives the log of a running server and keeps its archive up to date, for as long as one likes.
//
// The log comes through a replication slot, is written to a spool directory, and from there goes to the
// archive. The server is told to forget what is in the archive; while the repository fails, what is durable
// in the spool.
#pragma once

#include "postgres/receive/log_server.h"
#include "postgres/receive/receive_state.h"
#include "postgres/receive/wal_shipper.h"
#include "repository/repository.h"

#include <functional>
#include <stop_token>
#include <string>

namespace holdfast::postgres {

struct ReceiveSettings {
    std::string source;
    LogServerSettings server;
    // Of the source on this machine; the receiver has a folder in it, of which it is the only user.
    std::string spool_directory;
    // When the spool is larger, nothing more is received until there is room. Never below four segments.
    std::uint64_t spool_limit_bytes = std::uint64_t{8} << 30;
    // Only what is durable in the repository is ever acknowledged, and that as soon as possible.
    bool synchronous = false;
    // Another cluster than the one that the newest snapshot of the source is of may take its place.
    bool new_cluster = false;
    ShipperSettings shipping;
    // For how long the repository may stand still before the spool is acknowledged in its place.
    Duration repository_patience = std::chrono::minutes(1);
    // When asked to stop: for storing what came.
    Duration stop_grace = std::chrono::seconds(30);
    // After a lost connection: doubled from the first to the last.
    Duration first_reconnect = std::chrono::milliseconds(500);
    Duration last_reconnect = std::chrono::seconds(30);
    // Called about every second, and at the end, on a thread of its own; may be empty.
    std::function<void(const ReceiveState&)> report;
};

// The receiver's folder, and in it the file that tells others its state.
std::string receive_directory(const std::string& spool_directory);
std::string receive_state_path(const std::string& spool_directory);

// Returns when `stop` was requested, with the last state. Throws Error(already_exists) when another receiver
// is at work with this spool directory, or the server is another cluster than the source; and when the first
// attempt to receive fails in a way that waiting does not mend. Later failures are waited out and told as
// alarms.
ReceiveState receive_wal(Repository& repository, const ReceiveSettings& settings, std::stop_token stop);

} // namespace holdfast::postgres
