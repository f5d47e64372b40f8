// What collectors have condemned and decided so far, from condemned/ and verdicts/.
#pragma once

#include "repository/protocol/context.h"
#include "repository/protocol/verdict.h"

#include <map>
#include <string>
#include <vector>

namespace holdfast {

struct StandingVerdicts {
    // By the collector's run.
    std::map<RunId, CondemnedList> condemned;
    std::map<RunId, Verdict> verdicts;
    // Objects that nobody trusted signed, or of names that this program does not know.
    std::vector<std::string> problems;
    // Objects that are damaged: what they doom is not known.
    std::vector<std::string> damaged;

    // All that was decided, ever: frames and packs that are gone or going, even if a delayed put brings them
    // back.
    DoomedPacks decided() const;
    Moves moves() const;
    // Up to where logs have been let go.
    LogFloors released() const;
    // Collections that have a verdict, or had one that was united.
    bool has_ended(const RunId& collector) const;
};

// condemned/ before verdicts/: a list is removed only when its verdict is there.
StandingVerdicts read_verdicts(const RepositoryContext& context);

} // namespace holdfast
