#include "postgres/server/replication.h"

#include "postgres/server/row.h"
#include "postgres/server/slots.h"

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr std::string_view undefined_file = "58P01";
constexpr int read_slot_since = 150000;

ConnectionSettings for_replication(ConnectionSettings settings) {
    settings.replication = true;
    return settings;
}

} // namespace

ReplicationConnection::ReplicationConnection(ConnectionSettings settings, std::stop_token stop,
                                             Logger& logger)
    : connection_(for_replication(std::move(settings)), std::move(stop), logger) {}

SystemIdentity ReplicationConnection::identify(std::stop_token stop) {
    const QueryResult result = connection_.query("IDENTIFY_SYSTEM", {}, stop);
    const Row row = only_row(result);
    return {row.number<std::uint64_t>("systemid"), row.number<TimelineId>("timeline"),
            row.lsn("xlogpos").value_or(Lsn{})};
}

std::optional<std::string> ReplicationConnection::timeline_history(TimelineId timeline,
                                                                   std::stop_token stop) {
    try {
        const QueryResult result = connection_.query(fmt::format("TIMELINE_HISTORY {}", timeline), {}, stop);
        return only_row(result).text("content");
    } catch (const ServerError& error) {
        if (error.sqlstate() != undefined_file) throw;
        return std::nullopt;
    }
}

std::optional<SlotPosition> ReplicationConnection::read_slot_position(const std::string& slot,
                                                                      std::stop_token stop) {
    if (server_version() < read_slot_since) {
        throw Error(ErrorCode::unsupported,
                    "PostgreSQL before 15 does not tell a slot's position over replication",
                    "ask pg_replication_slots over an ordinary connection");
    }
    if (!is_slot_name(slot)) return std::nullopt;
    const QueryResult result = connection_.query("READ_REPLICATION_SLOT " + slot, {}, stop);
    const Row row = only_row(result);
    if (row.is_null("slot_type")) return std::nullopt;
    return SlotPosition{row.lsn("restart_lsn").value_or(Lsn{}),
                        row.optional_number<TimelineId>("restart_tli").value_or(0)};
}

} // namespace holdfast::postgres
