// What a slot has written so far: what a revocation leaves to count.
#pragma once

#include "repository/ids.h"
#include "repository/object.h"
#include "repository/trust.h"
#include "store/store.h"

#include <map>
#include <set>
#include <string>

namespace holdfast {

struct SignedObjects {
    std::set<RunId> runs;                                     // for kinds that count by run
    std::map<std::string, ObjectDigest, std::less<>> objects; // all others, each proven
};

// Reads every object that could be the slot's but packs, index segments and slices of logs, and the first
// bytes of one pack or slice of each run that is not known otherwise. Objects that do not prove to be the
// slot's are left out.
SignedObjects signed_by(Store& store, const Trust& trust, const SlotId& slot,
                        const CallOptions& options = {});

} // namespace holdfast
