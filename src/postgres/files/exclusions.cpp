#include "postgres/files/exclusions.h"

#include "base/error.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace holdfast::postgres {

namespace {

constexpr int first_version = 13;
constexpr int last_version = 18;
constexpr int version_without_statistics_directory = 15;
constexpr int version_with_summaries = 17;

// By name, wherever they are.
constexpr std::array<std::string_view, 8> skipped_names{
    "postgresql.auto.conf.tmp", "current_logfiles.tmp", "backup_label",    "tablespace_map",
    "backup_manifest",          "postmaster.pid",       "postmaster.opts", ".DS_Store"};
constexpr std::array<std::string_view, 2> skipped_prefixes{"pg_internal.init", "pgsql_tmp"};
constexpr std::array<std::string_view, 5> skipped_by_us{"recovery.signal", "standby.signal",
                                                        "backup_label.old", "tablespace_map.old",
                                                        "holdfast-access"}; // credentials of a recovery
constexpr std::array<std::string_view, 7> emptied_names{
    "pg_stat_tmp", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_subtrans"};

bool is_one_of(std::span<const std::string_view> names, std::string_view name) {
    return std::ranges::find(names, name) != names.end();
}

} // namespace

Exclusions::Exclusions(int major_version, std::string_view statistics_directory)
    : major_version_(major_version) {
    if (major_version < first_version || major_version > last_version) {
        throw Error(ErrorCode::incompatible, fmt::format("PostgreSQL {} is not known", major_version),
                    "Holdfast knows PostgreSQL 13 to 18");
    }
    if (statistics_directory.starts_with("./")) statistics_directory.remove_prefix(2);
    while (statistics_directory.ends_with('/')) statistics_directory.remove_suffix(1);
    const bool below = !statistics_directory.empty() && !statistics_directory.starts_with('/');
    if (major_version < version_without_statistics_directory && below) {
        statistics_directory_ = statistics_directory;
    }
}

Inclusion Exclusions::of(std::string_view path, bool is_directory) const {
    const std::size_t slash = path.rfind('/');
    const std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
    const bool prefixed = std::ranges::any_of(
        skipped_prefixes, [&](std::string_view prefix) { return name.starts_with(prefix); });
    if (prefixed || is_one_of(skipped_names, name)) return Inclusion::skip;
    if (is_one_of(skipped_by_us, path)) return Inclusion::skip;
    if (!is_directory) return Inclusion::copy;
    const bool emptied = is_one_of(emptied_names, name) || path == "pg_wal" ||
                         (!statistics_directory_.empty() && path == statistics_directory_);
    return emptied ? Inclusion::empty : Inclusion::copy;
}

std::vector<std::string> Exclusions::required_directories() const {
    std::vector<std::string> directories{"base",
                                         "global",
                                         "pg_commit_ts",
                                         "pg_dynshmem",
                                         "pg_logical",
                                         "pg_logical/mappings",
                                         "pg_logical/snapshots",
                                         "pg_multixact",
                                         "pg_multixact/members",
                                         "pg_multixact/offsets",
                                         "pg_notify",
                                         "pg_replslot",
                                         "pg_serial",
                                         "pg_snapshots",
                                         "pg_stat",
                                         "pg_stat_tmp",
                                         "pg_subtrans",
                                         "pg_tblspc",
                                         "pg_twophase",
                                         "pg_wal",
                                         "pg_wal/archive_status"};
    if (major_version_ >= version_with_summaries) directories.push_back("pg_wal/summaries");
    directories.push_back("pg_xact");
    if (!statistics_directory_.empty() &&
        std::ranges::find(directories, statistics_directory_) == directories.end()) {
        for (std::size_t at = statistics_directory_.find('/'); at != std::string::npos;
             at = statistics_directory_.find('/', at + 1)) {
            directories.push_back(statistics_directory_.substr(0, at));
        }
        directories.push_back(statistics_directory_);
    }
    return directories;
}

RelationExclusions::RelationExclusions(std::span<const std::string> names) {
    for (const std::string& name : names) {
        const auto file = parse_relation_file_name(name);
        if (file && !file->backend && file->fork == Fork::init && file->segment == 0) {
            unlogged_.insert(file->number);
        }
    }
}

bool RelationExclusions::skips(std::string_view name) const {
    const auto file = parse_relation_file_name(name);
    if (!file) return false;
    return file->backend || (file->fork != Fork::init && unlogged_.contains(file->number));
}

} // namespace holdfast::postgres
