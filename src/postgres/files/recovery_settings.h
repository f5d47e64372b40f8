// How a restored server is told to recover: a signal file, and lines at the end of postgresql.auto.conf.
//
// PostgreSQL reads that file last, and of a setting that is there twice it takes the last, so the lines win
// over whatever the copied server was configured with. Of the five kinds of recovery target only one may be
// set: the others are set to nothing, before it, since a server refuses one that it finds while another is
// set.
#pragma once

#include "base/clock.h"
#include "postgres/wal/lsn.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace holdfast::postgres {

// Where a recovery stops.
struct RecoverToEnd {};       // of all log there is
struct RecoverToConsistency { // as soon as the files are consistent: the end of the backup
};
struct RecoverToTime {
    Timestamp time;
};
struct RecoverToLsn {
    Lsn position;
};
struct RecoverToXid {
    std::uint64_t xid = 0; // with or without epoch; a server compares the low 32 bits
};
struct RecoverToName {
    std::string name; // of a restore point
};
using RecoveryTarget = std::variant<RecoverToEnd, RecoverToConsistency, RecoverToTime, RecoverToLsn,
                                    RecoverToXid, RecoverToName>;

enum class TargetAction { pause, promote, shutdown };

struct RecoverySettings {
    RecoveryTarget target;
    bool inclusive = true;              // of a time, position or transaction: with what happened at it
    std::optional<TimelineId> timeline; // nothing: the latest
    TargetAction action = TargetAction::promote;
    // A command with %f and %p, as the setting has it.
    std::string restore_command;
    // Follow a primary after the end of the log, rather than begin a timeline; without a target only.
    bool standby = false;
    std::string primary_connection; // of a standby; may be empty
    // More settings, after the others; the values unquoted.
    std::vector<std::pair<std::string, std::string>> more;
};

// "recovery.signal" or "standby.signal": an empty file of this name in the data directory.
std::string_view signal_file(const RecoverySettings& settings);

// `text` as the value of a setting in a configuration file, in quotes. Throws Error(usage) when it has a NUL.
std::string quote_setting(std::string_view text);

// "name = value" lines. Throws Error(usage) for a restore point's name that no server takes (empty, above 63
// bytes, more than one line), the position 0, a standby with a target, a recovery without a
// restore_command, and names that are no setting's.
//
// Times are in UTC and in microseconds, as commits are in the log: a time between two is taken down for an
// inclusive target, up for one that is exclusive, which stops at the same commit.
std::string recovery_lines(const RecoverySettings& settings);

// `configuration` (the content of postgresql.auto.conf) with `lines` at its end, between two lines that mark
// them as Holdfast's, in place of those of an earlier call. `lines` ends with a line break or is empty.
std::string with_recovery_lines(std::string_view configuration, std::string_view lines);

} // namespace holdfast::postgres
