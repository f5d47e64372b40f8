#include "postgres/server/doctor.h"

#include "postgres/server/doctor_checks.h"

#include <fmt/format.h>

namespace holdfast::postgres {

std::string_view to_string(CheckState state) {
    switch (state) {
    case CheckState::ok:
        return "ok";
    case CheckState::warning:
        return "warning";
    case CheckState::failed:
        return "failed";
    }
    return "failed";
}

std::vector<Check> examine_server(const DoctorRequest& request, Clock& clock, Logger& logger,
                                  std::stop_token stop) {
    std::vector<Check> checks;
    std::optional<Connection> connection;
    std::optional<ClusterFacts> facts;
    try {
        connection.emplace(request.connection, stop, logger);
        checks.push_back({"connection", CheckState::ok, connection->place(), ""});
        facts = read_cluster_facts(*connection, clock, {}, stop);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled) throw;
        const bool connected = !checks.empty();
        checks.push_back(
            {connected ? "version" : "connection", CheckState::failed, error.message(), error.hint()});
        return checks;
    }
    check_cluster(request, *facts, checks);
    check_role(request, *facts, checks);
    check_replication(request, *facts, *connection, checks, logger, stop);
    check_archiving(request, *facts, *connection, checks, stop);
    check_files(request, *facts, checks);
    check_clock(*facts, checks);
    return checks;
}

} // namespace holdfast::postgres
