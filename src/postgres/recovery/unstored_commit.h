// The oldest commit that would be lost with its server: looked for in the log that is not stored.
#pragma once

#include "postgres/recovery/recovery_source.h"
#include "postgres/server/written_log.h"
#include "postgres/wal/wal_reader.h"

#include <functional>
#include <optional>

namespace holdfast::postgres {

// Reads `log` from its server, as read_log_files() and stream_log() do.
using ReadLog = std::function<void(const WrittenLog& log, const TakeLog& take)>;

// When the first commit was made of which the record does not lie before `log.begin` as a whole; nothing when
// there is none before `log.end`. `log.begin` is where what is stored ends, on the way to the server's
// timeline; of a record that lies across it the archive has the beginning. `of` is what the log is of, on any
// timeline.
//
// Throws Error(incompatible) when the archive does not say where that record begins, or more than 256 MiB
// have no commit; Error(corrupt) when the log cannot be followed to its end, or has the end of a transaction
// that is not understood; what `read` and the archive throw.
std::optional<Timestamp> first_unstored_commit(const RecoverySource& source, const WalSource& of,
                                               const WrittenLog& log, const ReadLog& read);

} // namespace holdfast::postgres
