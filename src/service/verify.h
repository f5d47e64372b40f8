// Proving that what a repository holds is whole: its objects, the trees of its snapshots, its packs and its
// index.
#pragma once

#include "base/progress.h"
#include "base/task_group.h"
#include "repository/repository.h"

#include <map>
#include <stop_token>
#include <string>
#include <vector>

namespace holdfast {

struct VerifySettings {
    // Reads packs whole: compares digests, and opens every frame that the keys open. Otherwise the content of
    // data packs is taken on trust, and all that describes it is checked.
    bool read_data = false;
    // With read_data: also puts every file together, as a restore would, and compares it with its digest and
    // its pages with their signatures. Takes a few times as long.
    bool compare_files = false;
    // With read_data: which part of the packs, chosen at random; above 0, at most 1.
    double sample_part = 1;
    // The snapshots whose trees are walked; none: all. Packs and objects are checked all the same.
    std::vector<RunId> snapshots{};
    unsigned workers = worker_count(); // for what costs the processor
    unsigned requests = 8;             // small reads asked of the store at once
    std::size_t most_paths = 1000;
};

// One object that is not what its writer wrote, or that should be there and is not.
struct Damage {
    std::string object;
    std::string what;
    std::string hint;
    std::uint64_t more = 0; // further findings of the same object, which are not told
};

// A file (or a directory, then with a slash behind it: some or all of its entries are not known) that cannot
// be restored whole.
struct AffectedPath {
    RunId snapshot;
    std::string path;
};

// Objects that the keys of a holder do not open. Who wrote them was checked, not what they say.
struct ClosedObjects {
    std::uint64_t objects = 0;
    std::map<std::string, std::uint64_t> by_kind; // "commit", "index segment", "pack" …
    std::string hint;                             // which key opens them
};

enum class ContentCheck {
    none,      // read_data was off
    digests,   // of whole packs, which tells damage but not who wrote it; the keys open no content
    decrypted, // every frame that was read was proven, decompressed, and its blobs' ids computed again
};
std::string_view to_string(ContentCheck check);

struct VerifyReport {
    std::vector<RunId> snapshots; // whose trees were walked
    std::uint64_t objects = 0;    // small ones: commits, keys, intents …
    std::uint64_t nodes = 0;
    std::uint64_t packs = 0, pack_bytes = 0;
    std::uint64_t frames = 0; // as the tails say
    std::uint64_t packs_read = 0, bytes_read = 0;
    std::uint64_t frames_opened = 0, raw_bytes = 0, blobs_identified = 0;
    std::uint64_t files_checked = 0; // whose digests were compared with their content
    std::uint64_t index_segments = 0, index_entries = 0;
    std::uint64_t log_slices = 0, log_bytes = 0;
    // Packs that an index names and that are gone: it is a hint only, so this is no damage.
    std::uint64_t index_packs_gone = 0;
    // Packs to which no snapshot refers: of unfinished runs, or waiting for a collection. Known only when the
    // trees of all snapshots were walked; no damage.
    std::uint64_t orphan_packs = 0, orphan_bytes = 0;
    std::uint64_t foreign_objects = 0; // whose names are not ours
    ContentCheck content = ContentCheck::none;

    std::vector<Damage> damages;       // by name of object; the first ten thousand
    std::uint64_t damaged_objects = 0; // all of them
    // What could not be looked at, because the store does not give it now: it is in a cold tier. `index/`:
    // for missing segments, because others went all the while.
    std::vector<Damage> unchecked;
    // What could not be read for lack of a key.
    ClosedObjects closed;
    std::vector<RunId> affected_snapshots;
    std::vector<AffectedPath> affected_paths; // at most most_paths, newest snapshot first
    bool more_affected_paths = false;

    bool intact() const { return damaged_objects == 0; }
    // Files were to be put together, and no key for their content is held.
    bool files_closed = false;
    // Whether all that was to be looked at could be. That a key cannot decrypt packs whose digests are right
    // does not count.
    bool all_checked() const { return unchecked.empty() && closed.objects == 0 && !files_closed; }
};

// Checks everything that `settings` asks for and changes nothing. Damage is in the report; what is thrown are
// errors that say nothing about the repository: a store that does not answer, Error(usage) for a snapshot
// that does not exist or a bad setting, Error(cancelled). Memory: about 32 bytes a distinct node, 5 bytes a
// frame that is referred to, 150 bytes a pack, and with read_data about 128 MiB and two packs a worker.
VerifyReport verify_repository(Repository& repository, const VerifySettings& settings, Progress& progress,
                               std::stop_token stop);

// Says of every snapshot that was checked how that came out: a `verification` statement. Throws
// Error(access_denied) when this holder may write none.
void record_verification(Repository& repository, const VerifySettings& settings, const VerifyReport& report);

} // namespace holdfast
