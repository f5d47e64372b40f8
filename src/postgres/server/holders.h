// Who keeps a session of the server waiting.
#pragma once

#include "base/clock.h"
#include "postgres/server/connection.h"

#include <stop_token>
#include <string>
#include <vector>

namespace holdfast::postgres {

struct Holder {
    int pid = 0;
    std::string backend_type; // "client backend", "checkpointer" …
    std::string user;
    std::string database;
    std::string application;
    std::string state;     // "idle in transaction" …
    std::string waits_for; // "Timeout CheckpointWriteDelay", "" when it works
    std::string lock;      // "AccessExclusiveLock on pg_proc": what it holds that others wait for
    std::string query;     // its beginning; empty when the role may not see it
    Duration busy_for{};   // since its transaction, or else its statement, began
    // "process 123 (client backend, user a, database b, idle in transaction for 12 s) holds …".
    std::string str() const;
};

struct HeldUp {
    // What the session itself waits for: "IPC CheckpointDone", "Lock relation", or "" when it works.
    std::string waits_for;
    // Whoever blocks it, directly or through others; for a wait for a checkpoint, the checkpointer.
    std::vector<Holder> holders;
    // One line for a message.
    std::string str() const;
};

// Asks over `connection` what the session with `pid` waits for. To see what other users do, its role must be
// a member of pg_read_all_stats.
HeldUp who_holds_up(Connection& connection, int pid, std::stop_token stop = {});

} // namespace holdfast::postgres
