// backup_label: what makes a server that finds it in its data directory recover from a backup. One line each,
// as pg_backup_stop() gives them:
//
//   START WAL LOCATION: 0/2000028 (file 000000010000000000000002)
//   CHECKPOINT LOCATION: 0/2000060
//   BACKUP METHOD: streamed                 (or pg_start_backup: exclusive backups of versions 13 and 14)
//   BACKUP FROM: primary                    (master in version 13; or standby)
//   START TIME: 2026-11-20 23:54:21 UTC     (in the server's log_timezone)
//   LABEL: nightly
//   START TIMELINE: 1
//   INCREMENTAL FROM LSN: 0/2000028         (both only in PostgreSQL's own incremental backups, from 17)
//   INCREMENTAL FROM TLI: 1
#pragma once

#include "postgres/wal/lsn.h"

#include <optional>
#include <string>
#include <string_view>

namespace holdfast::postgres {

struct BackupLabel {
    Lsn start; // the redo position of the checkpoint: recovery reads the log from here
    std::string start_file;
    Lsn checkpoint;
    std::string method;     // "streamed" or "pg_start_backup"
    std::string from;       // "primary", "master" or "standby"
    std::string start_time; // as the server wrote it, with the name of its time zone
    std::string label;
    TimelineId timeline = 0;
    struct Incremental {
        Lsn from;
        TimelineId timeline = 0;
        bool operator==(const Incremental&) const = default;
    };
    std::optional<Incremental> incremental;

    bool operator==(const BackupLabel&) const = default;
    bool from_standby() const { return from == "standby"; }
};

// Throws Error(corrupt) that names the line, unless all lines are there, in this order, and no others, which
// is how every server from 13 to 18 writes them. A label with a line break in it is refused too: a server
// that recovers would read the lines after it as its own.
BackupLabel parse_backup_label(std::string_view text);

// parse_backup_label(write_backup_label(x)) == x. Throws Error(usage) when a text of `label` has a line
// break.
std::string write_backup_label(const BackupLabel& label);

} // namespace holdfast::postgres
