// The names of files of the log, as PostgreSQL gives them to archive_command and restore_command.
#pragma once

#include "postgres/wal/lsn.h"

#include <optional>
#include <string_view>

namespace holdfast::postgres {

enum class WalFileKind {
    segment,
    partial, // the last segment of a timeline that was left: "….partial"
    history, // "….history"
    backup,  // when a backup began and ended, for people: "….<offset>.backup"
};

struct WalFileName {
    WalFileKind kind = WalFileKind::segment;
    TimelineId timeline = 0;
    // The 24 digits of the segment; empty for a history. Which position that is depends on the segment size.
    std::string_view segment;
};

// Empty for any other name. The result points into `name`.
std::optional<WalFileName> parse_wal_file_name(std::string_view name);

} // namespace holdfast::postgres
