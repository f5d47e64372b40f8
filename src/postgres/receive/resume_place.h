// Where a receiver begins whose spool is empty, when the archive has log already.
#pragma once

#include "postgres/archive/wal_archive.h"
#include "postgres/receive/log_server.h"

#include <optional>
#include <span>

namespace holdfast::postgres {

// The start of the segment in which the archive's log ends: of its newest timeline that the server's history
// contains. It may be before what the slot keeps, which the server may still have all the same, and may be
// behind it, where another receiver or 'wal push' was at work. Nothing when there is none, or the server is
// not so far itself: then what it has is another log, and is received as it is.
std::optional<WalPosition> place_behind_archive(const WalArchive& archive, LogServer& server,
                                                const CallOptions& call);

// The newest position that `slices` have, without regard to gaps before it; `theirs` contains its timeline.
std::optional<WalPosition> newest_position(std::span<const LogSliceId> slices, const TimelineHistory& theirs);

} // namespace holdfast::postgres
