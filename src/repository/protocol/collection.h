// One collection under way: what its steps share. Internal to the collector.
#pragma once

#include "repository/pack/pack_reader.h"
#include "repository/protocol/collector.h"
#include "repository/protocol/reachability.h"
#include "repository/protocol/run_intent.h"
#include "repository/protocol/snapshot_list.h"
#include "repository/protocol/standing_verdicts.h"
#include "store/stoppable_store.h"

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace holdfast {

// A pack as the inventory found it.
struct PackSummary {
    PackId id;
    std::uint64_t size_bytes = 0;
    std::uint64_t live_bytes = 0; // of frames that are reachable and that this pack is to hold
    std::uint64_t dead_bytes = 0; // of all others
    bool readable = true;         // whether its table could be read
};

// A slice of a log as it was listed.
struct ListedSlice {
    LogSliceId id;
    std::uint64_t size_bytes = 0;
};

class Collection {
  public:
    Collection(const RepositoryContext& repository, const CollectorSettings& collector_settings,
               Progress& shown, std::stop_token stop);

    // All steps, one behind the other. When one fails or is stopped before anything was decided, nothing of
    // this run is left for others to wait for; behind that, the next collection carries out what was decided.
    CollectorReport run();

  private:
    void take_steps();
    void postpone();
    void clean_up_after_failure();
    void remove_own_intents();

    // C1 (collector_others.cpp): false when another collection lives and is not to be waited for.
    bool end_other_collectors();
    struct OpenCollectors {
        std::vector<ListedRun> runs;
        std::optional<RunId> ended; // while it was looked at: then `runs` says nothing
    };
    OpenCollectors open_collectors();
    void abandon(const RunId& collector);
    void finish_decided();

    // C2, C5 (collector_mark.cpp).
    void mark();
    void need_log_of(const Snapshot& snapshot);

    // What there is (collector_inventory.cpp).
    void take_inventory();
    void summarize(const ObjectInfo& info, const PackId& pack);
    void tell_lost(const LoadedPack& pack);
    // As the last mark sees it.
    std::uint64_t dead_bytes_of(const LoadedPack& pack);
    bool is_gone(const PackId& pack) const;
    const std::set<PackId>& holders_of(const PackId& origin);
    bool is_to_hold(const PackId& pack, const PackId& origin);

    // C3 (collector_condemn.cpp): what is condemned, and from it and the second mark what is decided.
    void condemn();
    void choose_rewrites();
    void foretell();
    void condemn_pack(const PackSummary& pack);
    void put_condemned();
    void decide();
    void decide_on(const PackId& pack);

    // C4 (collector_wait.cpp): false when runs that still live are not to be waited for longer.
    bool wait_for_writers();
    std::vector<ListedRun> open_writers(const std::vector<ListedRun>& runs);
    void fence(const RunId& run);

    // C6 (collector_rewrite.cpp).
    void rewrite();

    // C7 to C9 (collector_delete.cpp).
    void put_verdict();
    void give_up();
    void carry_out(const RunId& collector, const Verdict& verdict, bool ours);
    void put_moved(const Verdict& verdict);
    // C10 (collector_index.cpp).
    void maintain_index();
    struct OwnSegment {
        std::string name;
        std::uint64_t size_bytes = 0;
        std::uint64_t entries = 0;
        bool touched = false; // some of its packs have dead frames, or were moved
    };
    // Those that are gone are not in what it returns.
    std::map<std::string, Bytes> get_each(std::span<const std::string> names, const ByteRange& range);
    void noting_bad_segments(const std::function<void()>& work);
    bool ours_to_sign(const ObjectHeader& header) const;
    void look_at_segment(const ObjectInfo& info, Bytes beginning, const DoomedPacks& gone,
                         std::map<DomainId, std::vector<OwnSegment>>& own);
    void join_segments(const DomainId& domain, std::vector<OwnSegment> segments, const DoomedPacks& gone,
                       std::uint32_t& next_segment);
    void rewrite_segments(const DomainId& domain, const std::vector<std::string>& names,
                          const DoomedPacks& gone, std::uint32_t& next_segment);
    bool is_locked(const std::string& name, const std::stop_token& stop);
    // Those that are; asks several at once.
    std::set<std::string> locked_of(const std::vector<std::string>& names);
    // Returns those that are gone. The others are locked, or may not be removed.
    std::set<std::string> remove_lockable(const std::vector<std::string>& names);
    void delete_doomed(const Verdict& verdict, bool ours);
    void drop_moved(const Verdict& verdict);
    void drop_old_verdicts();
    void drop_ended_runs();
    // Slices of logs that no snapshot needs (collector_log.cpp). A dry run only counts them.
    void drop_logs();
    void drop_slices(std::vector<ListedSlice> slices);
    bool is_to_drop(const ArchiveId& archive) const;
    void release_logs();
    // Lowers those of earlier collections to where their logs end, as far as anybody has proven.
    LogFloors believable_floors(LogFloors floors);
    std::uint64_t at_most_end_of_log(const ArchiveId& archive, std::uint64_t floor);
    bool is_needed(const LogSliceId& slice) const;
    void require_droppable() const;

    // Puts a beat and returns all runs with intents. Afterwards store_now_ is the store's time.
    std::vector<ListedRun> beat_and_list_runs();
    bool is_ours(const RunId& id) const { return own_run_ && own_run_->id() == id; }
    // What a run's newest intent says of it.
    enum class Claim { writer, collector, untrusted, gone };
    Claim claim_of(const ListedRun& run);
    // Runs whose commit name is taken or that were forgotten.
    std::set<RunId> ended_writers();

    const RepositoryContext& unstoppable_; // for signs of life, the verdict, and what is taken back
    const std::stop_token stop_;
    StoppableStore store_;
    const RepositoryContext context_;
    const CollectorSettings& settings_;
    Progress& progress_;
    CollectorReport report_;

    std::optional<RunContext> own_run_; // not in a dry run
    std::optional<RunIntent> intent_;
    Timestamp store_now_{};

    StandingVerdicts standing_;
    DoomedPacks decided_before_; // by earlier collections
    Moves moves_before_;
    std::map<PackId, std::set<PackId>> holders_;

    PackReader packs_;
    NodeReader nodes_;
    ReachabilityScanner scanner_;
    std::vector<RunId> forgotten_;
    std::set<RunId> committed_; // at the last mark, forgotten ones included
    bool marked_ = false;
    // From where on logs are needed, by both marks; and all that either of them saw a snapshot of.
    std::map<ArchiveId, std::uint64_t> log_begins_;
    // What snapshots need for themselves that either of them saw: begin to end, none of them touching.
    std::map<ArchiveId, std::map<std::uint64_t, std::uint64_t>> own_logs_;
    std::set<ArchiveId> needed_logs_;

    std::set<PackId> listed_packs_;
    std::set<PackId> lost_origins_; // packs that are gone, and nothing says where their frames are
    std::vector<PackSummary> inventory_;
    std::vector<PackId> leftovers_; // decided on earlier, and still there
    std::vector<PackId> dead_;      // packs to go as they are
    std::vector<PackId> rewrites_;  // packs to go once their live frames are copied
    std::map<PackId, std::uint64_t> doomed_sizes_;
    CondemnedList condemned_;
    bool decided_ = false; // or tried to
    std::mutex lock_problems_mutex_;
    bool segments_stay_ = false;    // the store did not let one be removed: no more are made in their place
    bool locks_are_secret_ = false; // the store does not tell us of them
    Verdict verdict_;
};

} // namespace holdfast
