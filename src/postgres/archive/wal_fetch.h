// Files of the log out of the archive, as PostgreSQL's restore_command asks.
#pragma once

#include "base/clock.h"
#include "postgres/archive/wal_archive.h"
#include "repository/repository.h"

#include <stop_token>
#include <string>

namespace holdfast::postgres {

// Writes the file `name` of the archive to `destination`, whole or not at all. False when the archive has not
// its beginning: that is how PostgreSQL learns where the log ends. A segment of which only the beginning is
// archived is filled up with zeros, if nothing of its timeline lies behind: what is there is then the newest
// there is. `until`, unless 0: as if the archive ended there. Throws Error(not_found) when something lies
// behind a gap that is not closed within `gap_patience`, as it is by a receiver that stores several slices at
// once: to go on would lose it silently.
bool fetch_wal_file(const WalArchive& archive, const std::string& name, const std::string& destination,
                    std::uint64_t segment_bytes, std::stop_token stop, Lsn until = {},
                    Duration gap_patience = std::chrono::seconds(10));

// The size of the segments of a cluster, from any slice of its archive; 0 when the archive is empty.
std::uint64_t segment_bytes_of(const WalArchive& archive, const CallOptions& call = {});

} // namespace holdfast::postgres
