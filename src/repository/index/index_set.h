// All that a backup knows of stored blobs: the segments of its domain, and what it stored itself and no
// segment names yet.
#pragma once

#include "base/log.h"
#include "repository/index/blob_table.h"
#include "repository/index/segment_reader.h"

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <vector>

namespace holdfast {

// Whose word a segment is. What another slot signed, or this one gathered from packs of others, is a hint
// that must be checked by reading the frame (docs/format.md, section 8).
enum class SegmentAuthor { own, other };

struct IndexHit {
    BlobLocation location;
    SegmentAuthor author = SegmentAuthor::own;
};

struct IndexLimits {
    // Segments beyond this much filter are used without theirs, at a block read for each look-up.
    std::size_t filter_bytes = std::size_t{64} << 20;
    // When this many new blobs lie in stored packs, they should become a segment: about 60 bytes each until
    // then.
    std::size_t spill_entries = 200'000;
    std::size_t cached_blocks_per_segment = 4;
};

// Thread-safe. Errors of a segment are not the backup's: the segment is left out from then on, with a warning
// in the log, and what it knew is stored again.
class IndexSet {
  public:
    // `logger` must live longer.
    IndexSet(IndexLimits limits, Logger& logger) : limits_(limits), logger_(logger) {}

    // Adds a segment, whose object the caller has verified; false, with a warning in the log, when its body
    // is damaged.
    bool add_segment(const std::shared_ptr<const ByteSource>& body, const SegmentIdentity& identity,
                     SegmentAuthor author);
    // After a merge: the segment is no longer asked. Nothing happens when there is none of that name.
    void remove_segment(std::string_view name);
    // Names of segments that were left out because of an error, for the cache to forget.
    std::vector<std::string> failed_segments() const;
    // Those in use, for merging.
    std::vector<std::shared_ptr<SegmentReader>> segments() const;

    // Every location of `id` that segments name, own ones first; appended to `found`.
    void lookup(const BlobId& id, std::vector<IndexHit>& found);

    enum class ClaimResult {
        ours,      // nobody has it: the caller stores it and then calls place(), or abandon()
        in_flight, // another worker of this run is storing it; location() tells when it is placed
        known,     // `location` says where it is
    };
    struct Claim {
        ClaimResult result = ClaimResult::ours;
        BlobLocation location;
    };
    // Looks for `id` everywhere, and claims it when it is nowhere. `accept` decides whether a location may be
    // used (its pack was listed, is not condemned, and for another author the frame was read): it is called
    // without locks held.
    Claim claim(const BlobId& id, const std::function<bool(const IndexHit&)>& accept);
    void place(const BlobId& id, const BlobLocation& location);
    void abandon(const BlobId& id);
    // Where this run placed `id`, unless that is in a segment already; nothing while it is in flight or
    // unknown.
    std::optional<BlobLocation> location(const BlobId& id) const;
    // Waits until the worker that claimed `id` has placed it. Nothing when it was abandoned, or `stop` is
    // requested. Looks into segments too, because a blob may have gone there meanwhile.
    std::optional<BlobLocation> wait_until_placed(const BlobId& id, std::stop_token stop);

    // The pack is in the store, so its blobs may go into a segment. All its blobs are placed before.
    void pack_stored(const PackId& pack);
    bool spill_due() const;
    // The entries for the next segment, all that may go into one; empty when there is nothing. They stay
    // findable here. One spill at a time: from this call until spilled(), the caller alone spills.
    std::vector<IndexEntry> spillable() const;
    // The segment with exactly `entries` has been put: it takes their place. When its body cannot be read
    // back they stay in memory, and false is returned.
    bool spilled(const std::vector<IndexEntry>& entries, const std::shared_ptr<const ByteSource>& body,
                 const SegmentIdentity& identity);

    // What is not in memory because it is in no table: the numbers that limits bound.
    std::size_t filter_bytes() const;
    std::size_t memory_bytes() const;

  private:
    struct Segment {
        std::shared_ptr<SegmentReader> reader;
        SegmentAuthor author = SegmentAuthor::own;
    };
    // Replaced as a whole when it changes, so that look-ups work on one that stays.
    using Segments = std::vector<Segment>;

    std::shared_ptr<const Segments> current() const;
    void fail(const SegmentReader& reader, const std::string& why);
    void replace(const std::function<void(Segments&)>& change);

    const IndexLimits limits_;
    Logger& logger_;

    mutable std::mutex segments_mutex_;
    std::shared_ptr<const Segments> segments_ = std::make_shared<Segments>();
    std::vector<std::string> failed_;

    mutable std::mutex table_mutex_;
    std::condition_variable_any table_changed_;
    BlobTable table_;
    std::uint64_t spills_ = 0;
};

} // namespace holdfast
