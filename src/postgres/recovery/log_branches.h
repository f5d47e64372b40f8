// Which of several logs of one timeline a recovery follows: two servers that both took themselves for the
// same cluster (a disk that was copied and both ran, storage that was set back) have written over the same
// positions, and one archive has both.
//
// A slice follows on another only when its first record names the last one of that as its predecessor, and
// where their bytes overlap they are the same. Of the branches that come of it, a snapshot's is the one with
// its own records: of the backup's beginning, and the record that ends it. A snapshot made before they parted
// leads along all of them: then somebody must choose.
#pragma once

#include "postgres/recovery/log_chain.h"
#include "postgres/recovery/log_versions.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace holdfast::postgres {

// By which a user names a branch: the run that has stored some of it, as its first digits.
constexpr std::size_t branch_name_digits = 12;
std::string branch_name(const LogSliceId& slice);

struct LogBranch {
    std::string name;
    LogSliceId first; // its first slice that has something of its own
    Lsn end;          // as far as it was followed
    std::optional<Timestamp> last_commit;
};

// A place where logs part, or where several are found.
struct LogFork {
    TimelineId timeline = 0;
    Lsn at;                          // the first position that differs, as far as that is known
    std::vector<LogBranch> branches; // the one that is used first
    bool decided = false;            // else none is used
};

// Two logs of timeline 1 from 0/5000000 on: … For people, without a full stop.
std::string describe(const LogFork& fork);

// Where a log cannot be followed any further, though there are slices.
struct LogStop {
    Lsn at;
    std::string why;
    std::optional<LogFork> fork; // undecided
    std::map<LogSliceId, WalDetails>
        cut_short; // what those that lead up to it say of their records before it
};

struct BranchVerdict {
    std::vector<LogSliceId> aside; // sorted: of other branches
    std::vector<LogFork> forks;    // that were passed, decided
    std::optional<LogStop> stop;
    // A branch was chosen, and this snapshot's log does not lead there.
    bool off_choice = false;
};

// Of the slices of `source`, all of which count, which are on the branch of `snapshot`, as far as `steps`
// lead from its beginning. `chosen`: names of branches, of those that must be on the way. Throws what the
// source's functions throw.
BranchVerdict judge_branches(const RecoverySource& source, const Snapshot& snapshot,
                             std::span<const PathStep> steps, std::span<const std::string> chosen);

} // namespace holdfast::postgres
