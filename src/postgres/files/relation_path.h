// What a path below a data directory is, and the path of a relation's segment.
//
// Paths are relative to the data directory, with '/' between names and none at the ends, and go through
// pg_tblspc/<oid>/ for tablespaces. The names are those of PostgreSQL's "Database File Layout"; names that no
// server writes (a leading zero, a segment ".0") are `other`, and such files are copied as they are.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::postgres {

using Oid = std::uint32_t;

constexpr Oid default_tablespace = 1663; // base/
constexpr Oid global_tablespace = 1664;  // global/

// Numbered as in the log.
enum class Fork : std::uint8_t { main = 0, free_space_map = 1, visibility_map = 2, init = 3 };
// "main", "fsm", "vm", "init".
std::string_view to_string(Fork fork);

// A fork of a relation, as the log names it too.
struct RelationFork {
    Oid tablespace = 0;
    Oid database = 0; // 0 in the global tablespace
    Oid number = 0;   // relfilenode; since 16 called relfilenumber
    Fork fork = Fork::main;

    auto operator<=>(const RelationFork&) const = default;
};

struct RelationSegment {
    RelationFork relation;
    std::uint32_t segment = 0;

    auto operator<=>(const RelationSegment&) const = default;
};

// The name of a relation's file in its directory: "16384", "16384_vm", "16384_fsm.3".
struct RelationFileName {
    Oid number = 0;
    Fork fork = Fork::main;
    std::uint32_t segment = 0;
    // Temporary relations carry the number of their backend: "t3_16390".
    std::optional<std::uint32_t> backend;

    bool operator==(const RelationFileName&) const = default;
    std::string str() const;
};
std::optional<RelationFileName> parse_relation_file_name(std::string_view name);

enum class PathKind {
    relation,
    temporary_relation,
    filenode_map,    // pg_filenode.map: which file holds a mapped catalog
    version_file,    // PG_VERSION
    relation_cache,  // pg_internal.init and its temporary forms
    control_file,    // global/pg_control
    slru,            // a segment of pg_xact, pg_multixact/*, pg_commit_ts, pg_subtrans, pg_notify, pg_serial
    wal,             // anything below pg_wal
    temporary_file,  // pgsql_tmp*, and what is below such a directory
    tablespace_link, // pg_tblspc/<oid>
    other,
};

struct DataPath {
    PathKind kind = PathKind::other;
    // Of relation, temporary_relation, filenode_map, relation_cache, and PG_VERSION of a database: where it
    // is.
    Oid tablespace = 0; // of tablespace_link: which
    Oid database = 0;
    RelationFileName file;          // of relation and temporary_relation
    std::uint64_t slru_segment = 0; // of slru

    // Of relation only.
    RelationSegment segment() const { return {{tablespace, database, file.number, file.fork}, file.segment}; }
};

DataPath parse_data_path(std::string_view path);

// If `directory` (relative to the data directory) holds relations: global, base/<oid>, or
// pg_tblspc/<oid>/PG_<version>/<oid>; which tablespace and database.
struct RelationDirectory {
    Oid tablespace = 0;
    Oid database = 0;
};
std::optional<RelationDirectory> parse_relation_directory(std::string_view directory);

// "PG_15_202209061": the directory that a server makes in a tablespace.
std::string tablespace_directory(int major_version, std::uint32_t catalog_version);

// The path of a segment; `tablespace_directory` as above, used for tablespaces other than the two built in.
std::string relation_path(const RelationSegment& segment, std::string_view tablespace_directory);

} // namespace holdfast::postgres
