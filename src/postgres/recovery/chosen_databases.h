// Bringing back some databases of a cluster, the others as holes.
//
// A cluster without some of its databases does not recover: the log has records of all of them, and a server
// that finds a block missing that a record changes gives up. So the files of those that are left out come
// back in their lengths, without content: the first record behind the start of a snapshot that changes a page
// carries all of it (full_page_writes, which a backup forces on), and replay needs no more. Their pages that
// no record touches stay empty. Such a database cannot be used; it is there to be dropped.
#pragma once

#include "postgres/recovery/replayed_log.h"
#include "postgres/recovery/snapshot_cluster.h"

#include <functional>
#include <string>
#include <vector>

namespace holdfast::postgres {

struct DatabaseChoice {
    std::vector<SnapshotDatabase> left_out;
    // For people: what the log makes out of databases that are left out.
    std::vector<std::string> notes;

    bool everything() const { return left_out.empty(); }
};

// All databases that the snapshot names but `names` does not, save template0, template1 and postgres, which a
// server needs. Throws Error(usage) for a name that the snapshot does not have, for one that the log fills
// from a database that is left out, and when the log is of a time without full_page_writes.
DatabaseChoice choose_databases(const SnapshotCluster& cluster, const std::vector<std::string>& names,
                                const ReplayedLog& log);

// The patterns of the files in which databases that are left out have their rows: below the data directory,
// or a tablespace of which `tablespace_folder` is the server's own folder.
std::vector<std::string> data_patterns(const DatabaseChoice& choice);
std::vector<std::string> tablespace_patterns(const DatabaseChoice& choice,
                                             const std::string& tablespace_folder);

// The directories of databases that are left out, in the data directory and its tablespaces.
struct HoleDirectory {
    std::string path; // "base/16384", or "PG_15_202209061/16384" within tablespace `tablespace`
    Oid tablespace = 0;
    NodeRef children;
};
std::vector<HoleDirectory> hole_directories(NodeReader& nodes, const SnapshotCluster& cluster,
                                            const DatabaseChoice& choice);

// Calls `take` with name and size of each file that becomes a hole.
void for_each_hole(NodeReader& nodes, const HoleDirectory& directory,
                   const std::function<void(const std::string& name, std::uint64_t bytes)>& take);

struct HoleTotals {
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
};
HoleTotals count_holes(NodeReader& nodes, const std::vector<HoleDirectory>& directories);

} // namespace holdfast::postgres
