// What this server does in the repository is known to it at once, and not only from its next look, which may
// take long: who has been answered that something is done asks about it next.
#pragma once

#include "base/log.h"
#include "execution/executor.h"
#include "server/repository_desk.h"
#include "server/repository_view.h"

namespace holdfast {

// What is said of `snapshot` in the repository now. Throws what listing statements throws.
void learn_what_is_said(RepositoryObserver& observer, Repository& repository, const Snapshot& snapshot);

// The snapshot that an operation made, or those that it forgot; to be called before its end is told. What
// cannot be read is logged, and known from the next look on.
void learn_what_was_done(RepositoryObserver& observer, RepositoryDesk& desk, const Operation& operation,
                         const ExecutionOutcome& outcome, Logger& logger);

} // namespace holdfast
