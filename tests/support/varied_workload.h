// SQL that makes a server write records of all kinds.
#pragma once

#include "support/postgres_server.h"

namespace holdfast::test {

// What the server needs for it; more lines of postgresql.conf.
inline constexpr const char* varied_workload_settings = "max_prepared_transactions = 10\n"
                                                        "track_commit_timestamp = on\n"
                                                        "shared_buffers = 2MB\n"
                                                        "autovacuum_naptime = 1s\n"
                                                        "fsync = off\n";

// All indexes, HOT and other updates, TOAST, locks, subtransactions, two-phase commit, truncation by vacuum
// and by command, rewrites, sequences, unlogged tables, moves between tablespaces, databases by both
// strategies, checkpoints. Can run any number of times (`round` tells them apart); some of what it makes
// stays.
void run_varied_workload(const PostgresServer& server, int round);

} // namespace holdfast::test
