#include "service/find_entries.h"

#include "base/error.h"

#include <algorithm>

namespace holdfast {

namespace {

struct Level {
    DirectoryCursor cursor;
    PathFilter::Cursor filter;
    std::size_t path_bytes = 0; // of the directory, with a slash behind it
};

bool fits(const TreeEntry& entry, const FindSettings& settings) {
    if (!settings.types.empty() && std::ranges::find(settings.types, entry.type) == settings.types.end())
        return false;
    if (settings.least_size || settings.most_size) {
        if (entry.type != EntryType::file) return false;
        if (settings.least_size && entry.size < *settings.least_size) return false;
        if (settings.most_size && entry.size > *settings.most_size) return false;
    }
    if (settings.not_before && entry.mtime < *settings.not_before) return false;
    return !settings.not_after || entry.mtime <= *settings.not_after;
}

// False when `take` wants no more.
bool find_in(NodeReader& nodes, const Snapshot& snapshot, const PathFilter& patterns,
             const FindSettings& settings, const std::function<bool(const FoundEntry&)>& take,
             const std::stop_token& stop) {
    std::string path;
    std::vector<Level> levels;
    levels.push_back({DirectoryCursor(nodes, snapshot.root), patterns.start("/"), 0});
    while (!levels.empty()) {
        if (stop.stop_requested()) throw Error(ErrorCode::cancelled, "finding was stopped");
        Level& level = levels.back();
        const TreeEntry* entry = level.cursor.next();
        if (entry == nullptr) {
            levels.pop_back();
            continue;
        }
        path.resize(level.path_bytes);
        path += entry->name;
        const bool directory = entry->type == EntryType::directory;
        const bool named =
            settings.patterns.empty() || patterns.judge(level.filter, entry->name, directory).excluded;
        if (named && fits(*entry, settings) && !take({snapshot, path, *entry})) return false;
        if (!directory) continue;
        PathFilter::Cursor below = patterns.enter(level.filter, entry->name);
        below.decided_by = -1; // a match of the directory is none of what is in it
        const NodeRef children = entry->children;
        path += '/';
        levels.push_back({DirectoryCursor(nodes, children), std::move(below), path.size()});
    }
    return true;
}

} // namespace

void find_entries(NodeReader& nodes, std::span<const Snapshot> snapshots, const FindSettings& settings,
                  const std::function<bool(const FoundEntry&)>& take, std::stop_token stop) {
    PathFilter patterns;
    for (const std::string& pattern : settings.patterns) {
        if (pattern.starts_with('!')) {
            throw Error(ErrorCode::usage, "a pattern to find cannot begin with !",
                        "write \\! for a name that begins so");
        }
        patterns.exclude(pattern);
    }
    for (const Snapshot& snapshot : snapshots) {
        if (!find_in(nodes, snapshot, patterns, settings, take, stop)) return;
    }
}

} // namespace holdfast
