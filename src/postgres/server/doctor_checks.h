// The parts of an examination; see doctor.h. Each appends its checks to `checks`.
#pragma once

#include "postgres/server/doctor.h"

namespace holdfast::postgres {

// Version, identity, whether it is a primary, and settings that decide what its log is good for.
void check_cluster(const DoctorRequest& request, const ClusterFacts& facts, std::vector<Check>& checks);
// What the role may do.
void check_role(const DoctorRequest& request, const ClusterFacts& facts, std::vector<Check>& checks);
// Slots, and of streaming: the server lets us in, has senders left, and the slot keeps the log.
void check_replication(const DoctorRequest& request, const ClusterFacts& facts, Connection& connection,
                       std::vector<Check>& checks, Logger& logger, const std::stop_token& stop);
// archive_command and how it fares.
void check_archiving(const DoctorRequest& request, const ClusterFacts& facts, Connection& connection,
                     std::vector<Check>& checks, const std::stop_token& stop);
// The data directory and tablespaces, as seen from here.
void check_files(const DoctorRequest& request, const ClusterFacts& facts, std::vector<Check>& checks);
void check_clock(const ClusterFacts& facts, std::vector<Check>& checks);

// The functions that start and stop a backup, as GRANT names them: "pg_backup_start(text, boolean), …".
std::string backup_functions(int major);

} // namespace holdfast::postgres
