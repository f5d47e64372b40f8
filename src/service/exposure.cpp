#include "service/exposure.h"

#include "base/error.h"
#include "postgres/archive/wal_archive.h"
#include "postgres/server/cluster_facts.h"
#include "postgres/server/connection.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

std::optional<double> Exposure::seconds(Timestamp now) const {
    if (!known) return std::nullopt;
    if (known->bytes == 0) return 0.0;
    return std::max(0.0, std::chrono::duration<double>(now - known->since).count());
}

Exposure measure_exposure(const std::string& connection, const Repository& repository,
                          const postgres::RecoverySource& from, const postgres::RecoveryWindow& window,
                          const std::stop_token& stop) {
    try {
        postgres::Connection server({.conninfo = connection}, stop, repository.logger());
        const postgres::ClusterFacts facts = postgres::read_cluster_facts(server, system_clock(), {}, stop);
        if (postgres::wal_archive_id(repository.keys(), from.name, facts.system_identifier) != from.archive)
            return {{}, "the server is another cluster than the one whose log this is"};
        return {postgres::log_exposure(from, window, facts.timeline, facts.position),
                fmt::format("no moment of the server's timeline {} can be recovered", facts.timeline)};
    } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled) throw;
        return {{}, error.message()};
    }
}

} // namespace holdfast
