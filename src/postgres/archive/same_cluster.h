// That the log of one source is of one cluster.
#pragma once

#include "repository/ids.h"
#include "repository/repository.h"

#include <string>

namespace holdfast::postgres {

// Throws Error(already_exists) when the newest snapshot of `source` is of another cluster than the one whose
// log goes to `archive`.
void expect_same_cluster(const Repository& repository, const std::string& source, const ArchiveId& archive);
// The same; what was found right is noted in `spool_directory`, which must exist, so that the snapshots are
// looked at once only.
void expect_same_cluster(const Repository& repository, const std::string& source, const ArchiveId& archive,
                         const std::string& spool_directory);

} // namespace holdfast::postgres
