#include "repository/pack/pack_pipeline.h"

#include "base/error.h"
#include "crypto/hash.h"
#include "repository/pack/pack_seal.h"

#include <algorithm>
#include <optional>

namespace holdfast {

namespace {

// What is smaller is quickly had anew.
constexpr std::size_t least_spare_bytes = 256u << 10;
constexpr std::size_t most_spare_buffers = 12;

} // namespace

// A frame on its way to a worker.
struct PackPipeline::Job {
    std::shared_ptr<OpenPack> pack;
    std::uint32_t number = 0;
    Bytes raw;
    std::vector<BlobRecord> blobs;
    Effort effort = Effort::usual;
};

struct PackPipeline::SealedFrame {
    FrameRecord record;
    Bytes stored;
};

// Of one thread: compresses and encrypts.
class PackPipeline::FrameSealer {
  public:
    FrameSealer(const RunContext& run, LevelChooser& chooser, Clock& clock)
        : run_(run), compressor_(chooser, clock) {}
    SealedFrame seal(Job& job);

  private:
    const RunContext& run_;
    AdaptiveCompressor compressor_;
    std::optional<std::pair<PackId, Aead>> key_; // of the pack of the last frame
};

// A pack from its first reserved frame until it is in the store.
struct PackPipeline::OpenPack {
    PackId id;
    std::mutex mutex;
    std::vector<std::optional<SealedFrame>> frames; // by number
    std::uint64_t stored_bytes = 0;                 // of the frames that are here
    std::uint64_t raw_bytes_under_way = 0;
    std::size_t blobs = 0;
    std::uint32_t missing = 0; // reserved, not here yet
    bool ended = false;
};

PackPipeline::PackPipeline(Store& store, const RunContext& run, Clock& clock,
                           const PackPipelineSettings& settings, std::stop_token stop)
    : store_(store),
      run_(run),
      clock_(clock),
      settings_(settings),
      jobs_(settings.waiting_frame_bytes),
      finished_(settings.pack_bytes),
      chooser_(settings.level),
      threads_(std::move(stop)) {
    if (!settings_.threads) {
        own_sealer_ = std::make_unique<FrameSealer>(run_, chooser_, clock_);
        return;
    }
    for (unsigned i = 0; i < std::max(1u, settings_.workers); ++i) {
        threads_.start([this](std::stop_token token) { compress_frames(token); });
    }
    for (unsigned i = 0; i < std::max(1u, settings_.uploads); ++i) {
        threads_.start([this](std::stop_token token) { upload_packs(token); });
    }
}

PackPipeline::~PackPipeline() = default;

std::shared_ptr<PackPipeline::OpenPack> PackPipeline::open_pack(std::uint8_t kind, std::uint8_t cls) {
    std::shared_ptr<OpenPack>& open = open_[{kind, cls}];
    if (open) {
        // What is under way will shrink about as much as what came before it; a pack may end a little off its
        // size.
        std::unique_lock lock(open->mutex);
        const std::uint64_t expected = open->stored_bytes + open->raw_bytes_under_way / 2;
        if (expected < settings_.pack_bytes && open->blobs < settings_.pack_blobs) return open;
        lock.unlock();
        end_pack(std::exchange(open, nullptr));
    }
    open = std::make_shared<OpenPack>();
    open->id = PackId{run_.id(), next_sequence_++, kind, cls};
    const std::scoped_lock lock(mutex_);
    ++packs_under_way_;
    return open;
}

FrameAddress PackPipeline::reserve(std::uint8_t kind, std::uint8_t cls) {
    threads_.rethrow_if_failed();
    const std::shared_ptr<OpenPack> pack = open_pack(kind, cls);
    const std::scoped_lock lock(pack->mutex);
    const auto number = static_cast<std::uint32_t>(pack->frames.size());
    pack->frames.emplace_back();
    ++pack->missing;
    const FrameAddress address{pack->id, number};
    reserved_.emplace(address, pack);
    return address;
}

void PackPipeline::submit(const FrameAddress& address, Bytes raw, std::vector<BlobRecord> blobs,
                          Effort effort) {
    const auto reserved = reserved_.find(address);
    if (reserved == reserved_.end() || raw.empty() || raw.size() > max_frame_bytes) {
        throw Error(ErrorCode::internal,
                    "a frame was submitted that was not reserved, or twice, or is empty or too large");
    }
    const std::shared_ptr<OpenPack> pack = std::move(reserved->second);
    reserved_.erase(reserved);
    {
        const std::scoped_lock lock(pack->mutex);
        pack->raw_bytes_under_way += raw.size();
        pack->blobs += blobs.size();
    }
    const std::size_t size = raw.size();
    Job job{pack, address.frame, std::move(raw), std::move(blobs), effort};
    const std::stop_token stop = threads_.stop_token();
    const bool stopped = settings_.threads ? !jobs_.push(std::move(job), size, stop) : stop.stop_requested();
    if (stopped) {
        threads_.rethrow_if_failed();
        throw Error(ErrorCode::cancelled, "stopped before it was done");
    }
    if (!settings_.threads) compress_at_once(std::move(job));
}

void PackPipeline::end_pack(const std::shared_ptr<OpenPack>& pack) {
    bool complete;
    {
        const std::scoped_lock lock(pack->mutex);
        pack->ended = true;
        complete = pack->missing == 0;
    }
    if (complete) hand_over(pack, threads_.stop_token());
}

// An error of the calling thread stops all, as that of another does.
void PackPipeline::hand_over(const std::shared_ptr<OpenPack>& pack, const std::stop_token& stop) {
    if (settings_.threads) {
        finished_.push(pack, settings_.pack_bytes, stop);
        return;
    }
    try {
        store_pack(*pack, stop);
    } catch (...) {
        threads_.fail(std::current_exception());
        throw;
    }
}

void PackPipeline::flush() {
    threads_.rethrow_if_failed();
    if (!reserved_.empty()) throw Error(ErrorCode::internal, "a frame was reserved and never submitted");
    for (auto& [stream, pack] : open_) {
        if (pack) end_pack(std::exchange(pack, nullptr));
    }
    std::unique_lock lock(mutex_);
    const bool done = put_.wait(lock, threads_.stop_token(), [&] { return packs_under_way_ == 0; });
    lock.unlock();
    threads_.rethrow_if_failed();
    if (!done) throw Error(ErrorCode::cancelled, "stopped before it was done");
}

PackPipelineTotals PackPipeline::totals() const {
    const std::scoped_lock lock(mutex_);
    PackPipelineTotals totals = totals_;
    totals.compression = chooser_.report();
    return totals;
}

PackPipeline::SealedFrame PackPipeline::FrameSealer::seal(Job& job) {
    SealedFrame frame;
    frame.record.number = job.number;
    frame.record.raw_length = static_cast<std::uint32_t>(job.raw.size());
    frame.record.blobs = std::move(job.blobs);
    const CompressedFrame compressed = compressor_.compress(job.raw, job.effort);
    frame.record.codec = compressed.codec;

    const PackId& id = job.pack->id;
    if (!key_ || key_->first != id) {
        const Secret& secret = id.kind == metadata_pack ? run_.structure_secret() : run_.content_secret();
        key_.emplace(id, frame_key(secret.view(), id));
    }
    frame.stored = key_->second.seal(
        job.number, frame_associated_data(id, job.number, frame.record.raw_length, frame.record.codec),
        compressed.bytes);
    frame.record.stored_length = static_cast<std::uint32_t>(frame.stored.size());
    return frame;
}

void PackPipeline::compress_frames(std::stop_token stop) {
    FrameSealer sealer(run_, chooser_, clock_);
    while (std::optional<Job> job = jobs_.pop(stop)) {
        SealedFrame frame = sealer.seal(*job);
        keep_spare(std::move(job->raw));
        deliver(job->pack, job->number, std::move(frame), stop);
    }
}

void PackPipeline::compress_at_once(Job job) {
    SealedFrame frame = own_sealer_->seal(job);
    keep_spare(std::move(job.raw));
    deliver(job.pack, job.number, std::move(frame), threads_.stop_token());
}

void PackPipeline::keep_spare(Bytes buffer) {
    if (buffer.capacity() < least_spare_bytes) return;
    const std::scoped_lock lock(spare_mutex_);
    if (spare_.size() < most_spare_buffers) spare_.push_back(std::move(buffer));
}

Bytes PackPipeline::spare_buffer() {
    const std::scoped_lock lock(spare_mutex_);
    if (spare_.empty()) return {};
    Bytes buffer = std::move(spare_.back());
    spare_.pop_back();
    return buffer;
}

void PackPipeline::deliver(const std::shared_ptr<OpenPack>& pack, std::uint32_t number, SealedFrame frame,
                           std::stop_token stop) {
    bool complete;
    {
        const std::scoped_lock lock(pack->mutex);
        pack->stored_bytes += frame.stored.size();
        pack->raw_bytes_under_way -= frame.record.raw_length;
        pack->frames[number] = std::move(frame);
        --pack->missing;
        complete = pack->ended && pack->missing == 0;
    }
    if (!complete) return;
    const Duration started = clock_.steady();
    hand_over(pack, stop);
    chooser_.waited(clock_.steady() - started, Duration::zero());
}

void PackPipeline::upload_packs(std::stop_token stop) {
    for (;;) {
        const Duration waiting_since = clock_.steady();
        const std::optional<std::shared_ptr<OpenPack>> pack = finished_.pop(stop);
        if (!pack) return;
        chooser_.waited(Duration::zero(), clock_.steady() - waiting_since);
        store_pack(**pack, stop);
    }
}

void PackPipeline::store_pack(OpenPack& pack, const std::stop_token& stop) {
    put_pack(pack, stop);
    if (settings_.stored) settings_.stored(pack.id);
    const std::scoped_lock lock(mutex_);
    --packs_under_way_;
    put_.notify_all();
}

void PackPipeline::put_pack(OpenPack& pack, const std::stop_token& stop) {
    const std::string name = pack.id.name();
    const Bytes header = encode_pack_header({run_.writer(), pack.id, run_.envelope()});
    PackTail tail;
    std::vector<ByteView> parts{header};
    std::uint64_t raw_bytes = 0;
    for (const std::optional<SealedFrame>& frame : pack.frames) {
        tail.frames.push_back(frame->record);
        parts.emplace_back(frame->stored);
        raw_bytes += frame->record.raw_length;
    }
    const Bytes sealed_tail = seal_pack_tail(tail, run_.structure_secret().view(), pack.id);
    parts.emplace_back(sealed_tail);

    const Bytes footer = make_pack_footer(parts, sealed_tail.size(), name, run_);
    parts.emplace_back(footer);
    std::uint64_t stored_bytes = 0;
    for (const ByteView part : parts) stored_bytes += part.size();

    store_.put(name, parts, PutOptions{.only_if_absent = false, .retention = settings_.retention, .tier = {}},
               CallOptions{.timeout = {}, .stop = stop});
    pack.frames.clear();
    const std::scoped_lock lock(mutex_);
    totals_.raw_bytes += raw_bytes;
    totals_.stored_bytes += stored_bytes;
    ++totals_.packs;
}

} // namespace holdfast
