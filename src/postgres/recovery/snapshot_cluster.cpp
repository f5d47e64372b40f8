#include "postgres/recovery/snapshot_cluster.h"

#include "base/error.h"
#include "postgres/files/tablespace_map.h"
#include "repository/content/stored_content.h"

#include <algorithm>
#include <charconv>
#include <functional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace holdfast::postgres {

namespace {

constexpr std::uint64_t largest_small_file_bytes = 16u << 20;

[[noreturn]] void not_a_cluster(const Snapshot& snapshot, std::string_view what) {
    throw Error(ErrorCode::corrupt, fmt::format("snapshot {} is not of a PostgreSQL cluster's files: {}",
                                                snapshot.id.hex(), what));
}

int version_of(const ControlFile& control, const std::optional<Bytes>& version_file,
               const Snapshot& snapshot) {
    if (const auto version = control.major_version()) return *version;
    int version = 0;
    if (version_file) {
        const std::string_view text = as_text(*version_file);
        std::from_chars(text.data(), text.data() + text.size(), version);
    }
    if (version == 0) not_a_cluster(snapshot, "its version is not known");
    return version;
}

// What the facts name by number, for people who type names. What is no such thing is passed over.
void for_each_named(const nlohmann::json& all, const char* what,
                    const std::function<void(std::uint64_t oid, const std::string& name)>& take) {
    if (!all.is_object() || !all.contains(what) || !all[what].is_array()) return;
    for (const nlohmann::json& one : all[what]) {
        if (!one.is_object() || !one.contains("oid") || !one.contains("name") || !one["name"].is_string() ||
            !one["oid"].is_number_unsigned())
            continue;
        std::string name = one["name"].get<std::string>();
        // Of one that is not UTF-8 its bytes.
        if (one.contains("name_hex") && one["name_hex"].is_string()) {
            try {
                name = as_text(from_hex(one["name_hex"].get<std::string>()));
            } catch (const Error&) {
                continue;
            }
        }
        take(one["oid"].get<std::uint64_t>(), name);
    }
}

void add_names(SnapshotCluster& cluster, const std::optional<Bytes>& facts) {
    if (!facts) return;
    const nlohmann::json all = nlohmann::json::parse(as_text(*facts), nullptr, false);
    for_each_named(all, "tablespaces", [&](std::uint64_t oid, const std::string& name) {
        const auto found =
            std::ranges::find_if(cluster.tablespaces, [&](const auto& known) { return known.oid == oid; });
        if (found != cluster.tablespaces.end()) found->name = name;
    });
    for_each_named(all, "databases", [&](std::uint64_t oid, const std::string& name) {
        cluster.databases.push_back({static_cast<Oid>(oid), name});
    });
}

} // namespace

std::optional<Bytes> read_small_file(NodeReader& nodes, PackReader& packs, const NodeRef& root,
                                     std::string_view path) {
    const std::optional<TreeEntry> entry = find_path(nodes, root, path);
    if (!entry || entry->type != EntryType::file) return std::nullopt;
    if (entry->size > largest_small_file_bytes) {
        throw Error(ErrorCode::corrupt,
                    fmt::format("/{} has {} bytes, which it never has", path, entry->size));
    }
    Bytes content(entry->size);
    StoredContent stored(nodes, packs, *entry);
    for (std::size_t done = 0; done < content.size();) {
        const std::size_t got = stored.read(done, MutableByteView(content).subspan(done));
        if (got == 0) throw Error(ErrorCode::corrupt, fmt::format("/{} ends before its size", path));
        done += got;
    }
    return content;
}

SnapshotCluster read_snapshot_cluster(NodeReader& nodes, PackReader& packs, const Snapshot& snapshot) {
    const auto read = [&](std::string_view path) {
        return read_small_file(nodes, packs, snapshot.root, path);
    };
    SnapshotCluster cluster;
    const std::optional<TreeEntry> data = find_path(nodes, snapshot.root, "data");
    if (!data || data->type != EntryType::directory) not_a_cluster(snapshot, "it has no /data");
    cluster.data = *data;
    const std::optional<Bytes> control = read(fmt::format("data/{}", control_file_path));
    if (!control) not_a_cluster(snapshot, "it has no control file");
    cluster.control = parse_control_file(*control);
    if (!cluster.control.crc_right) not_a_cluster(snapshot, "the sum of its control file is wrong");
    cluster.version = version_of(cluster.control, read("data/PG_VERSION"), snapshot);
    const std::optional<Bytes> label = read("holdfast/backup_label");
    if (!label) not_a_cluster(snapshot, "it has no backup_label");
    cluster.label_text = as_text(*label);
    cluster.label = parse_backup_label(cluster.label_text);
    if (const std::optional<Bytes> map = read("holdfast/tablespace_map")) {
        for (const TablespaceLocation& place : parse_tablespace_map(as_text(*map), cluster.version)) {
            const auto tree = find_path(nodes, snapshot.root, fmt::format("tablespaces/{}", place.oid));
            if (!tree) not_a_cluster(snapshot, fmt::format("tablespace {} is missing", place.oid));
            cluster.tablespaces.push_back({place.oid, {}, place.path, tree->children});
        }
    }
    add_names(cluster, read("holdfast/cluster.json"));
    if (const auto states = find_path(nodes, snapshot.root, "data/pg_twophase")) {
        DirectoryCursor cursor(nodes, states->children);
        while (const TreeEntry* state = cursor.next()) cluster.prepared.push_back(state->name);
    }
    cluster.has_configuration = find_path(nodes, snapshot.root, "data/postgresql.conf").has_value();
    return cluster;
}

} // namespace holdfast::postgres
