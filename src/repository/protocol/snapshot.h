// A snapshot as its commit object describes it (docs/format.md, section 9).
#pragma once

#include "base/clock.h"
#include "repository/ids.h"
#include "repository/node/location.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace holdfast {

enum class SnapshotState { complete, partial, unfinished };
std::string_view to_string(SnapshotState state);

// What a backup counted.
struct SnapshotTotals {
    std::uint64_t files = 0, directories = 0, others = 0;
    std::uint64_t bytes = 0;        // of all files in the snapshot
    std::uint64_t read_bytes = 0;   // read from the source for it
    std::uint64_t new_bytes = 0;    // of those, what no earlier snapshot had
    std::uint64_t stored_bytes = 0; // what that took in the repository, metadata included
    std::uint64_t unchanged_files = 0, changed_files = 0, new_files = 0, failed = 0;
    bool operator==(const SnapshotTotals&) const = default;
};

// Of a source that has a log: what of it makes the snapshot whole, and from where on it can be carried
// forward.
struct SnapshotLog {
    ArchiveId archive;
    LogRange range;
    bool operator==(const SnapshotLog&) const = default;
};

struct Snapshot {
    RunId id;
    std::string source;
    std::string kind; // "documents", later "postgresql" …
    std::uint64_t sequence = 1;
    std::optional<RunId> parent;
    std::string host;
    std::string domain;
    std::vector<std::string> paths; // raw bytes; hexadecimal in JSON where they are not UTF-8
    Timestamp time{};
    Timestamp end{};
    NodeRef root;
    std::map<std::string, std::string> tags;
    SnapshotState state = SnapshotState::complete;
    SnapshotTotals totals;
    std::optional<SnapshotLog> log;
    std::string compression; // what was chosen and gained, for people
    std::string program;     // name and version of the writer
    bool operator==(const Snapshot&) const = default;
};

// JSON, as the body of a commit or checkpoint. decode throws Error(corrupt).
Bytes encode_snapshot(const Snapshot& snapshot);
Snapshot decode_snapshot(ByteView json, const RunId& id);

// Whether `a` is newer than `b` among the snapshots of one source: by sequence, then time, then id.
bool newer(const Snapshot& a, const Snapshot& b);

} // namespace holdfast
