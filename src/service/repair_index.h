// Making the index anew from the tables of packs.
#pragma once

#include "base/progress.h"
#include "repository/repository.h"

#include <stop_token>
#include <string>
#include <vector>

namespace holdfast {

struct RepairReport {
    std::uint64_t packs = 0; // whose tables were read
    std::uint64_t unreadable_packs =
        0;                   // damaged, or without a key for them: what they hold is not in the new index
    std::uint64_t blobs = 0; // that the new index names
    std::uint64_t new_segments = 0, new_bytes = 0;
    std::uint64_t removed_segments = 0; // damaged ones, and those that the new ones replace
    std::vector<std::string> damaged_segments;
    std::vector<std::string> moves; // notes of where frames were moved that were lost, and are there again
    std::vector<std::string>
        problems; // packs that could not be read and segments that could not be removed, the first thousand
};

// Writes index segments of this holder's domain that name every blob of every pack that it can read, then
// removes the segments of that domain that were there before: all of them when every pack could be read, else
// those that are damaged.
//
// Packs do not say of which domain a blob is. All go into the one index: ids of data are keyed by the domain,
// so that those of another one are never asked for. They cost 40 bytes each until that index is repaired or
// merged by somebody who knows better.
//
// Where frames lie in a pack that took them over from one that is gone, and the note of that (moved/…) is
// lost, it puts the note again.
//
// It is a run of its own, with an intent, so that no collector deletes a pack while its table is copied; what
// is condemned already is left out. The run ends by a fence under its own commit name where this holder may
// write one; otherwise collectors wait for it as for any run that shows no sign of life, and fence it.
// Collectors leave index segments alone, whatever became of their runs: a segment is a hint. Killed at any
// point, it leaves segments that are right, and the old ones.
//
// Throws Error(access_denied) when this holder may not write an index, Error(cancelled), and what the store
// throws. Memory: about 64 MiB, and for each 100 million blobs about 20 MiB; the rest waits in the
// repository's temporary directory.
RepairReport repair_index(Repository& repository, Progress& progress, std::stop_token stop);

} // namespace holdfast
