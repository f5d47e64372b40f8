// What a slice says of the log in it, to be read without the content (docs/format.md, section 11, and
// docs/postgresql.md).
#pragma once

#include "base/bytes.h"
#include "postgres/wal/lsn.h"

#include <optional>
#include <string>
#include <vector>

namespace holdfast::postgres {

// That a slice tells of: what it says of itself has to stay small.
constexpr std::size_t most_restore_points = 5000;
constexpr std::size_t longest_restore_point_bytes = 64; // of a name; PostgreSQL has shorter ones

struct ArchivedRestorePoint {
    std::string name;
    Lsn at; // behind its record
    std::int64_t time_us = 0;

    bool operator==(const ArchivedRestorePoint&) const = default;
};

struct WalDetails {
    std::uint64_t system_identifier = 0;
    int version = 0; // the server's major version
    std::uint64_t segment_bytes = 0;

    // The slice was decoded, and its summary describes all records that start in [from, to): `to` is where
    // the next one starts, before the end of the slice when one was begun in it. Both are 0 when nothing was.
    Lsn records_from;
    Lsn records_to;
    // Of the first record, where it says that the one before starts; and where the last one starts. With
    // these a chain is followed across slices.
    Lsn previous;
    Lsn last;
    // Why decoding stopped before the end of the slice; empty when it did not.
    std::string broken;

    std::uint64_t commits = 0;
    // Microseconds since 1970; of commits that have a time. 0 when there is none.
    std::int64_t first_commit_us = 0;
    std::int64_t last_commit_us = 0;
    Lsn last_commit_end;                              // behind its record
    std::vector<ArchivedRestorePoint> restore_points; // the first most_restore_points

    // Of a slice of no length: the history file of its timeline.
    std::string history;

    bool operator==(const WalDetails&) const = default;
};

Bytes encode_wal_details(const WalDetails& details);
// Throws Error(corrupt), or Error(incompatible) for a later form.
WalDetails decode_wal_details(ByteView bytes, std::string_view what);

} // namespace holdfast::postgres
