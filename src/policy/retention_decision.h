// Which snapshots of a source stay and why, and which may go.
#pragma once

#include "policy/retention.h"

#include <optional>
#include <string>
#include <vector>

namespace holdfast {

// What of a snapshot matters here.
struct RetentionSubject {
    std::string id;                   // for the answer only
    Timestamp time{};                 // by which it counts: when it was begun
    Timestamp end{};                  // it can be carried forward to any moment after this, when it has a log
    bool complete = true;             // nothing was left out of it
    bool damaged = false;             // its last verification failed
    std::string class_name;           // empty: none
    std::optional<Timestamp> expires; // time-to-live; nothing: as the rules say
    std::vector<std::string> holds;   // what each of them says
    bool has_log = false;
    bool log_gap_before = false; // the log from the snapshot before it does not reach it

    bool good() const { return complete && !damaged; }
};

struct RetentionDecision {
    bool keep = false;
    std::vector<std::string> reasons; // for people: each why it stays; or the one why it may go
};

// One decision for each of `snapshots`, which are of one source, in their order. It hangs on nothing but the
// arguments.
//
// * What is held stays. What has a time to live stays until then and goes after that, whatever the rules say.
// * The newest stays, and the newest good one (complete and not damaged), even beyond a time to live.
// * Of an hour, day … that has several, a good one counts before a partial one and that before a damaged one,
//   and of those the newest. Only what is not damaged uses up a number.
// * With a window: the newest good one with a log that ended before the window begins stays, or the oldest
//   when all are newer; and within the window each good one that the log does not reach from an earlier one.
// * A snapshot that was made for a reason (see retention.h) stays when there are no rules for its class.
std::vector<RetentionDecision> decide_retention(const RetentionPolicy& policy,
                                                const std::vector<RetentionSubject>& snapshots,
                                                Timestamp now);

} // namespace holdfast
