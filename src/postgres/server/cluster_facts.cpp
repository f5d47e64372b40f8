#include "postgres/server/cluster_facts.h"

#include "postgres/server/row.h"

#include <map>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr std::string_view object_not_in_state = "55000";

void read_control(Connection& connection, ClusterFacts& facts, const std::stop_token& stop) {
    const QueryResult result = connection.query("SELECT s.system_identifier, c.redo_lsn, c.full_page_writes, "
                                                "i.database_block_size, i.wal_block_size, "
                                                "i.bytes_per_wal_segment, i.data_page_checksum_version FROM "
                                                "pg_control_system() s, pg_control_checkpoint() c, "
                                                "pg_control_init() i",
                                                {}, stop);
    const Row row = only_row(result);
    // PostgreSQL shows this unsigned number as a signed one.
    facts.system_identifier = static_cast<std::uint64_t>(row.number<std::int64_t>("system_identifier"));
    facts.redo = row.lsn("redo_lsn").value_or(Lsn{});
    facts.full_page_writes_at_checkpoint = row.boolean("full_page_writes");
    facts.block_bytes = row.number<std::uint32_t>("database_block_size");
    facts.wal_block_bytes = row.number<std::uint32_t>("wal_block_size");
    facts.wal_segment_bytes = row.number<std::uint64_t>("bytes_per_wal_segment");
    facts.checksums = row.number<std::uint32_t>("data_page_checksum_version") != 0;
}

// The control file knows a new timeline only at the checkpoint after a promotion, hence: a primary is asked
// by the name of the segment that it writes, a standby by its receiver and by how far it must replay.
void read_position_once(Connection& connection, ClusterFacts& facts, const std::stop_token& stop) {
    const QueryResult recovery = connection.query("SELECT pg_is_in_recovery() AS in_recovery", {}, stop);
    facts.in_recovery = only_row(recovery).boolean("in_recovery");
    const QueryResult result = connection.query(
        facts.in_recovery
            ? "SELECT greatest(c.timeline_id, r.min_recovery_end_timeline, (SELECT received_tli FROM "
              "pg_stat_wal_receiver WHERE status = 'streaming')) AS timeline, pg_last_wal_replay_lsn() AS "
              "position, "
              "pg_last_wal_receive_lsn() AS received FROM pg_control_checkpoint() c, pg_control_recovery() r"
            : "SELECT ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::bigint "
              "AS timeline, "
              "pg_current_wal_lsn() AS position, NULL AS received",
        {}, stop);
    const Row row = only_row(result);
    facts.timeline = row.number<TimelineId>("timeline");
    facts.position = row.lsn("position").value_or(Lsn{});
    facts.received = row.lsn("received").value_or(Lsn{});
}

void read_position(Connection& connection, ClusterFacts& facts, const std::stop_token& stop) {
    try {
        read_position_once(connection, facts, stop);
    } catch (const ServerError& error) {
        // Promoted between the two questions: it is a primary now, and stays one.
        if (error.sqlstate() != object_not_in_state) throw;
        read_position_once(connection, facts, stop);
    }
}

void read_settings(Connection& connection, ClusterFacts& facts, const std::stop_token& stop) {
    // The view leaves out what the role may not read.
    const QueryResult result = connection.query(
        "SELECT name, setting FROM pg_settings WHERE name IN ('server_version', 'wal_level', "
        "'full_page_writes', "
        "'wal_log_hints', 'archive_mode', 'archive_command', 'archive_library', 'max_wal_senders', "
        "'max_replication_slots', 'max_slot_wal_keep_size', 'segment_size', 'data_directory', 'config_file', "
        "'hba_file', "
        "'ident_file')",
        {}, stop);
    std::map<std::string, std::string> settings;
    for (std::size_t i = 0; i < result.rows.size(); ++i) {
        const Row row(result, i);
        settings[row.text("name")] = row.text_or_empty("setting");
    }
    const auto optional = [&](const char* name) -> std::optional<std::string> {
        const auto found = settings.find(name);
        return found == settings.end() ? std::nullopt : std::optional(found->second);
    };
    const auto number = [&](const char* name) {
        return static_cast<std::uint32_t>(std::stoul(optional(name).value_or("0")));
    };
    facts.version_text = settings["server_version"].substr(0, settings["server_version"].find(' '));
    facts.wal_level = settings["wal_level"];
    facts.full_page_writes = settings["full_page_writes"] != "off";
    facts.wal_log_hints = settings["wal_log_hints"] == "on";
    facts.archive_mode = settings["archive_mode"];
    facts.archive_command = settings["archive_command"];
    if (facts.archive_command == "(disabled)")
        facts.archive_command.clear(); // shown while archive_mode is off
    facts.archive_library = settings["archive_library"];
    facts.segment_blocks = number("segment_size");
    facts.max_wal_senders = number("max_wal_senders");
    facts.max_replication_slots = number("max_replication_slots");
    if (const std::string kept = settings["max_slot_wal_keep_size"]; !kept.empty() && kept != "-1")
        facts.max_slot_wal_keep_bytes = std::stoull(kept) << 20; // in MiB
    facts.data_directory = optional("data_directory");
    facts.config_file = optional("config_file");
    facts.hba_file = optional("hba_file");
    facts.ident_file = optional("ident_file");
}

void read_use_of_replication(Connection& connection, ClusterFacts& facts, const std::stop_token& stop) {
    const QueryResult result =
        connection.query("SELECT (SELECT count(*) FROM pg_stat_replication) AS senders, "
                         "(SELECT count(*) FROM pg_replication_slots) AS slots",
                         {}, stop);
    facts.wal_senders_used = only_row(result).number<std::uint32_t>("senders");
    facts.replication_slots_used = only_row(result).number<std::uint32_t>("slots");
}

void read_archiver(Connection& connection, ClusterFacts& facts, const std::stop_token& stop) {
    const QueryResult result =
        connection.query("SELECT coalesce(last_archived_time > last_failed_time, last_failed_time IS NULL) "
                         "AS works FROM pg_stat_archiver",
                         {}, stop);
    const bool archives =
        facts.archive_mode == "always" || (facts.archive_mode == "on" && !facts.in_recovery);
    facts.archiver_works = archives && only_row(result).boolean("works");
}

void read_tablespaces(Connection& connection, ClusterFacts& facts, const std::stop_token& stop) {
    const QueryResult result =
        connection.query("SELECT oid, spcname, pg_tablespace_location(oid) AS location FROM pg_tablespace "
                         "WHERE spcname NOT IN ('pg_default', 'pg_global') ORDER BY oid",
                         {}, stop);
    for (std::size_t i = 0; i < result.rows.size(); ++i) {
        const Row row(result, i);
        facts.tablespaces.push_back(
            {row.number<std::uint32_t>("oid"), row.text("spcname"), row.text_or_empty("location")});
    }
}

void read_databases(Connection& connection, ClusterFacts& facts, bool sizes, const std::stop_token& stop) {
    const std::string size =
        sizes ? "CASE WHEN has_database_privilege(oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', "
                "'USAGE') THEN pg_database_size(oid) END"
              : "NULL";
    const QueryResult result = connection.query(
        fmt::format("SELECT oid, datname, datallowconn, {} AS bytes FROM pg_database ORDER BY oid", size), {},
        stop);
    for (std::size_t i = 0; i < result.rows.size(); ++i) {
        const Row row(result, i);
        facts.databases.push_back({row.number<std::uint32_t>("oid"), row.text("datname"),
                                   row.boolean("datallowconn"), row.optional_number<std::uint64_t>("bytes")});
    }
}

void read_role(Connection& connection, ClusterFacts& facts, const std::stop_token& stop) {
    const auto may_execute = [&](const char* start, const char* end) {
        return fmt::format(
            "has_function_privilege('{}', 'EXECUTE') AND has_function_privilege('{}', 'EXECUTE')", start,
            end);
    };
    const std::string backups =
        facts.major() >= 15
            ? may_execute("pg_backup_start(text, boolean)", "pg_backup_stop(boolean)")
            : may_execute("pg_start_backup(text, boolean, boolean)", "pg_stop_backup(boolean, boolean)");
    const QueryResult result =
        connection.query(fmt::format("SELECT rolname, rolsuper, rolreplication, "
                                     "pg_has_role('pg_read_all_settings', 'USAGE') AS settings, "
                                     "pg_has_role('pg_read_all_stats', 'USAGE') AS stats, {} AS backups "
                                     "FROM pg_roles WHERE rolname = current_user",
                                     backups),
                         {}, stop);
    const Row row = only_row(result);
    facts.role = {row.text("rolname"),     row.boolean("rolsuper"), row.boolean("rolreplication"),
                  row.boolean("settings"), row.boolean("stats"),    row.boolean("backups")};
}

void read_clock(Connection& connection, ClusterFacts& facts, Clock& clock, const std::stop_token& stop) {
    const Timestamp before = clock.now();
    const Duration began = clock.steady();
    const QueryResult result =
        connection.query("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now", {}, stop);
    const Duration took = clock.steady() - began;
    const Timestamp theirs{std::chrono::microseconds(only_row(result).number<std::int64_t>("now"))};
    facts.clock_uncertainty = took / 2;
    facts.clock_ahead = theirs - (before + took / 2);
}

bool lies_in(const std::string& path, const std::string& directory) {
    return path.starts_with(directory) &&
           (directory.ends_with('/') || path.substr(directory.size()).starts_with('/'));
}

} // namespace

std::vector<std::string> ClusterFacts::files_outside() const {
    std::vector<std::string> outside;
    for (const auto& file : {config_file, hba_file, ident_file}) {
        if (file && !file->empty() && data_directory && !lies_in(*file, *data_directory))
            outside.push_back(*file);
    }
    return outside;
}

ClusterFacts read_cluster_facts(Connection& connection, Clock& clock, const FactsOptions& options,
                                std::stop_token stop) {
    ClusterFacts facts;
    facts.version = connection.server_version();
    if (facts.major() < oldest_supported_major || facts.major() > newest_supported_major) {
        throw Error(ErrorCode::unsupported,
                    fmt::format("{} is PostgreSQL {}", connection.place(), facts.major()),
                    fmt::format("PostgreSQL {} to {} can be protected", oldest_supported_major,
                                newest_supported_major));
    }
    read_clock(connection, facts, clock, stop);
    read_control(connection, facts, stop);
    read_position(connection, facts, stop);
    read_settings(connection, facts, stop);
    read_use_of_replication(connection, facts, stop);
    read_archiver(connection, facts, stop);
    // Names of databases and tablespaces are bytes: who made them in a database of another encoding made
    // others than this one has. Unchanged, they are the same from wherever they are read.
    connection.execute("SET client_encoding TO SQL_ASCII", stop);
    read_tablespaces(connection, facts, stop);
    read_databases(connection, facts, options.database_sizes, stop);
    connection.execute("SET client_encoding TO UTF8", stop);
    read_role(connection, facts, stop);
    return facts;
}

} // namespace holdfast::postgres
