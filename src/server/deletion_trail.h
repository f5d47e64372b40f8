// Deletions of snapshots in the audit trail, whoever made them.
#pragma once

#include "catalog/audit.h"
#include "repository/repository.h"

#include <cstddef>
#include <set>

namespace holdfast {

// The action of its entries.
inline constexpr const char* forget_action = "snapshot.forget";

// The repository says which snapshots were forgotten, by which key, and when; it is asked for what the trail
// does not have: what a server that was killed did last, what somebody did from a command line, and, when the
// catalog was lost, all of it. Not thread-safe, but several servers may do this at once. The trail must
// outlive it.
class DeletionTrail {
  public:
    explicit DeletionTrail(Audit& audit) : audit_(audit) {}

    // Enters what is missing; returns how many entries there were. Throws what the store and the catalog
    // throw.
    std::size_t catch_up(Repository& repository);

  private:
    Audit& audit_;
    std::set<RunId> entered_; // as far as was seen here
};

} // namespace holdfast
