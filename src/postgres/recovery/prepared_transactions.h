// Prepared transactions (two-phase commit) of the time while a backup was running.
//
// A checkpoint writes each one that is open to a file of its own in pg_twophase. Of those that were prepared
// after the backup's own checkpoint, the log that is replayed has the record, so that the file is not needed.
// It is in the way: PostgreSQL from 17 on means to remove such a file when it starts, looks for it under the
// name of the epoch before (AdjustToFullTransactionId in src/backend/access/transam/twophase.c; seen with
// 17.11 and 18.6), and then passes over the record in the log because of the file: the transaction is not
// there, and what it holds is neither visible nor locked, until the server starts again.
#pragma once

#include "postgres/recovery/recovery_plan.h"
#include "postgres/recovery/snapshot_cluster.h"

#include <string>
#include <vector>

namespace holdfast::postgres {

// Of cluster.prepared, those that began after the checkpoint from which the recovery of `plan` starts: a
// server by its own rules removes them, in every version. Reads that checkpoint's record if there are any.
// Throws Error(corrupt) when the log does not have it, without which no server recovers; what
// RecoverySource::bytes_of throws.
std::vector<std::string> prepared_later(const RecoverySource& source, const RecoveryPlan& plan,
                                        const SnapshotCluster& cluster);

} // namespace holdfast::postgres
