// What every part of the protocol works with.
#pragma once

#include "base/clock.h"
#include "base/random.h"
#include "repository/key_ring.h"
#include "repository/trust.h"
#include "store/store.h"

namespace holdfast {

class ObjectCache;

// The steps of sections 10 and 11 of docs/format.md that the tables there give reasons for. All are always
// taken. The simulation of the protocol leaves out one at a time, to show that then something is lost;
// nothing else may.
struct ProtocolSteps {
    // Of writers.
    bool intent = true;                    // W1
    bool keep_first_beat = true;           // W1
    bool read_condemned = true;            // W2
    bool read_verdicts = true;             // W2
    bool condemned_before_verdicts = true; // W2
    bool intent_before_lists = true;       // W3: the list of snapshots
    bool list_packs = true;                // W3
    bool compare_checkpoints = true;       // before anything is taken from one
    bool packs_before_commit = true;       // W4
    bool commit_if_absent = true;          // W5
    bool compare_taken = true;             // W5, C7: whose object lies under a name that decides
    bool keep_tried_intent = true;         // W5: a run whose commit was tried keeps its intents
    bool look_behind_locks = true;         // of a locked snapshot
    // Of collectors.
    bool collector_intent = true;        // C1
    bool intents_before_verdicts = true; // C1
    bool look_again = true;              // C1
    bool end_other_collectors = true;    // C1
    bool abandon_if_absent = true;       // C1
    bool finish_decided = true;          // C1
    bool distrust_returned_packs = true; // C2
    bool ask_for_locks = true;           // before C3 and in C8
    bool condemn_before_intents = true;  // C3 before C4
    bool wait_for_writers = true;        // C4
    bool fence = true;                   // C4
    bool fence_if_absent = true;         // C4
    bool mark_again = true;              // C5
    bool verdict_if_absent = true;       // C7
    bool unite_verdicts = true;          // C7
    bool moved_before_delete = true;     // C8
    bool drop_verdicts_late = true;      // C9
    bool keep_forgets = true;            // C9
    bool keep_fences = true;             // C9
    bool keep_verdicts = true;           // C9
    // Of section 11, for logs.
    bool heed_log_begins = true;       // a backup begins where no collection deletes
    bool read_condemned_floors = true; // W2
    bool read_decided_floors = true;   // W2
    bool log_before_commit = true;     // W4
    bool keep_log_marks = true;        // C5: what the first mark needs stays needed
    bool logs_behind_verdict = true;
    bool leave_unnamed_logs = true; // archives of which C2 found no snapshot
};

// All must outlive who uses it. The clock decides when patience ends and when a checkpoint is old, nothing
// else.
struct RepositoryContext {
    Store& store;
    const KeyRing& keys;
    const Trust& trust;
    Clock& clock;
    Random& random;
    ProtocolSteps steps{};
    // Where small objects that were read before are kept; null: they are always read from the store.
    ObjectCache* cache = nullptr;
    // How many requests are under way together where many objects are read; with one, no threads are started.
    unsigned requests_at_once = 8;

    RepositoryContext without_cache() const {
        return {store, keys, trust, clock, random, steps, nullptr, requests_at_once};
    }
    // The same with another way to the objects: a decorator of this store.
    RepositoryContext through(Store& other) const {
        return {other, keys, trust, clock, random, steps, cache, requests_at_once};
    }
};

} // namespace holdfast
