// A stretch of a server's log into the archive, asked for once: for backups of servers whose files are
// elsewhere.
#pragma once

#include "postgres/archive/slice_intake.h"
#include "postgres/server/replication.h"
#include "postgres/wal/wal_reader.h"

#include <stop_token>

namespace holdfast::postgres {

// Stores `range` of the server's log, from the beginning of its first segment on; `of` is what the log is of,
// and its timeline that of the range. `connection` does nothing else meanwhile, and can be used afterwards
// when it went well. `limit`: how long the server may send nothing that is wanted; 0: without limit.
//
// Throws Error(not_found) when the server has removed that log, Error(unavailable, retryable) when it left
// the timeline before, or shuts down, Error(timed_out, retryable), and what connections and stores throw.
void receive_range(ReplicationConnection& connection, const WalSource& of, const WalRange& range,
                   Duration limit, SliceIntake& intake, Clock& clock, std::stop_token stop);

} // namespace holdfast::postgres
