// /holdfast/cluster.json of a snapshot: what cluster it is of.
#pragma once

#include "postgres/files/backup_label.h"
#include "service/back_up_postgres.h"

namespace holdfast {

// As docs/format.md has it. All of `result` but the report must be filled in.
Bytes describe_cluster(const PostgresBackupResult& result, const postgres::BackupLabel& label);

} // namespace holdfast
