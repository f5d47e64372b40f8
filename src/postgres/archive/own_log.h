// Whether the archive has the log of this very server: another may have written over the same positions, of a
// disk that was set back to an earlier state, or of a second primary.
#pragma once

#include "postgres/archive/wal_archive.h"

#include <optional>
#include <span>
#include <string>

namespace holdfast::postgres {

// The files of a server that runs.
struct OwnLog {
    std::string directory; // pg_wal
    std::uint64_t segment_bytes = 0;
    // What lies behind may be nothing yet. Of a primary there is no end: nobody has what it has not written.
    Lsn end{UINT64_MAX};
};

// Compares slices with the server's files; returns the first whose content is another. Files that are no
// longer there say nothing, nor do slices that go on behind the end when the key does not read content. Every
// slice begins before the end.
std::optional<LogSliceId> slice_of_another(const Repository& repository, const WalArchive& archive,
                                           std::span<const PathStep> path, const OwnLog& own,
                                           const CallOptions& call = {});

} // namespace holdfast::postgres
