// Receives the log of a running server and keeps its archive up to date, for as long as one likes.
//
// The log comes through a replication slot, is written to a spool directory, and from there goes to the
// archive. The server is told to forget what is in the archive; while the repository fails, what is durable
// in the spool.
#pragma once

#include "base/log.h"
#include "postgres/receive/log_server.h"
#include "postgres/receive/receive_state.h"
#include "postgres/receive/wal_shipper.h"
#include "repository/repository.h"

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

namespace holdfast::postgres {

// What the receiver tells a server whose commits wait for it, as a synchronous standby.
enum class Synchronous {
    no,
    // What is durable in the spool is written (synchronous_commit = remote_write waits for that), and told at
    // once; what is durable in the repository is flushed (synchronous_commit = on), as it comes to be.
    spool,
    // Only what is durable in the repository is anything, and that as soon as possible.
    repository,
};

struct ReceiveSettings {
    std::string source;
    LogServerSettings server;
    // Of the source on this machine; the receiver has a folder in it, of which it is the only user.
    std::string spool_directory;
    // When the spool is larger, nothing more is received until there is room. Never below four segments.
    std::uint64_t spool_limit_bytes = std::uint64_t{8} << 30;
    // Unless no: only what is durable in the repository is ever acknowledged as flushed, however long that
    // takes.
    Synchronous synchronous = Synchronous::no;
    // Another cluster than the one that the newest snapshot of the source is of may take its place.
    bool new_cluster = false;
    ShipperSettings shipping;
    // An empty spool says nothing of where to go on; the archive may. For how long to wait for it.
    Duration open_patience = std::chrono::seconds(10);
    // How often it is asked what the server keeps for the slot, while it has to.
    Duration slot_interval = std::chrono::seconds(10);
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

// Opens the repository, or throws; called on another thread, again after an error.
using OpenArchive = std::function<std::shared_ptr<Repository>()>;

struct ReceiveResult {
    ReceiveState last;
    bool all_stored = false; // what was received; else the rest waits in the spool for the next start
};

// Returns when `stop` was requested. While the repository cannot be opened, what comes
// goes to the spool alone; the server is told to forget it only when an earlier run has found that the spool
// is of the source's cluster. Throws Error(already_exists) when another receiver is at work with this spool
// directory, or the server is another cluster than the source; and when the first attempt to receive, or to
// open the repository, fails in a way that waiting does not mend. Later failures are waited out and told as
// alarms. `logger` must outlive the call.
ReceiveResult receive_wal(const OpenArchive& open, const ReceiveSettings& settings, Logger& logger,
                          std::stop_token stop);
// With a repository that is open already.
ReceiveResult receive_wal(Repository& repository, const ReceiveSettings& settings, std::stop_token stop);

} // namespace holdfast::postgres
