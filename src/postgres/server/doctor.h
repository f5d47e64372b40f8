// Everything that protecting a source needs of its server, looked at, and how to mend what is amiss.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "postgres/server/cluster_facts.h"
#include "postgres/server/connection.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace holdfast::postgres {

enum class CheckState {
    ok,
    warning, // works, with a risk or a cost that should be known
    failed,  // something that is wanted cannot work like this
};
// "ok", "warning", "failed".
std::string_view to_string(CheckState state);

struct Check {
    std::string name; // such as "wal_level"; stays the same between versions
    CheckState state = CheckState::ok;
    std::string found;
    std::string mend; // the exact SQL, setting or command; empty when all is well
};

struct DoctorRequest {
    ConnectionSettings connection{};
    // Where the data directory can be read from here; nothing: the cluster is read over the replication
    // protocol.
    std::optional<std::string> data_directory{};
    // Whether the log is to be streamed, and through which slot (empty: none).
    bool streams = true;
    std::string slot{};
    // Whether archive_command is to push the log.
    bool archives = false;
    // Throws Error(already_exists) when the cluster of this system identifier is not the one that is
    // protected as this source, and what reaching for the answer throws. Empty: that is not asked.
    std::function<void(std::uint64_t system_identifier)> expect_cluster{};
};

// One entry per check, in an order that reads well. Connects by itself; a server that cannot be reached is a
// failed check, and the only one. Throws Error(cancelled).
std::vector<Check> examine_server(const DoctorRequest& request, Clock& clock = system_clock(),
                                  Logger& logger = silent_logger(), std::stop_token stop = {});

} // namespace holdfast::postgres
