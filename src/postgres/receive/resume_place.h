// Where a receiver goes on by what the archive has: when its spool is empty, or the server has removed what
// comes next.
#pragma once

#include "postgres/archive/wal_archive.h"
#include "postgres/receive/log_server.h"

#include <optional>
#include <span>

namespace holdfast::postgres {

// The start of the segment in which the archive's log ends: of its newest timeline that the server's history
// contains. It may be before what the slot keeps, which the server may still have all the same, and may be
// behind it, where another receiver or 'wal push' was at work; then it is where the first of what the slot
// keeps is missing. Nothing when there is none, or the server is not so far itself: then what it has is
// another log, and is received as it is.
std::optional<WalPosition> place_behind_archive(const WalArchive& archive, LogServer& server,
                                                const CallOptions& call);

// How far the archive leads from `at` without a gap, by slices whose writers count.
Lsn archived_from(const WalArchive& archive, WalPosition at, const CallOptions& call = {});

// The one of `slices` that reaches farthest, without regard to gaps before it; `theirs` contains its
// timeline.
std::optional<LogSliceId> newest_slice(std::span<const LogSliceId> slices, const TimelineHistory& theirs);
// The same of those whose writers count.
std::optional<LogSliceId> newest_slice(const WalArchive& archive, const TimelineHistory& theirs,
                                       const CallOptions& call = {});

} // namespace holdfast::postgres
