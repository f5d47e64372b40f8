// backup_manifest of a data directory: what lies there, with sums of what can be read there.
#pragma once

#include "base/progress.h"
#include "postgres/recovery/restored_sums.h"
#include "postgres/wal/lsn.h"

#include <stop_token>
#include <string>
#include <string_view>

namespace holdfast::postgres {

struct ClusterManifestRequest {
    std::string data_directory;
    std::string tablespace_folder; // the one of each tablespace that is this cluster's: "PG_15_202209061"
    int version = 0;
    std::uint64_t system_identifier = 0;
    WalRange wal; // from the start of the backup to its end
    unsigned workers = 1;
    // Of files that need no reading. None: every file is read.
    const RestoredSums* sums = nullptr;
};

// Writes `data_directory`/backup_manifest. It names every file there and in tablespaces, but for those
// of pg_wal, and reads those of which the sum is not known; memory is that of a few thousand names. Returns
// the number of files in it.
std::uint64_t write_cluster_manifest(const ClusterManifestRequest& request, std::stop_token stop);

} // namespace holdfast::postgres
