// What a snapshot holds of a cluster's files, against the files themselves: every byte but hint bits.
#pragma once

#include "postgres/wal/lsn.h"
#include "repository/repository.h"

#include <cstdint>
#include <string>

namespace holdfast::test {

struct SnapshotFiles {
    std::uint64_t files = 0;
    std::uint64_t pages = 0;
    std::uint64_t hinted = 0; // that differ by hints alone
    std::uint64_t newer = 0;  // that have changed since the snapshot began, by their log position
    std::string differences;  // a line for each; empty when there are none
};

enum class AtRest {
    // Nothing has written since the snapshot began. Then all forks, the commit log and its like must be equal
    // too, and the snapshot must have every file that the cluster has but those of unlogged relations.
    yes,
    // Pages that have changed since, by their log position, are left out; main and init forks alone are
    // compared.
    no,
};

// `start` is where the snapshot began. Of tablespaces only what both have is compared. The server must have
// written out what it wrote before `start`, as it has when the backup has begun. Of sequences, whose pages
// change without a record, the pages are compared only at rest.
SnapshotFiles compare_with_files(Repository& repository, const Snapshot& snapshot,
                                 const std::string& data_directory, postgres::Lsn start, AtRest at_rest);

} // namespace holdfast::test
