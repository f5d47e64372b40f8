#include "postgres/files/relation_path.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr std::string_view temporary_prefix = "pgsql_tmp";

// A number as servers write it: decimal, at least 1, no leading zero.
std::optional<std::uint32_t> parse_number(std::string_view digits) {
    std::uint32_t value = 0;
    if (digits.empty() || digits.front() < '1' || digits.front() > '9') return std::nullopt;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    return value;
}

std::string_view leading_digits(std::string_view text) {
    return text.substr(0, std::min(text.find_first_not_of("0123456789"), text.size()));
}

struct ForkSuffix {
    std::string_view text;
    Fork fork;
};
constexpr std::array<ForkSuffix, 3> fork_suffixes{
    {{"_fsm", Fork::free_space_map}, {"_vm", Fork::visibility_map}, {"_init", Fork::init}}};

// The names of the first steps of a path, at most `most`; the last takes the rest.
std::vector<std::string_view> split_path(std::string_view path, std::size_t most) {
    std::vector<std::string_view> names;
    while (names.size() + 1 < most) {
        const std::size_t slash = path.find('/');
        if (slash == std::string_view::npos) break;
        names.push_back(path.substr(0, slash));
        path.remove_prefix(slash + 1);
    }
    names.push_back(path);
    return names;
}

bool has_temporary_step(std::string_view path) {
    return path.starts_with(temporary_prefix) || path.find("/pgsql_tmp") != std::string_view::npos;
}

// Upper-case hexadecimal of 4 to 6 digits, or of 15 where version 17 and later use long names.
std::optional<std::uint64_t> parse_slru_segment(std::string_view name) {
    const bool length_fits = (name.size() >= 4 && name.size() <= 6) || name.size() == 15;
    const bool upper =
        std::ranges::all_of(name, [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); });
    if (!length_fits || !upper) return std::nullopt;
    std::uint64_t value = 0;
    std::from_chars(name.data(), name.data() + name.size(), value, 16);
    return value;
}

bool is_slru_directory(std::string_view directory) {
    constexpr std::array<std::string_view, 7> directories{
        "pg_xact",      "pg_multixact/members", "pg_multixact/offsets",
        "pg_commit_ts", "pg_subtrans",          "pg_notify",
        "pg_serial"};
    return std::ranges::find(directories, directory) != directories.end();
}

DataPath in_relation_directory(const RelationDirectory& directory, std::string_view name) {
    DataPath path;
    path.tablespace = directory.tablespace;
    path.database = directory.database;
    if (const auto file = parse_relation_file_name(name)) {
        // Shared relations are never temporary.
        if (file->backend && directory.database == 0) return {};
        path.kind = file->backend ? PathKind::temporary_relation : PathKind::relation;
        path.file = *file;
    } else if (name == "pg_filenode.map") {
        path.kind = PathKind::filenode_map;
    } else if (name == "PG_VERSION" && directory.database != 0) {
        path.kind = PathKind::version_file;
    } else if (name.starts_with("pg_internal.init")) {
        path.kind = PathKind::relation_cache;
    } else if (name == "pg_control" && directory.database == 0) {
        path.kind = PathKind::control_file;
    }
    return path;
}

bool is_tablespace_directory(std::string_view name) {
    if (!name.starts_with("PG_")) return false;
    name.remove_prefix(3);
    const std::size_t separator = name.find('_');
    return separator != std::string_view::npos && parse_number(name.substr(0, separator)) &&
           parse_number(name.substr(separator + 1));
}

} // namespace

std::string_view to_string(Fork fork) {
    switch (fork) {
    case Fork::main:
        return "main";
    case Fork::free_space_map:
        return "fsm";
    case Fork::visibility_map:
        return "vm";
    case Fork::init:
        return "init";
    }
    return "";
}

std::string RelationFileName::str() const {
    std::string name = backend ? fmt::format("t{}_{}", *backend, number) : fmt::format("{}", number);
    if (fork != Fork::main) name += fmt::format("_{}", to_string(fork));
    if (segment != 0) name += fmt::format(".{}", segment);
    return name;
}

std::optional<RelationFileName> parse_relation_file_name(std::string_view name) {
    RelationFileName file;
    if (name.starts_with('t')) {
        name.remove_prefix(1);
        const std::string_view digits = leading_digits(name);
        // Since version 17 backends are counted from 0.
        file.backend = digits == "0" ? std::optional<std::uint32_t>(0) : parse_number(digits);
        name.remove_prefix(digits.size());
        if (!file.backend || !name.starts_with('_')) return std::nullopt;
        name.remove_prefix(1);
    }
    const std::string_view digits = leading_digits(name);
    const auto number = parse_number(digits);
    if (!number) return std::nullopt;
    file.number = *number;
    name.remove_prefix(digits.size());
    for (const ForkSuffix& suffix : fork_suffixes) {
        if (!name.starts_with(suffix.text)) continue;
        file.fork = suffix.fork;
        name.remove_prefix(suffix.text.size());
        break;
    }
    if (name.empty()) return file;
    const auto segment = name.front() == '.' ? parse_number(name.substr(1)) : std::nullopt;
    if (!segment) return std::nullopt;
    file.segment = *segment;
    return file;
}

std::optional<RelationDirectory> parse_relation_directory(std::string_view directory) {
    if (directory == "global") return RelationDirectory{global_tablespace, 0};
    const std::vector<std::string_view> names = split_path(directory, 5);
    if (names.size() == 2 && names[0] == "base") {
        if (const auto database = parse_number(names[1])) {
            return RelationDirectory{default_tablespace, *database};
        }
    }
    if (names.size() == 4 && names[0] == "pg_tblspc" && is_tablespace_directory(names[2])) {
        const auto tablespace = parse_number(names[1]);
        const auto database = parse_number(names[3]);
        if (tablespace && database) return RelationDirectory{*tablespace, *database};
    }
    return std::nullopt;
}

DataPath parse_data_path(std::string_view path) {
    DataPath result;
    if (has_temporary_step(path)) {
        result.kind = PathKind::temporary_file;
        return result;
    }
    if (path == "PG_VERSION") {
        result.kind = PathKind::version_file;
        return result;
    }
    const std::size_t slash = path.rfind('/');
    if (slash == std::string_view::npos) return result;
    const std::string_view directory = path.substr(0, slash);
    const std::string_view name = path.substr(slash + 1);
    if (path.starts_with("pg_wal/")) {
        result.kind = PathKind::wal;
    } else if (const auto relations = parse_relation_directory(directory)) {
        result = in_relation_directory(*relations, name);
    } else if (directory == "pg_tblspc") {
        if (const auto oid = parse_number(name)) {
            result.kind = PathKind::tablespace_link;
            result.tablespace = *oid;
        }
    } else if (is_slru_directory(directory)) {
        if (const auto segment = parse_slru_segment(name)) {
            result.kind = PathKind::slru;
            result.slru_segment = *segment;
        }
    }
    return result;
}

std::string tablespace_directory(int major_version, std::uint32_t catalog_version) {
    return fmt::format("PG_{}_{}", major_version, catalog_version);
}

std::string relation_path(const RelationSegment& segment, std::string_view tablespace_directory) {
    const RelationFork& relation = segment.relation;
    const std::string name =
        RelationFileName{relation.number, relation.fork, segment.segment, std::nullopt}.str();
    if (relation.tablespace == global_tablespace) return fmt::format("global/{}", name);
    if (relation.tablespace == default_tablespace) return fmt::format("base/{}/{}", relation.database, name);
    return fmt::format("pg_tblspc/{}/{}/{}/{}", relation.tablespace, tablespace_directory, relation.database,
                       name);
}

} // namespace holdfast::postgres
