#include "postgres/recovery/chosen_databases.h"

#include "base/error.h"
#include "documents/entry_name.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr std::array<std::string_view, 3> always{"postgres", "template0", "template1"};

std::string list_of(const std::vector<SnapshotDatabase>& databases) {
    std::string text;
    for (const SnapshotDatabase& database : databases)
        text += fmt::format("{}{}", text.empty() ? "" : ", ", printable(database.name));
    return text;
}

std::string name_of(const SnapshotCluster& cluster, Oid oid) {
    const auto found = std::ranges::find(cluster.databases, oid, &SnapshotDatabase::oid);
    return found == cluster.databases.end() ? fmt::format("with number {}", oid)
                                            : fmt::format("'{}'", printable(found->name));
}

bool is_left_out(const DatabaseChoice& choice, Oid oid) {
    return std::ranges::find(choice.left_out, oid, &SnapshotDatabase::oid) != choice.left_out.end();
}

void look_at_copies(const SnapshotCluster& cluster, const ReplayedLog& log, DatabaseChoice& choice) {
    std::vector<Oid> hollow; // made from what is left out, directly or by way of another
    for (const CopiedDatabase& copy : log.copies) {
        const bool from_hole = is_left_out(choice, copy.from_database) ||
                               std::ranges::find(hollow, copy.from_database) != hollow.end();
        if (!from_hole || is_left_out(choice, copy.database)) continue;
        hollow.push_back(copy.database);
        const bool is_named = std::ranges::find(cluster.databases, copy.database, &SnapshotDatabase::oid) !=
                              cluster.databases.end();
        if (is_named) {
            throw Error(ErrorCode::usage,
                        fmt::format("database {} is made by copying {}, which is not chosen, at {}",
                                    name_of(cluster, copy.database), name_of(cluster, copy.from_database),
                                    copy.at.str()),
                        "choose both");
        }
        choice.notes.push_back(fmt::format(
            "the log makes a database with number {} at {}, as a copy of {}: it is left out with it",
            copy.database, copy.at.str(), name_of(cluster, copy.from_database)));
    }
}

} // namespace

DatabaseChoice choose_databases(const SnapshotCluster& cluster, const std::vector<std::string>& names,
                                const ReplayedLog& log) {
    DatabaseChoice choice;
    if (names.empty()) return choice;
    for (const std::string& name : names) {
        if (std::ranges::find(cluster.databases, name, &SnapshotDatabase::name) != cluster.databases.end())
            continue;
        throw Error(ErrorCode::usage, fmt::format("the snapshot has no database '{}'", printable(name)),
                    fmt::format("it has {}; one that was made later comes back with the log, whichever are "
                                "chosen, or is in a later snapshot",
                                list_of(cluster.databases)));
    }
    if (log.full_page_writes_off) {
        throw Error(
            ErrorCode::usage,
            fmt::format("databases cannot be chosen: the source ran with full_page_writes = off at {}",
                        log.full_page_writes_off.str()),
            "restore the whole cluster, or to a moment before it");
    }
    for (const SnapshotDatabase& database : cluster.databases) {
        if (std::ranges::find(names, database.name) == names.end() &&
            std::ranges::find(always, database.name) == always.end())
            choice.left_out.push_back(database);
    }
    look_at_copies(cluster, log, choice);
    return choice;
}

// What is small and no relation's, such as the map of catalogs, comes back.
std::vector<std::string> data_patterns(const DatabaseChoice& choice) {
    std::vector<std::string> patterns;
    for (const SnapshotDatabase& database : choice.left_out) {
        patterns.push_back(fmt::format("/base/{}/[0-9]*", database.oid));
        patterns.push_back(fmt::format("!/base/{}/*_init", database.oid));
    }
    return patterns;
}

std::vector<std::string> tablespace_patterns(const DatabaseChoice& choice,
                                             const std::string& tablespace_folder) {
    std::vector<std::string> patterns;
    for (const SnapshotDatabase& database : choice.left_out) {
        patterns.push_back(fmt::format("/{}/{}/[0-9]*", tablespace_folder, database.oid));
        patterns.push_back(fmt::format("!/{}/{}/*_init", tablespace_folder, database.oid));
    }
    return patterns;
}

std::vector<HoleDirectory> hole_directories(NodeReader& nodes, const SnapshotCluster& cluster,
                                            const DatabaseChoice& choice) {
    std::vector<HoleDirectory> all;
    const auto add = [&](Oid tablespace, const NodeRef& tree, const std::string& path) {
        const std::optional<TreeEntry> entry = find_path(nodes, tree, path);
        if (entry && entry->type == EntryType::directory) all.push_back({path, tablespace, entry->children});
    };
    const std::string folder = tablespace_directory(cluster.version, cluster.control.catalog_version);
    for (const SnapshotDatabase& database : choice.left_out) {
        add(0, cluster.data.children, fmt::format("base/{}", database.oid));
        for (const SnapshotTablespace& tablespace : cluster.tablespaces)
            add(tablespace.oid, tablespace.tree, fmt::format("{}/{}", folder, database.oid));
    }
    return all;
}

void for_each_hole(NodeReader& nodes, const HoleDirectory& directory,
                   const std::function<void(const std::string& name, std::uint64_t bytes)>& take) {
    DirectoryCursor cursor(nodes, directory.children);
    while (const TreeEntry* entry = cursor.next()) {
        if (entry->type != EntryType::file || entry->name.empty() || entry->name[0] < '0' ||
            entry->name[0] > '9' || entry->name.ends_with("_init"))
            continue;
        take(entry->name, entry->size);
    }
}

HoleTotals count_holes(NodeReader& nodes, const std::vector<HoleDirectory>& directories) {
    HoleTotals totals;
    for (const HoleDirectory& directory : directories) {
        for_each_hole(nodes, directory, [&](const std::string&, std::uint64_t bytes) {
            ++totals.files;
            totals.bytes += bytes;
        });
    }
    return totals;
}

} // namespace holdfast::postgres
