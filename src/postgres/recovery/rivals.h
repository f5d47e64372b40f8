// Contents of one stretch of the log that truly are rivals: of two servers, not of one and a torn write.
#pragma once

#include "postgres/archive/wal_archive.h"
#include "postgres/recovery/log_versions.h"

namespace holdfast::postgres {

// Reads all contents of a stretch that has several, and takes out what is none: those that cannot be read,
// and those of which no record is known where they differ from another one and that nothing goes on from.
// Returns the slices that only those had. Throws what the source's functions throw but for what is damaged or
// gone.
std::vector<LogSliceId> drop_what_is_none(const RecoverySource& source, LogStretch& stretch);

// For who fetches log without a plan: throws Error(incompatible) when the archive has rivals for any of
// `range`, since nobody has told which of them is meant. One short listing, and no more where slices of
// several runs do not overlap.
void refuse_rivals(const WalArchive& archive, const WalRange& range, const CallOptions& call = {});

} // namespace holdfast::postgres
