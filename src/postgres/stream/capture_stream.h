// A cluster's files into a snapshot, as the server sends them: the same tree as capture_cluster makes.
#pragma once

#include "postgres/capture/capture_cluster.h"
#include "postgres/stream/cluster_stream.h"

#include <string>

namespace holdfast::postgres {

struct StreamCaptureRequest {
    // Another cluster is refused.
    std::uint64_t system_identifier = 0;
    std::string spill_directory{}; // as SpillFile takes it
    Logger* logger = &silent_logger();
};

struct StreamCapture {
    ClusterCapture cluster;
    std::string label_text;
    std::string tablespace_map; // empty without tablespaces
    BaseBackupEnd end;
};

// Captures all of `stream`, of which the start was waited for. Of large files the pages that the run's parent
// has are not stored again, and small files that any snapshot has are not. `stop` and errors are as for
// capture_cluster; Error(incompatible) when the server sends what no version from 13 to 18 does.
//
// Memory: what waits in the stream, and what UnorderedTree holds, since servers send directories unsorted.
StreamCapture capture_stream(BackupRun& run, ClusterStream& stream, const StreamCaptureRequest& request,
                             std::stop_token stop);

} // namespace holdfast::postgres
