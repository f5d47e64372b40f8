// Where a cluster is restored to: whether that may be done, and what is there.
#pragma once

#include "postgres/recovery/snapshot_cluster.h"

#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace holdfast::postgres {

// A tablespace's new place, as it was typed: by its number or its name.
struct TablespacePlace {
    std::string tablespace;
    std::string path;
};

// The server that runs over a data directory, when there is one; -1 when one seems to, by a postmaster.pid
// whose process cannot be looked at.
std::optional<pid_t> running_server(const std::string& data_directory);

// Where each tablespace of `cluster` goes, in its order. Throws Error(usage) for one that it does not have,
// a relative path, and two at one place.
std::vector<std::string> tablespace_places(const SnapshotCluster& cluster,
                                           const std::vector<TablespacePlace>& wanted);

// Throws Error(usage) when something is in the directory and it is not to be restored in place. `whole`: with
// all databases, so that it could be.
void require_place(const std::string& target, bool in_place, bool whole = true);

// Throws Error(usage) unless the cluster may be restored to `target` and its tablespaces to `places`: over a
// running server never; into directories that have something in them only in place, and when that is the
// same cluster. `whole` as above.
void check_restore_target(const SnapshotCluster& cluster, const std::string& target,
                          const std::vector<std::string>& places, bool in_place, bool whole = true);

} // namespace holdfast::postgres
