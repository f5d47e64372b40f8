// Deletions of snapshots in the audit trail, whoever made them.
#pragma once

#include "base/log.h"
#include "catalog/audit.h"
#include "execution/executor.h"
#include "repository/repository.h"
#include "server/repository_view.h"

#include <cstddef>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

namespace holdfast {

// The action of its entries.
inline constexpr const char* forget_action = "snapshot.forget";

// The repository says which snapshots were forgotten, by which key, and when; it is asked for what the trail
// does not have: what a server that was killed did last, what somebody did from a command line, and, when the
// catalog was lost, all of it. Not thread-safe, but several servers may do this at once. The arguments
// outlive it.
class DeletionTrail {
  public:
    DeletionTrail(Audit& audit, Logger& logger) : audit_(audit), logger_(logger) {}

    // Enters what is missing, a part at each call, so that little else waits; returns how many entries there
    // were. What was forgotten by nobody who may is logged once and not entered. Throws what the store and
    // the catalog throw, and Error(cancelled) when it is stopped.
    std::size_t catch_up(Repository& repository, const std::stop_token& stop);

  private:
    std::size_t enter(Repository& repository, const std::vector<std::string>& names,
                      const std::stop_token& stop);

    Audit& audit_;
    Logger& logger_;
    std::set<std::string> seen_; // names that need not be looked at again
};

// The ids of the snapshots that an operation says at its end that it forgot; none where its result makes no
// sense.
std::vector<std::string> forgotten_ids(const Operation& operation, const ExecutionOutcome& outcome);

// Enters what an operation says at its end that it forgot, with its reasons, in the transaction that ends it;
// returns how many those were. `view`, which may be null, had those snapshots at its last look. A result that
// makes no sense is logged. Throws what the catalog throws.
std::size_t enter_deletions_of(Database& database, Audit& audit, const Operation& operation,
                               const ExecutionOutcome& outcome, const RepositoryView* view, Logger& logger);

} // namespace holdfast
