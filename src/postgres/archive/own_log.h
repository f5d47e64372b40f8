// Whether the archive has the log of this very server: another may have written over the same positions, of a
// disk that was set back to an earlier state, or of a second primary.
#pragma once

#include "postgres/archive/wal_archive.h"

#include <optional>
#include <span>
#include <string>

namespace holdfast::postgres {

// Compares slices with the files of `wal_directory`, where a server runs that has written beyond them; needs
// no key for content. Returns the first whose content is another; files that are no longer there say nothing.
std::optional<LogSliceId> slice_of_another(const Repository& repository, const WalArchive& archive,
                                           std::span<const PathStep> path, const std::string& wal_directory,
                                           std::uint64_t segment_bytes, const CallOptions& call = {});

// Two slices that cannot both be of one log: they begin or end at the same place, and other records or
// commits are there. Slices that overlap otherwise are not compared.
std::optional<std::pair<LogSliceId, LogSliceId>>
contradiction(const WalArchive& archive, std::span<const LogSliceId> slices, const CallOptions& call = {});

} // namespace holdfast::postgres
