// What a running cluster is and how it is set, as far as protecting it needs to know.
#pragma once

#include "base/clock.h"
#include "postgres/server/connection.h"
#include "postgres/wal/lsn.h"

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace holdfast::postgres {

struct TablespaceFacts {
    std::uint32_t oid = 0;
    std::string name; // bytes, mostly UTF-8
    // The folder that the administrator named; the server's own lies in it. Relative to the data directory
    // for tablespaces that were made in place.
    std::string location;
};

struct DatabaseFacts {
    std::uint32_t oid = 0;
    std::string name; // bytes, mostly UTF-8
    bool accepts_connections = true;
    // Nothing when it was not asked for, or the role may not see it.
    std::optional<std::uint64_t> bytes;
};

// What the role of the connection may do.
struct RoleFacts {
    std::string name;
    bool superuser = false;
    bool replication = false;
    bool reads_all_settings = false; // pg_read_all_settings
    bool reads_all_stats = false;    // pg_read_all_stats
    bool starts_backups = false;     // may execute the functions that start and stop a backup
};

struct ClusterFacts {
    int version = 0;          // 130023 for 13.23
    std::string version_text; // "13.23"
    std::uint64_t system_identifier = 0;
    // The one that is written (a primary) or replayed (a standby) now.
    TimelineId timeline = 0;
    bool in_recovery = false;
    // A primary: written so far. A standby: replayed so far.
    Lsn position;
    // A standby: received and durable so far; 0 on a primary, and where nothing was streamed.
    Lsn received;
    // The redo position of the last checkpoint (standby: restart point).
    Lsn redo;
    std::uint32_t block_bytes = 0;
    std::uint32_t segment_blocks = 0; // of a relation's file
    std::uint32_t wal_block_bytes = 0;
    std::uint64_t wal_segment_bytes = 0;
    bool checksums = false;

    std::string wal_level; // minimal, replica or logical
    bool full_page_writes = true;
    // Of the last checkpoint: on a standby this is the primary's setting.
    bool full_page_writes_at_checkpoint = true;
    bool wal_log_hints = false;
    std::string archive_mode; // off, on or always
    std::string archive_command;
    std::string archive_library; // 15 and later
    // It archives as it is set now, and the last attempt did not fail.
    bool archiver_works = false;
    std::uint32_t max_wal_senders = 0;
    std::uint32_t wal_senders_used = 0;
    std::uint32_t max_replication_slots = 0;
    std::uint32_t replication_slots_used = 0;
    // How much log a slot may keep back, in bytes; nothing: without limit.
    std::optional<std::uint64_t> max_slot_wal_keep_bytes;

    // Nothing when the role may not read them.
    std::optional<std::string> data_directory;
    std::optional<std::string> config_file;
    std::optional<std::string> hba_file;
    std::optional<std::string> ident_file;

    std::vector<TablespaceFacts> tablespaces; // without pg_default and pg_global
    std::vector<DatabaseFacts> databases;
    RoleFacts role;

    // The server's time of day less ours, and by how much that may be wrong (half of the time the question
    // took).
    Duration clock_ahead{};
    Duration clock_uncertainty{};

    int major() const { return version / 10000; }
    // Configuration files that do not lie in the data directory and so are in no physical snapshot.
    std::vector<std::string> files_outside() const;
};

struct FactsOptions {
    // Sizes of databases: the server looks at each of their files.
    bool database_sizes = false;
};

// Asks the server. Throws what connections throw, and Error(unsupported) for versions before 13 and after 18.
ClusterFacts read_cluster_facts(Connection& connection, Clock& clock, const FactsOptions& options = {},
                                std::stop_token stop = {});

constexpr int oldest_supported_major = 13;
constexpr int newest_supported_major = 18;

} // namespace holdfast::postgres
