// What replaying a log does beyond the files that a snapshot brings: places outside the data directory that
// it makes, and directories that it fills by copying files.
//
// The change maps of slices tell where such records are, so that only few slices are read whole.
#pragma once

#include "postgres/files/relation_path.h"
#include "postgres/recovery/recovery_plan.h"

#include <stop_token>
#include <string>
#include <vector>

namespace holdfast::postgres {

// A record that makes a tablespace: replay takes the directory at this absolute path for it, whatever is in
// there and whoever uses it.
struct MadeTablespace {
    Oid oid = 0;
    std::string path;            // empty: within the data directory (PostgreSQL's allow_in_place_tablespaces)
    Lsn at;                      // where the record starts
    Bytes record;                // as it is in the log, without page headers
    std::size_t path_offset = 0; // of the path in it, which ends it but for a zero
};

// A database's directory is filled with copies of another one's files, which the log does not have.
struct CopiedDatabase {
    Oid database = 0;
    Oid from_database = 0;
    Lsn at;

    bool operator==(const CopiedDatabase&) const = default;
};

struct ReplayedLog {
    std::vector<MadeTablespace> tablespaces; // in the order of the log
    std::vector<CopiedDatabase> copies;
    // The first slice with log of a time without full_page_writes begins here; 0: none does.
    Lsn full_page_writes_off;
    // Stretches that could not be looked at, and why, for people.
    std::vector<std::string> unread;
    std::uint64_t segment_bytes = 0; // 0: no slice says
};

// What a server does that follows `plan`. What lies behind the target is left out as far as that is known.
// Throws what the source's functions throw but for slices that are damaged or gone, which are told of in
// `unread`.
// `databases`: what matters to a choice of databases is looked for too: copies (before PostgreSQL 15 every
// CREATE DATABASE is one) and full_page_writes.
ReplayedLog look_at_replayed_log(const RecoverySource& source, const RecoveryPlan& plan, bool databases,
                                 const std::stop_token& stop);

} // namespace holdfast::postgres
