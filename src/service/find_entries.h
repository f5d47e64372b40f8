// Finding entries in snapshots by name, type, size and time.
#pragma once

#include "documents/path_filter.h"
#include "repository/node/directory_cursor.h"
#include "repository/protocol/snapshot.h"

#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

namespace holdfast {

struct FindSettings {
    // As for PathFilter, from the top of the snapshot: "*.txt" anywhere, "/srv/docs/a" there only, "cache/"
    // directories only, "srv/**" all that is inside. An entry is found when one of them matches it itself;
    // what lies in a directory that matches is not found by that. None: every entry.
    std::vector<std::string> patterns{};
    std::vector<EntryType> types{}; // none: all
    std::optional<std::uint64_t>
        least_size{}; // of files, in bytes; with a size asked for, only files are found
    std::optional<std::uint64_t> most_size{};
    std::optional<FileTime> not_before{}; // modification time
    std::optional<FileTime> not_after{};
};

struct FoundEntry {
    const Snapshot& snapshot;
    const std::string& path; // raw bytes, without a slash in front
    const TreeEntry& entry;
};

// Calls `take` for each entry that fits everything in `settings`, snapshot by snapshot, in the order of
// names, until it returns false. Throws Error(usage) for a pattern that is none, Error(cancelled), and what
// the node reader throws. Memory: a leaf for each level of directories.
void find_entries(NodeReader& nodes, std::span<const Snapshot> snapshots, const FindSettings& settings,
                  const std::function<bool(const FoundEntry&)>& take, std::stop_token stop);

} // namespace holdfast
