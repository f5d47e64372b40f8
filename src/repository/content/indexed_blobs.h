// The known blobs of a domain: its index segments in the store, and what the run has placed itself.
#pragma once

#include "base/log.h"
#include "repository/content/known_blobs.h"
#include "repository/index/index_set.h"
#include "repository/index/segment_cache.h"
#include "repository/object.h"
#include "repository/pack/pack_reader.h"
#include "repository/protocol/writer_session.h"

#include <atomic>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace holdfast {

// Segments are looked at when the first blob is asked for, so a backup that finds nothing changed does not
// read them. Those that the holder cannot use are not downloaded: signed by nobody trusted, without a key to
// read them, or of another slot where no content key can prove what they say. One thread asks; pack_stored()
// may come from any. Everything it refers to must outlive it.
class IndexedBlobs final : public KnownBlobs {
  public:
    struct Parts {
        const RepositoryContext& context;
        RunContext& run;
        const WriterSession& session;
        PackReader& packs;
        Logger& logger;
        std::string domain;
        std::string cache_directory;
        std::string temporary_directory;
        std::stop_token stop{};
        // What was stored is named in a segment so often, at the most, before the run is told to do it: a run
        // that is killed has then little to store again.
        Duration segment_interval = std::chrono::seconds(5);
    };
    explicit IndexedBlobs(const Parts& parts);
    ~IndexedBlobs() override;

    std::optional<Location> find(const BlobId& id, std::uint32_t length) override;
    void abandon(const BlobId& id) override { index_.abandon(id); }
    void add(const BlobId& id, const Location& location) override;

    // The pack is in the store: what lies in it may be named by a segment.
    void pack_stored(const PackId& pack) {
        index_.pack_stored(pack);
        ++stored_packs_;
    }
    // Whether so much waits that put_segments() should be called.
    bool segment_due() const { return index_.spill_due(); }
    // Puts segments of all that lies in stored packs, if there is anything.
    void put_segments();
    // Bytes of the segments that were put and not removed again.
    std::uint64_t stored_bytes() const { return stored_bytes_; }

  private:
    struct EarlySegment {
        std::string name;
        std::uint64_t size_bytes = 0;
    };

    void load();
    void load_segment(const std::string& name);
    std::optional<Bytes> beginning_of(const std::string& name);
    bool is_of_use(const std::string& name, const ObjectHeader& header);
    bool put_segment();
    bool early_segment_due() const;
    void put_early_segment();
    void drop_early_segment();
    Bytes make_segment(const std::string& name, std::vector<IndexEntry>& entries);
    SegmentIdentity identity_of(const std::string& name) const;
    CallOptions call() const { return {.timeout = {}, .stop = parts_.stop}; }
    bool accept(const BlobId& id, std::uint32_t length, const IndexHit& hit);
    bool prove(const BlobId& id, const BlobLocation& location);

    Parts parts_;
    DomainId domain_id_;
    Secret domain_key_;
    IndexSet index_;
    SegmentCache cache_;
    bool loaded_ = false;
    std::uint32_t next_segment_ = 0;
    std::uint64_t stored_bytes_ = 0;
    std::atomic<std::uint64_t> stored_packs_ = 0;
    std::uint64_t named_packs_ = 0; // of these, when the last segment was put
    Duration last_segment_{};
    // The segment that names what the next one will name, too.
    std::optional<EarlySegment> early_segment_;
    bool removes_ = true; // until the store refuses
    // The frame that was read last to prove a blob of another writer: its neighbours are usually asked for
    // next.
    std::optional<FrameAddress> proven_frame_;
    Bytes proven_bytes_;
};

} // namespace holdfast
