// How much a repository holds, and what it saves.
#pragma once

#include "repository/repository.h"

#include <map>
#include <stop_token>
#include <string>

namespace holdfast {

struct StoredObjects {
    std::uint64_t objects = 0;
    std::uint64_t bytes = 0;
};

struct SourceStats {
    std::uint64_t snapshots = 0;
    std::uint64_t logical_bytes = 0;        // of all its snapshots together
    std::uint64_t newest_logical_bytes = 0; // of the newest
    std::uint64_t added_bytes = 0;          // what its snapshots stored, by their own account
};

// A log archive: the log of one cluster.
struct LogStats {
    // Whose it is, as snapshots say; empty while there is none that says so.
    std::string source;
    std::uint64_t slices = 0;
    std::uint64_t stored_bytes = 0;
    // Of the log's positions: those that several slices have, as pieces do which were stored before the
    // whole, count once.
    std::uint64_t log_bytes = 0;
};

// From the tables of packs.
struct CompressionStats {
    std::uint64_t packs = 0, unreadable_packs = 0;
    std::uint64_t frames = 0, blobs = 0;
    std::uint64_t raw_bytes = 0, stored_bytes = 0; // of frames
    std::uint64_t incompressible_bytes = 0;        // raw, of frames that are stored as they are
    // 1 when nothing is stored.
    double ratio() const {
        return stored_bytes == 0 ? 1 : static_cast<double>(raw_bytes) / static_cast<double>(stored_bytes);
    }
};

struct RepositoryStats {
    // By the first part of their names: "packs", "commits", "keys" …; "other" is what is not ours.
    std::map<std::string, StoredObjects> by_folder;
    // By kind of pack: "data", "metadata", "log".
    std::map<std::string, StoredObjects> packs;
    StoredObjects all; // without "other"
    std::uint64_t snapshots = 0, unreadable_snapshots = 0;
    std::uint64_t logical_bytes = 0; // of all snapshots together, as if each were whole
    std::map<std::string, SourceStats> sources;
    std::map<ArchiveId, LogStats> logs;
    std::map<std::string, CompressionStats> compression; // by kind of pack; only in detail

    // Logical bytes of all snapshots for each byte stored, everything counted; 1 when nothing is stored.
    double deduplication_ratio() const {
        return all.bytes == 0 ? 1 : static_cast<double>(logical_bytes) / static_cast<double>(all.bytes);
    }
};

// Lists everything and reads the commits; with `detail` also the tables of all packs. Throws what the store
// throws, and Error(cancelled).
RepositoryStats repository_stats(Repository& repository, bool detail, std::stop_token stop);

// How many bytes all of its objects have: `all` of the above, and nothing else. Lists everything.
std::uint64_t repository_bytes(Repository& repository, const std::stop_token& stop);

} // namespace holdfast
