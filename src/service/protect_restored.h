// A recovered cluster protected again, as a source of its own.
#pragma once

#include "postgres/recovery/start_cluster.h"
#include "postgres/server/doctor.h"
#include "postgres/server/setup.h"
#include "service/back_up_postgres.h"

#include <string>
#include <vector>

namespace holdfast {

struct ProtectRestored {
    std::string source;           // the new name
    std::string data_directory{}; // of the recovered cluster
    // How an administrator of the server connects, and how the source will.
    std::string administrator{};
    std::string connection{};
    std::string role{}; // that the source connects as
    std::string slot{};
    std::string spool_directory{};
};

// Throws Error(already_exists) when the repository has snapshots or log of a source of this name. Before a
// restore is begun, so that it is not for nothing.
void require_new_source(const Repository& repository, const std::string& source);

// Makes role, slot and rights, as far as they are missing. Throws what connections throw.
postgres::SetupReport set_up_restored(const ProtectRestored& what, Logger& logger, std::stop_token stop);

// The first snapshot. Throws what back_up_postgres throws.
PostgresBackupResult back_up_restored(Repository& repository, const ProtectRestored& what, Progress& progress,
                                      std::stop_token stop);

// What 'holdfast doctor' would find of it now, its log received through the slot; see examine_server.
std::vector<postgres::Check> check_restored(const ProtectRestored& what, Logger& logger,
                                            std::stop_token stop);

// `connection` (of the original; may be empty) led to the server that was started, as `user` unless that is
// empty. Throws Error(usage) when it is no connection string.
std::string connection_to_restored(const std::string& connection, const postgres::StartedCluster& started,
                                   const std::string& user);

} // namespace holdfast
