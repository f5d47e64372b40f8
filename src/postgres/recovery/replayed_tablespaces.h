// Tablespaces that a recovery makes: where they may lie, and how the server is brought to put them there.
//
// A server that replays such a record takes the directory that it names by its absolute path, and a link made
// beforehand is replaced. On the machine of the source that is the directory of the running original, whose
// files both would then write and remove. So the place is decided before anything is written, and where it is
// another one, the server is given a log that names that one.
#pragma once

#include "postgres/archive/log_replacement.h"
#include "postgres/recovery/replayed_log.h"
#include "postgres/recovery/restore_target.h"

#include <span>

namespace holdfast::postgres {

struct ReplayedTablespace {
    Oid oid = 0;
    std::string place; // absolute
};

struct ReplayedTablespaces {
    // Those that the snapshot does not have. They must be there, and empty, before the server starts.
    std::vector<ReplayedTablespace> made;
    // What the server must read otherwise than it was written.
    std::vector<LogReplacement> replacements;
};

// The places that are named for tablespaces that the log makes, taken out of `wanted`: the rest is for
// tablespace_places.
std::vector<TablespacePlace> take_places_of_replayed(const SnapshotCluster& cluster, const ReplayedLog& log,
                                                     std::vector<TablespacePlace>& wanted);

// Decides. `places` are those of the snapshot's tablespaces, which such a record moves too when it lies
// between the snapshot's start and its end. Throws Error(usage) when a place is in use and none other was
// named, is not absolute, is longer than the record has room for, or is another tablespace's. `in_place`:
// what `target` has under its own link may be used, and is emptied.
ReplayedTablespaces place_replayed_tablespaces(const SnapshotCluster& cluster, const ReplayedLog& log,
                                               const std::string& target,
                                               const std::vector<std::string>& places,
                                               const std::vector<TablespacePlace>& wanted,
                                               const RecoverySource& source, bool in_place);

} // namespace holdfast::postgres
