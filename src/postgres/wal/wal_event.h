// What the records that concern a backup say, beside the blocks that they change.
//
// The layouts are those of PostgreSQL 13 to 18: pg_control.h and xlog_internal.h (XLOG), xact.h
// (transactions), storage_xlog.h, dbcommands_xlog.h, tablespace.h, relmapper.h. Where they differ: database
// records were numbered anew in 15; commits list dropped statistics from 15 on, longer ones from 18 on;
// checkpoints and the end of recovery tell wal_level from 17 on.
#pragma once

#include "postgres/wal/wal_record.h"

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace holdfast::postgres::wal_event {

// Microseconds since 1970-01-01 UTC. (PostgreSQL counts them from 2000-01-01.)
using UnixMicroseconds = std::int64_t;

enum class WalLevel : std::uint8_t { minimal = 0, replica = 1, logical = 2 };

// A transaction ended, by itself or (`prepared`) in a second phase.
struct TransactionEnd {
    bool committed = false;
    bool prepared = false;
    TransactionId xid = 0; // of the transaction that ended, also in a second phase; 0: it had none
    UnixMicroseconds time = 0;
    std::string global_id;             // of a prepared transaction, when it is logged (wal_level logical)
    std::vector<RelationFile> dropped; // files that go with it, in all forks
};

struct RestorePoint {
    UnixMicroseconds time = 0;
    std::string name;
};

struct Checkpoint {
    bool shutdown = false;
    Lsn redo; // replay starts here
    TimelineId timeline = 0;
    TimelineId previous_timeline = 0; // another one, when this checkpoint begins a timeline
    bool full_page_writes = false;
    std::optional<WalLevel> wal_level; // 17 and later
    std::uint64_t next_xid = 0;        // with the epoch in the high half
    UnixMicroseconds time = 0;         // whole seconds
};

// The place where replay from an online checkpoint starts (17 and later; before, that is any record).
struct CheckpointRedo {
    WalLevel wal_level{};
};

// The server left recovery and goes on, mostly on a new timeline.
struct EndOfRecovery {
    UnixMicroseconds time = 0;
    TimelineId timeline = 0;
    TimelineId previous_timeline = 0;
    std::optional<WalLevel> wal_level; // 17 and later
};

struct ParameterChange {
    std::int32_t max_connections = 0;
    std::int32_t max_worker_processes = 0;
    std::int32_t max_wal_senders = 0;
    std::int32_t max_prepared_transactions = 0;
    std::int32_t max_locks_per_transaction = 0;
    WalLevel wal_level{};
    bool wal_log_hints = false;
    bool track_commit_timestamp = false;
};

struct FullPageWritesChange {
    bool on = false;
};

// A backup that was taken beside the running server ended; what began at `start` is consistent from here on.
struct BackupEnd {
    Lsn start;
};

// A record that a crash had cut off was abandoned.
struct OverwriteContinuation {
    Lsn overwritten;
    UnixMicroseconds time = 0;
};

// The rest of the segment is not used.
struct SegmentSwitch {};

// Nothing but full images of blocks; `for_hint`: only because of hint bits.
struct FullPageImage {
    bool for_hint = false;
};

struct StorageCreate {
    RelationFile relation;
    Fork fork{};
};

struct StorageTruncate {
    RelationFile relation;
    BlockNumber blocks = 0; // length of the main fork that remains; the others follow from it
    bool main = false;
    bool visibility = false;
    bool free_space = false;
};

// The directory of a database in one tablespace was made by copying files, which are not logged: by
// CREATE DATABASE (always before 15; with STRATEGY file_copy after), or when a database moves.
struct DatabaseCopy {
    Oid database = 0;
    Oid tablespace = 0;
    Oid from_database = 0;
    Oid from_tablespace = 0;
};

// The same, made empty: all that comes into it is logged (15 and later).
struct DatabaseCreate {
    Oid database = 0;
    Oid tablespace = 0;
};

// The directories of a database in these tablespaces were removed.
struct DatabaseDrop {
    Oid database = 0;
    std::vector<Oid> tablespaces;
};

struct TablespaceCreate {
    Oid tablespace = 0;
    std::string path;
};

struct TablespaceDrop {
    Oid tablespace = 0;
};

// The file that maps system catalogs to file numbers was rewritten; database 0: the one of shared catalogs.
struct RelationMapUpdate {
    Oid database = 0;
    Oid tablespace = 0;
};

// A record that changes files of relations in a way that is not known here: written by an extension, or by a
// version newer than this.
struct UnknownFileChange {};

// std::monostate: nothing but what the block references tell.
using Event =
    std::variant<std::monostate, TransactionEnd, RestorePoint, Checkpoint, CheckpointRedo, EndOfRecovery,
                 ParameterChange, FullPageWritesChange, BackupEnd, OverwriteContinuation, SegmentSwitch,
                 FullPageImage, StorageCreate, StorageTruncate, DatabaseCopy, DatabaseCreate, DatabaseDrop,
                 TablespaceCreate, TablespaceDrop, RelationMapUpdate, UnknownFileChange>;

// The meaning of `record`, written by a server of major version `version`. Throws Error(corrupt) when its
// data are not what that version writes; a checksum was right before, so no retry helps.
Event event_of(const WalRecord& record, int version);
// The same for who must go on: what the other refuses is an UnknownFileChange, so that a change map with it
// is worth nothing, and `refused`, if given, becomes why.
Event event_or_unknown(const WalRecord& record, int version, std::string* refused = nullptr);

} // namespace holdfast::postgres::wal_event
