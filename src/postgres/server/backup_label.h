// The text of a backup label, which a server hands out at the end of a backup.
#pragma once

#include "postgres/wal/lsn.h"

#include <string>
#include <string_view>

namespace holdfast::postgres {

struct BackupLabel {
    Lsn start;      // START WAL LOCATION: where replay begins, a redo position
    Lsn checkpoint; // CHECKPOINT LOCATION
    TimelineId start_timeline = 0;
    bool from_standby = false; // BACKUP FROM
    std::string label;
};

// Throws Error(corrupt) when a line that recovery needs is missing or malformed. Lines that are not known are
// ignored.
BackupLabel parse_backup_label(std::string_view text);

} // namespace holdfast::postgres
