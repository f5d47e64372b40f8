// The quickest way back that works: restart the server, else the moment that was asked for, else the newest
// that log leads to, else the last snapshot that is not behind that moment.
#pragma once

#include "service/restore_postgres.h"

#include <string>
#include <vector>

namespace holdfast {

struct LadderSettings {
    // Restarts the original, or fails over to its standby; empty: that step is left out. It counts when the
    // server then answers through `connection` within `patience`.
    std::string restart_command{};
    std::string connection{};
    Duration patience = std::chrono::seconds(60);
    // How many snapshots are tried, newest first.
    std::size_t snapshots = 5;
};

struct LadderStep {
    std::string what;    // "restart", "recover to the end of the log", "snapshot …"
    std::string why_not; // empty: this is the one that worked
    double seconds = 0;
};

struct LadderResult {
    std::vector<LadderStep> steps;
    bool restarted = false;
    std::optional<PostgresRestoreResult> restored; // unless it was restarted
};

// Tries one step after the other. What a step has left in the target is used by the next one, which writes
// only what differs; what was there before is refused at once, unless it is to be restored in place. Of a
// transaction or a restore point that is not found, no snapshot is taken. Throws Error(usage) and
// Error(cancelled) of any step at once, and Error of the first restore when none works; `told` hears of each
// step when it is over.
LadderResult restore_by_ladder(Repository& repository, const PostgresRestore& what,
                               const LadderSettings& settings, Progress& progress,
                               const std::function<void(const LadderStep&)>& told, std::stop_token stop);

} // namespace holdfast
