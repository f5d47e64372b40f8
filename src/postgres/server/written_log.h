// Log that a server has written, read once: from its files, or as it sends it.
#pragma once

#include "base/bytes.h"
#include "base/clock.h"
#include "postgres/server/replication.h"
#include "postgres/wal/timeline_history.h"

#include <functional>
#include <stop_token>
#include <string>

namespace holdfast::postgres {

// The bytes from `begin` to `end` on the way to a timeline; the server has written them.
struct WrittenLog {
    TimelineHistory history;
    Lsn begin;
    Lsn end;
};

// Takes the next bytes, which are valid until it returns; false: no more are wanted.
using TakeLog = std::function<bool(ByteView)>;

// From the files in pg_wal of `data_directory`. Whether their content is of the positions that their names
// say is not looked at. Throws Error(not_found) when a segment is there no longer, and what the system
// throws.
void read_log_files(const std::string& data_directory, std::uint64_t segment_bytes, const WrittenLog& log,
                    const TakeLog& take);

// As the server sends it. It keeps nothing for this, is told nothing of what was received (so it does not
// count it as a synchronous standby), and `connection` is of no other use afterwards. Throws Error(not_found)
// when the server has removed some of it, Error(timed_out) when for `patience` nothing of it comes, and what
// connections throw.
void stream_log(ReplicationConnection& connection, const WrittenLog& log, Duration patience,
                const TakeLog& take, Clock& clock, const std::stop_token& stop);

} // namespace holdfast::postgres
