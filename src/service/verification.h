// One verification under way: what its steps share. Internal to verify_repository.
#pragma once

#include "base/task_group.h"
#include "repository/node/entry.h"
#include "repository/node/file_map_node.h"
#include "repository/node/node_reader.h"
#include "repository/pack/pack_reader.h"
#include "repository/protocol/pack_set.h"
#include "repository/protocol/snapshot_list.h"
#include "repository/protocol/standing_verdicts.h"
#include "repository/protocol/statement.h"
#include "service/damage_list.h"
#include "service/frame_needs.h"
#include "service/verify.h"

#include <atomic>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

namespace holdfast {

// A node at its place, in 16 bytes.
using NodePlace = FixedBytes<16>;
NodePlace place_of(const NodeRef& reference);
// A file by what it is made of, and a segment of a large one, in 16 bytes (segment_uses.cpp).
FixedBytes<16> key_of_file(const TreeEntry& file);
FixedBytes<16> key_of_segment(const Segment& segment);
using NodePlaces = std::unordered_set<NodePlace, FixedBytesHash>;

// Of a finding that keys alone explain.
inline constexpr std::string_view exchanged_hint = "somebody with the keys exchanged content, or the writer "
                                                   "is broken; do not trust what that key slot wrote";

// Calls `work` for 0 to count - 1 on `threads` threads.
void for_each_parallel(std::size_t count, unsigned threads, std::stop_token stop,
                       const std::function<void(std::size_t)>& work);

class Verification {
  public:
    Verification(Repository& repository, const VerifySettings& settings, Progress& progress,
                 std::stop_token stop);

    // All steps, one behind the other.
    VerifyReport run();

  private:
    struct ListedPack {
        PackId id;
        std::uint64_t size_bytes = 0;
        bool read_whole = false;
    };
    // A directory leaf, and the domain of a snapshot that refers to it: by its key files were hashed.
    struct ListedLeaf {
        NodeRef node;
        std::uint32_t domain = 0; // in domains_
    };

    // verify_objects.cpp: config, keys, and every small object. Lists everything.
    void check_trust();
    void choose_snapshots();
    void list_objects();
    void check_objects();
    void check_object_of(const std::string& name);

    // verify_missing.cpp: what is gone, and only other objects tell of.
    void find_missing_objects();
    bool is_there(const std::string& name);
    bool is_accounted_for(const RunId& snapshot);
    void miss(const std::string& name, const std::string& what);
    void miss_slot(const SlotId& slot, const std::string& why);
    void find_missing_keys();
    void find_missing_grants();
    void find_what_removed_slots_left();
    void find_missing_statements();
    void find_missing_snapshots();
    void find_missing_forgets();
    void find_missing_verdicts();
    void find_missing_intents();

    // verify_structure.cpp
    void walk_trees();

    // verify_packs.cpp
    void choose_packs_to_read();
    void check_packs();
    void check_pack_end(const ListedPack& listed);
    void check_table(const LoadedPack& pack);
    void check_signature(const std::string& name, const PackId& pack, const SlotId& writer,
                         const FixedBytes<32>& digest, const Signature& signature);
    bool is_holder(const PackId& pack, const PackId& origin) const;
    void find_holders();
    void find_missing();
    std::string name_missing(const PackId& origin) const;

    // verify_content.cpp
    void read_packs();

    // verify_files.cpp
    void check_files();

    // verify_index.cpp
    void check_index();
    bool check_segment(const std::string& name, std::uint64_t size_bytes);
    void find_missing_segments();

    // verify_logs.cpp
    void check_logs();
    void check_slice(const LogSliceId& slice, bool whole);
    void check_log_of(const Snapshot& snapshot);

    // verify_affected.cpp
    void find_affected();

    void next_phase(std::string_view phase);
    friend class PackContentCheck;
    friend class ContentReading;
    friend class FileCheck;
    friend class SegmentCheck;
    friend class TreeWalk;
    friend class AffectedFinder;

    Repository& repository_;
    const VerifySettings& settings_;
    Progress& progress_;
    std::stop_token stop_;
    VerifyReport report_;
    Findings findings_;

    std::optional<Trust> fresh_trust_;
    std::optional<RepositoryContext> context_; // with the trust of now
    SnapshotList list_;
    StatementList statements_;
    StandingVerdicts standing_;
    std::vector<Snapshot> chosen_;

    std::vector<std::string> names_; // of small objects; sorted
    std::vector<ListedPack> packs_;
    PackSet listed_packs_;
    std::vector<std::pair<std::string, std::uint64_t>> segments_;
    std::vector<LogSliceId> slices_; // sorted
    std::set<LogSliceId> bad_slices_;
    std::mutex mutex_;                       // all that follows up to whole_packs_, while threads work
    std::map<SlotId, std::uint32_t> grants_; // of each slot the highest number that counts
    // Notes of moved packs that a collection put behind a verdict of its own, and whose that was.
    std::vector<std::pair<PackId, RunId>> notes_of_collectors_;
    std::map<PackId, std::vector<PackId>> moves_;
    std::map<PackId, std::set<PackId>> holders_; // of packs that were moved
    std::map<PackId, PackId> lost_;              // packs that are gone, and one that has frames of each
    std::set<PackId> unreadable_packs_;          // their tables are damaged
    std::set<PackId> closed_packs_;              // no key for their tables
    // Packs with blobs in frames that snapshots need, and of each such pack one of these blobs; those that no
    // index segment was seen to name.
    std::unordered_map<PackId, BlobId, PackIdHash> not_indexed_;
    std::unordered_set<BlobId, FixedBytesHash> crowded_blobs_; // that segments have in very many places
    // Frames of nodes whose packs are gone. What is to blame is known once all packs were looked at.
    std::map<FrameAddress, Error> gone_nodes_;
    NodePlaces bad_nodes_;
    NodePlaces bad_files_;
    NodePlaces bad_segments_;
    PackSet whole_packs_; // that were read whole; what was wrong in them is marked

    std::vector<std::string> domains_; // of the snapshots that are walked
    std::vector<ListedLeaf> leaves_;   // with read_data
    PackReader pack_reader_;
    NodeReader node_reader_;
    FrameNeeds needs_;
    std::atomic<std::uint64_t> nodes_{0}, objects_{0}, frames_{0}, orphan_packs_{0}, orphan_bytes_{0};
    std::atomic<std::uint64_t> packs_read_{0}, bytes_read_{0}, frames_opened_{0}, raw_bytes_{0}, blobs_{0},
        files_{0};
};

} // namespace holdfast
