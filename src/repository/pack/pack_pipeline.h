// From raw frames to packs in the store: compress, encrypt, collect, upload, on threads of their own.
#pragma once

#include "base/bounded_queue.h"
#include "base/task_group.h"
#include "repository/adaptive_compressor.h"
#include "repository/node/location.h"
#include "repository/pack/pack_format.h"
#include "repository/run_context.h"
#include "store/store.h"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace holdfast {

struct PackPipelineSettings {
    std::uint64_t pack_bytes = 16u << 20; // packs end near this size,
    std::size_t pack_blobs = 65'536;      // or with so many blobs: all are in memory until the pack is stored
    unsigned workers = worker_count();
    unsigned uploads = 2; // packs under way at once; each is held in memory
    std::size_t waiting_frame_bytes = 8u << 20;
    // Without threads the calling thread does it all, one thing after the other, before its call returns.
    bool threads = true;
    // Chosen by measurement, between these. Below 3 a local disk would always pull it, for a tenth more
    // space.
    LevelSettings level{.lowest = 3, .highest = 12, .start = 3};
    // Packs are put with this lock.
    std::optional<Retention> retention{};
    // Told of every pack that is in the store, by the thread that put it.
    std::function<void(const PackId&)> stored;
};

struct PackPipelineTotals {
    std::uint64_t raw_bytes = 0;    // of the frames given
    std::uint64_t stored_bytes = 0; // of the packs put, everything counted
    std::uint64_t packs = 0;
    CompressionReport compression;
};

// One thread reserves, submits and flushes; the rest happens behind, on threads unless there are to be none.
// An error of any stage stops all and comes out of the next call; a stop ends the puts that are under way,
// too. The store, the run and the clock must outlive it.
class PackPipeline {
  public:
    PackPipeline(Store& store, const RunContext& run, Clock& clock, const PackPipelineSettings& settings,
                 std::stop_token stop = {});
    ~PackPipeline();

    // The address of the next frame in the packs of `kind` and `cls`. It must be submitted, once, before
    // flush().
    FrameAddress reserve(std::uint8_t kind, std::uint8_t cls);
    // Takes the frame over; waits while too much is under way. `raw` has 1 to max_frame_bytes bytes. Throws
    // Error(internal) for an address that is not reserved or was submitted before: two contents under one key
    // and nonce would betray both.
    void submit(const FrameAddress& address, Bytes raw, std::vector<BlobRecord> blobs, Effort effort);
    // Ends all open packs and returns when every pack is in the store. Throws Error(internal) when a frame
    // was reserved and not submitted.
    void flush();
    PackPipelineTotals totals() const;
    // A buffer whose frame has been compressed, with its bytes; empty when there is none. Those who fill
    // frames use it again, for memory that is had anew from the system costs as much as reading a file into
    // it. Thread-safe.
    Bytes spare_buffer();

  private:
    struct Job;
    struct OpenPack;
    struct SealedFrame;
    class FrameSealer;
    void compress_frames(std::stop_token stop);
    void compress_at_once(Job job);
    void upload_packs(std::stop_token stop);
    void deliver(const std::shared_ptr<OpenPack>& pack, std::uint32_t number, SealedFrame frame,
                 std::stop_token stop);
    void keep_spare(Bytes buffer);
    void end_pack(const std::shared_ptr<OpenPack>& pack);
    void hand_over(const std::shared_ptr<OpenPack>& pack, const std::stop_token& stop);
    void store_pack(OpenPack& pack, const std::stop_token& stop);
    void put_pack(OpenPack& pack, const std::stop_token& stop);
    std::shared_ptr<OpenPack> open_pack(std::uint8_t kind, std::uint8_t cls);

    Store& store_;
    const RunContext& run_;
    Clock& clock_;
    const PackPipelineSettings settings_;
    BoundedQueue<Job> jobs_;
    BoundedQueue<std::shared_ptr<OpenPack>> finished_;
    // Both belong to the calling thread.
    std::map<std::pair<std::uint8_t, std::uint8_t>, std::shared_ptr<OpenPack>> open_;
    std::map<FrameAddress, std::shared_ptr<OpenPack>> reserved_; // and not submitted yet
    std::uint32_t next_sequence_ = 0;

    std::mutex spare_mutex_;
    std::vector<Bytes> spare_;

    mutable std::mutex mutex_;
    std::condition_variable_any put_;
    std::uint64_t packs_under_way_ = 0;
    PackPipelineTotals totals_;
    LevelChooser chooser_;
    std::unique_ptr<FrameSealer> own_sealer_; // of the calling thread, when there are no others
    TaskGroup threads_;                       // last: joined before the rest goes
};

} // namespace holdfast
