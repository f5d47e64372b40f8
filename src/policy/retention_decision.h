// Which snapshots of a source stay and why, and which may go.
#pragma once

#include "policy/retention.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace holdfast {

// What of a snapshot matters here.
struct RetentionSubject {
    // A stretch of the recoverable times that it lies on.
    struct Stretch {
        std::size_t number = 0;
        std::optional<Timestamp> until{}; // its last moment; nothing: it goes on
        bool operator==(const Stretch&) const = default;
    };
    std::string id;                   // for the answer only
    std::uint64_t sequence = 0;       // which is the newest; of equal ones that of the later time
    Timestamp time{};                 // by which it counts: when it was begun
    Timestamp end{};                  // it can be carried forward to any moment after this, when it has a log
    bool complete = true;             // nothing was left out of it
    bool damaged = false;             // a verification said so, and none as thorough has taken it back
    bool restorable = true;           // the log that makes it whole is there
    std::string class_name;           // empty: none
    std::optional<Timestamp> expires; // time-to-live; nothing: as the rules say
    std::vector<std::string> holds;   // what each of them says
    std::vector<Stretch> stretches;   // empty: it cannot be carried forward

    bool good() const { return complete && !damaged && restorable; }
};

struct RetentionDecision {
    bool keep = false;
    std::vector<std::string> reasons; // for people: each why it stays; or the one why it may go
};

// One decision for each of `snapshots`, which are of one source, in their order. It hangs on nothing but the
// arguments.
//
// * What is held stays. What has a time to live stays until then and goes after that, whatever the rules say,
//   which do not count it either.
// * The newest stays, and the newest good one (complete, whole and not damaged), even beyond a time to live.
// * Of an hour, day … that has several, a good one counts before a partial one and that before a damaged one,
//   and of those the newest. Only what is not damaged uses up a number.
// * With a window: on each stretch that reaches into it the newest good one stays that ended before the
// window
//   begins, or the first good one when all are newer; and of each day within it the newest good one.
// * What no rule is about stays.
// * A snapshot that was made for a reason (see retention.h) stays when there are no rules for its class.
std::vector<RetentionDecision> decide_retention(const RetentionPolicy& policy,
                                                const std::vector<RetentionSubject>& snapshots,
                                                Timestamp now);

// Of each stretch of `snapshots` that reaches into the window of `policy`, by its number, with which one it
// begins: the newest good one without a time to live that ended before the window begins; nothing when all
// such are newer, or there is none. Without a window no stretch does.
std::map<std::size_t, std::optional<std::size_t>>
window_beginnings(const RetentionPolicy& policy, const std::vector<RetentionSubject>& snapshots,
                  Timestamp now);

} // namespace holdfast
