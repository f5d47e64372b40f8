// Which log policies let go between the snapshots that they keep. What is let go is deleted for good: where
// anything is doubtful, all of it stays, and why is told.
#pragma once

#include "policy/policy.h"
#include "repository/protocol/log_floors.h"
#include "repository/repository.h"
#include "service/retention.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace holdfast {

// On one timeline, all that lies before `position`, but for what snapshots need for themselves.
struct ReleasedLog {
    std::string source;
    std::string policy;
    std::string window; // by which it goes
    LogBranchName log;  // its branch is the timeline
    std::uint64_t position = 0;
    // From when on any moment stays; nothing: no moment within the window is on this timeline.
    std::optional<Timestamp> from;
};

// The largest segments of each archive of PostgreSQL log, in bytes.
using LogUnits = std::map<ArchiveId, std::uint64_t>;

// Of one source under `policy`, which has a window: on each timeline up to where nothing is needed to reach a
// moment within it, from the snapshot that each stretch of the window begins with, or from any that was made
// behind that and begins before it. No position lies behind the beginning of a slice with a commit within the
// window. The stretch with the newest commit counts as within it, however old it is. Nothing of an archive
// that is among the staying_logs, or has no unit. Asks slices what they say of themselves.
std::vector<ReleasedLog> released_logs(const SourceSnapshots& source, const Policy& policy,
                                       const LogUnits& units, Timestamp now);

struct LogReleaseSettings {
    bool dry_run = false; // asks no clock: nothing is put
    ClockTrust trust{};
    bool keep_log = false; // only says how long segments are
};

struct LogRelease {
    std::vector<ReleasedLog> logs; // only what lies behind the first snapshot: before it all goes anyway
    LogUnits units;                // for CollectorSettings::log_units, of all archives
    // Why the log of some sources stays as a whole, though their policies have a window.
    std::vector<std::string> problems;

    LogFloors floors() const; // for CollectorSettings::released_logs
};

// Of all sources whose policy, `declared` or stated, has a window; where a policy of the same name is
// declared and stated, by the longer one. Nothing of a source of which nothing may be forgotten, of an
// archive that several sources name, and nothing at all while a statement cannot be read or the clock cannot
// be believed. Throws what the store throws.
LogRelease log_release(Repository& repository, const std::vector<Policy>& declared,
                       const LogReleaseSettings& settings);

} // namespace holdfast
