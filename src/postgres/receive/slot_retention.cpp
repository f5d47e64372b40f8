#include "postgres/receive/slot_retention.h"

#include "base/clock.h"
#include "base/error.h"
#include "postgres/server/row.h"

#include <filesystem>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr const char* retention_alarm = "retention";
constexpr Duration look_whether_wanted = std::chrono::milliseconds(500);

// Of the newest log that the server has; what a standby has received it keeps as well.
constexpr const char* question =
    "SELECT greatest(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() "
    "ELSE pg_current_wal_lsn() END, restart_lsn), 0)::bigint AS bytes, wal_status, safe_wal_size, "
    "(SELECT setting FROM pg_settings WHERE name = 'max_slot_wal_keep_size') AS limit_mib, "
    "(SELECT setting FROM pg_settings WHERE name = 'data_directory') AS directory, "
    "inet_server_addr() IS NULL AS here "
    "FROM pg_replication_slots WHERE slot_name = $1";

std::optional<std::uint64_t> free_at(const std::string& data_directory) {
    for (const std::string& place : {data_directory + "/pg_wal", data_directory}) {
        std::error_code error;
        const std::filesystem::space_info space = std::filesystem::space(place, error);
        if (!error) return space.available;
    }
    return std::nullopt;
}

std::uint64_t mib(std::uint64_t bytes) { return bytes >> 20; }

} // namespace

std::optional<SlotRetention> read_slot_retention(const LogServerSettings& settings,
                                                 const std::stop_token& stop, Logger& logger) {
    ConnectionSettings connection;
    connection.conninfo = settings.conninfo;
    connection.application_name = settings.application_name + " questions";
    Connection sql(connection, stop, logger);
    const QueryResult result = sql.query(question, {settings.slot}, stop);
    if (result.rows.empty()) return std::nullopt;
    const Row row(result, 0);
    SlotRetention retention;
    retention.bytes = row.optional_number<std::uint64_t>("bytes").value_or(0);
    retention.wal_status = row.text_or_empty("wal_status");
    retention.safe_bytes = row.optional_number<std::int64_t>("safe_wal_size");
    if (const auto limit = row.optional_number<std::int64_t>("limit_mib"); limit && *limit >= 0)
        retention.limit_bytes = static_cast<std::uint64_t>(*limit) << 20;
    // A path of another machine would be taken for one of this.
    if (row.boolean("here")) retention.free_disk_bytes = free_at(row.text_or_empty("directory"));
    return retention;
}

std::string describe(const SlotRetention& retention, const std::string& slot) {
    std::string text =
        fmt::format("the server keeps {} MiB of its log for slot {}", mib(retention.bytes), slot);
    if (retention.wal_status == "lost") {
        text += "; it has removed log that the slot needs, because of max_slot_wal_keep_size";
    } else if (retention.limit_bytes) {
        text += fmt::format("; max_slot_wal_keep_size lets it keep {} MiB", mib(*retention.limit_bytes));
        if (retention.safe_bytes)
            text += fmt::format(
                ", so that log is lost after {} MiB more",
                *retention.safe_bytes > 0 ? mib(static_cast<std::uint64_t>(*retention.safe_bytes)) : 0);
    } else {
        text += "; max_slot_wal_keep_size sets no limit, so that this goes on until its disk is full";
    }
    if (retention.free_disk_bytes)
        text += fmt::format("; {} MiB are free there", mib(*retention.free_disk_bytes));
    return text;
}

void watch_slot(const LogServerSettings& settings, Duration interval, const std::function<bool()>& wanted,
                const std::function<void(const std::optional<SlotRetention>&)>& found, Alarms& alarms,
                Logger& logger, const std::stop_token& ended) {
    bool told = false;
    Duration next{};
    do {
        if (!wanted()) {
            if (told) {
                alarms.clear(retention_alarm);
                found(std::nullopt);
            }
            told = false;
            next = {};
            continue;
        }
        const Duration now = system_clock().steady();
        if (now < next) continue;
        next = now + interval;
        try {
            const auto retention = read_slot_retention(settings, ended, logger);
            found(retention);
            alarms.raise(retention_alarm,
                         retention
                             ? describe(*retention, settings.slot)
                             : fmt::format("the server has no slot {}: nobody keeps its log", settings.slot));
            told = true;
        } catch (const Error& error) {
            if (ended.stop_requested()) return;
            logger.debug("the server was not asked what it keeps", {{"reason", error.message()}});
        }
    } while (system_clock().sleep_for(look_whether_wanted, ended));
}

} // namespace holdfast::postgres
