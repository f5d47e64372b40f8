// What can be asked for as an operation: checked, and as the command line that does it.
#pragma once

#include "base/clock.h"
#include "policy/policy.h"

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

// The kinds of operations.
inline constexpr std::array<std::string_view, 7> operation_kinds{"backup", "verify", "restore",   "retention",
                                                                 "forget", "prune",  "alert-test"};

// What requests are checked against.
struct OperationWorld {
    std::map<std::string, std::string> sources; // the kind of each, "postgresql" or "documents"
    // Below which a server may be asked to restore; empty: it may not.
    std::string restore_directory{};
    std::string retention_waits{}; // why nothing may be forgotten now; empty: it may
    std::set<std::string> rules{}; // of alerts
    std::set<std::string> classes = known_classes({});
};

struct OperationCommand {
    std::vector<std::string> arguments; // of holdfast, the command first
    Duration time_limit{};              // zero: none
};

// Reads `request`, a JSON object. Throws Error(usage), whose field() says which member, for what is unknown,
// of another type, or makes no sense for this source, Error(fenced) for what has to wait. Nothing that was
// asked for is silently without effect, and no text of a request is ever taken for an option.
//
//   backup     source; type ("auto", "full", "incremental"; PostgreSQL), compare, name, tags, class,
//              keep_for, time_limit_seconds
//   verify     depth: "structure", a part such as "5%", "all", "files"; source or snapshots (absent:
//              everything)
//   restore    source; directory; of PostgreSQL: at, lsn, xid, restore_point, exclusive, timeline, snapshot,
//              databases, start, port; of documents: snapshot, paths
//   retention  source (absent: all), dry_run, trust_clock, idle
//   forget     snapshot (its whole id), even_the_last
//   prune      nothing
//   alert-test rules or all, channels (false: nobody is told)
OperationCommand operation_command(std::string_view kind, const std::optional<std::string>& source,
                                   std::string_view request, const OperationWorld& world);

} // namespace holdfast
