// Files of the log into the archive, as PostgreSQL's archive_command asks.
//
// PostgreSQL asks for one file at a time and waits for each. So one call stores, beside the file it was asked
// for, those that wait behind it, and notes them in a spool directory: the calls for them find the note and
// are done. Success is told only of what is durable in the repository.
#pragma once

#include "postgres/archive/wal_slicer.h"
#include "repository/repository.h"

#include <stop_token>
#include <string>
#include <vector>

namespace holdfast::postgres {

struct PushSettings {
    std::string source;
    // For notes; made when it is missing, and can be lost at any time.
    std::string spool_directory;
    unsigned batch = 64; // files that one call stores at most
    unsigned workers = 2;
    int compression_level = 1;
    // Another cluster than the one that the newest snapshot of the source is of may take its place.
    bool new_cluster = false;
};

enum class PushOutcome {
    stored,
    already_there, // with the same content
    beside,        // another content is there for the same stretch of the log: both are kept
    not_needed,    // a file that recovery does not use
};

struct PushedFile {
    std::string name;
    PushOutcome outcome = PushOutcome::stored;
};

struct PushReport {
    std::vector<PushedFile> files; // the one asked for first
    std::uint64_t stored_bytes = 0;
    // What an operator must know: two clusters writing one timeline, log that does not decode.
    std::vector<std::string> alarms;
};

// Whether an earlier call stored this very file, told by the note it left. Cheap; opens no repository.
bool was_pushed(const std::string& spool_directory, const std::string& path);

// Stores the file at `path` (a segment, a ".partial" one, a ".history" file, a ".backup" file) and as many of
// those waiting in archive_status beside it as a batch may have. Throws when the file asked for could not be
// stored; Error(usage) for a file that is none of the log, Error(corrupt) for one whose content is not what
// its name says, and Error(already_exists) when the source is another cluster.
PushReport push_wal(Repository& repository, const std::string& path, const PushSettings& settings,
                    std::stop_token stop);

// Stores what the segments of a running server's pg_wal have of `range`, the last one as far as it is
// written: for backups, which must not depend on how often the archiver comes by. What the archive has is not
// stored again.
PushReport push_wal_range(Repository& repository, const std::string& wal_directory, const WalRange& range,
                          std::uint64_t segment_bytes, const PushSettings& settings, std::stop_token stop);

} // namespace holdfast::postgres
