// global/pg_control: what a cluster is, where its last checkpoint is, and how its files are laid out.
//
// The layout is PostgreSQL's struct ControlFileData (src/include/catalog/pg_control.h) on a 64-bit
// little-endian machine, aligned as C does. pg_control_version is 1300 for versions 13 to 16, 1700 for 17 and
// 1800 for 18; the release is known from the catalog version, of which each has had one since it came out.
// Against 1300, 17 adds a wal_level to the checkpoint where there was padding, and 18 the signedness of char
// before the nonce; everything else has kept its place.
#pragma once

#include "base/bytes.h"
#include "base/clock.h"
#include "postgres/wal/lsn.h"

#include <cstdint>
#include <optional>
#include <string_view>

namespace holdfast::postgres {

// The file has this size; what it says is in the first 300 bytes, so that it lies in one sector of a disk.
constexpr std::size_t control_file_bytes = 8192;
constexpr std::string_view control_file_path = "global/pg_control";

enum class ClusterState : std::uint32_t {
    starting_up,
    shut_down,
    shut_down_in_recovery,
    shutting_down,
    in_crash_recovery,
    in_archive_recovery,
    in_production,
};
// As pg_controldata prints it.
std::string_view to_string(ClusterState state);

enum class WalLevel : std::uint32_t { minimal, replica, logical };
std::string_view to_string(WalLevel level);

struct Checkpoint {
    Lsn record; // where the checkpoint record itself is
    Lsn redo;   // where recovery from it starts
    TimelineId timeline = 0;
    TimelineId previous_timeline = 0; // the same unless the checkpoint began a timeline
    bool full_page_writes = false;
    std::uint64_t next_xid = 0; // with the epoch in the high half
    std::uint32_t next_oid = 0;
    std::uint32_t next_multixact = 0;
    std::uint32_t next_multixact_offset = 0;
    std::uint32_t oldest_xid = 0;
    std::uint32_t oldest_xid_database = 0;
    std::uint32_t oldest_multixact = 0;
    std::uint32_t oldest_multixact_database = 0;
    std::uint32_t oldest_active_xid = 0;
    Timestamp time;
};

// The settings that a server which replays this cluster's log must not undercut, or it stops (hot standby).
struct StandbyFloor {
    std::uint32_t max_connections = 0;
    std::uint32_t max_worker_processes = 0;
    std::uint32_t max_wal_senders = 0;
    std::uint32_t max_prepared_transactions = 0;
    std::uint32_t max_locks_per_transaction = 0;

    bool operator==(const StandbyFloor&) const = default;
};

struct ControlFile {
    std::uint64_t system_identifier = 0;
    std::uint32_t control_version = 0;
    std::uint32_t catalog_version = 0;
    ClusterState state = ClusterState::starting_up;
    Timestamp written;
    Checkpoint checkpoint;

    // While recovering: everything up to here must be replayed before the files are consistent.
    Lsn min_recovery_point;
    TimelineId min_recovery_timeline = 0;
    Lsn backup_start; // redo position of the backup that is being recovered, until its end is reached
    Lsn backup_end;   // for a backup of a standby, the position to reach
    bool backup_end_required = false;

    WalLevel wal_level = WalLevel::minimal;
    bool wal_log_hints = false;
    bool track_commit_timestamp = false;
    StandbyFloor floor;

    std::uint32_t block_bytes = 0;
    std::uint32_t segment_blocks = 0; // of a relation
    std::uint32_t wal_block_bytes = 0;
    std::uint32_t wal_segment_bytes = 0;
    std::uint32_t data_checksum_version = 0; // 0: pages have no checksums

    // False when the bytes were caught while the server wrote them, or are damaged: read the file again, as
    // PostgreSQL does, and trust nothing of it else.
    bool crc_right = false;

    bool data_checksums() const { return data_checksum_version != 0; }
    // 13 to 18 by the catalog version; empty when it is none of a release.
    std::optional<int> major_version() const;
};

// Reads the file's bytes (control_file_bytes, or more than the used part). Throws Error(incompatible) when
// the version is unknown, the byte order or the alignment another; Error(corrupt) when it is too short, or
// its CRC is right and a value cannot be. With a wrong CRC the other values are given as they are, unchecked.
ControlFile parse_control_file(ByteView bytes);

} // namespace holdfast::postgres
