// What collectors write down: what they condemn, and what they decide (docs/format.md, section 10).
#pragma once

#include "repository/protocol/doomed_packs.h"
#include "repository/protocol/log_floors.h"

#include <map>
#include <set>
#include <vector>

namespace holdfast {

// Where the live frames of a removed pack lie.
using Moves = std::map<PackId, std::vector<PackId>>;

// The body of condemned/<run>.
struct CondemnedList {
    DoomedPacks doomed;
    LogFloors released{};
    bool operator==(const CondemnedList&) const = default;
};

// The body of verdicts/<run>.
struct Verdict {
    // The collector of this name was stopped, or gave up: nothing of what it condemned goes.
    bool abandoned = false;
    DoomedPacks doomed;
    Moves moves;
    // Forgotten snapshots whose commits go.
    std::vector<RunId> snapshots;

    // What earlier verdicts said, so that their objects can go: all that they doomed and moved, and whose
    // they were.
    DoomedPacks earlier;
    Moves earlier_moves;
    std::set<RunId> united;
    // By this verdict or an earlier one.
    LogFloors released{};
    bool operator==(const Verdict&) const = default;
};

// The decoders throw Error(corrupt) on anything that the encoders would not have written.
Bytes encode_condemned_list(const CondemnedList& list);
CondemnedList decode_condemned_list(ByteView body);
Bytes encode_verdict(const Verdict& verdict);
Verdict decode_verdict(ByteView body);

} // namespace holdfast
