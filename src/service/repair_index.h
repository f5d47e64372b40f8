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
    std::uint64_t removed_segments = 0; // damaged ones, and own ones that the new ones replace
    std::vector<std::string> damaged_segments;
    std::vector<std::string> moves; // notes of where frames were moved that were lost, and are there again
    std::vector<std::string>
        problems; // packs and indexes that could not be read, segments that stay; the first thousand
};

// Writes index segments that name every blob of every pack that this holder can read, then removes the
// segments of any domain that are damaged, and, when every pack could be read, the older ones of this slot.
// Sound segments of other slots stay. Of which domain there are segments that this holder has no key for is
// among the problems.
//
// What packs that this slot wrote say goes into segments as a backup writes them. What other slots' packs
// say, and packs of moved frames, whoever signed them, is only claimed: it goes, if this holder has the
// structure secrets, into segments of a run without content keys, which every backup proves by reading the
// frame before it uses an entry (docs/format.md, section 8).
//
// The domain of a pack is that of its writer; of frames that were moved, that of the snapshot of their run.
// Those of which nobody can say that any more go into the index of this holder's domain: ids of data are
// keyed by the domain, so that those of another one are never asked for.
//
// Where frames lie in a pack that took them over from one that is gone, and the note of that (moved/…) is
// lost, it puts the note again.
//
// It is a run of its own, with an intent, so that no collector deletes a pack while its table is copied; what
// is condemned already is left out. At the end it takes its intent back, if it may delete that; otherwise
// collectors wait for it as for any run that shows no sign of life, and fence it. Killed at any point, it
// leaves segments that are right, and the old ones.
//
// Throws Error(access_denied) when this holder may not write an index, Error(cancelled), and what the store
// throws. Memory: about 64 MiB, and for each 100 million blobs about 20 MiB; the rest waits in the
// repository's temporary directory.
RepairReport repair_index(Repository& repository, Progress& progress, std::stop_token stop);

} // namespace holdfast
