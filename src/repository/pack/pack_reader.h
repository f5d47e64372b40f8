// Reading packs: find a frame by its address, fetch it, prove it, decompress it.
#pragma once

#include "base/lru_cache.h"
#include "repository/key_ring.h"
#include "repository/node/location.h"
#include "repository/pack/pack_format.h"
#include "store/store.h"

#include <functional>
#include <memory>
#include <mutex>
#include <span>

namespace holdfast {

// A pack's table of contents and the secrets of the runs its frames are from.
struct LoadedPack {
    PackId id;
    std::string name;
    std::uint64_t size_bytes = 0;
    SlotId writer;
    PackTail tail;
    std::vector<PackId> origins;        // by FrameRecord::origin; the pack itself when the tail names none
    std::vector<Envelope> envelopes;    // likewise
    std::vector<std::uint64_t> offsets; // of each frame in the pack
    FixedBytes<32> digest;
    Signature signature;

    // The position in tail.frames of a frame, or nothing.
    std::optional<std::size_t> find(const FrameAddress& address) const;
    std::size_t memory_bytes() const;
};

// A frame, or as much of its beginning as is needed of it.
struct FramePart {
    FrameAddress frame;
    std::uint32_t raw_bytes = UINT32_MAX; // all that it has, if that is less
};

// Thread-safe. The store and the key ring must outlive it.
class PackReader {
  public:
    PackReader(Store& store, const KeyRing& keys, std::size_t table_cache_bytes = 16u << 20);

    // The table of the pack under exactly this id, or null when there is no such pack.
    std::shared_ptr<const LoadedPack> load(const PackId& id);
    // The pack that holds a frame now, wherever a collector has moved it. Throws Error(corrupt) naming the
    // pack when it is in none.
    std::shared_ptr<const LoadedPack> holder_of(const FrameAddress& address);
    // One frame, proven and decompressed. Throws Error(wrong_key) when the key ring may not read it.
    Bytes read_frame(const FrameAddress& address);
    // Many frames, ascending by address: those that lie near each other in one pack are fetched together.
    // `take` gets each in the order asked for; what it gets is valid during the call.
    void read_frames(std::span<const FramePart> parts,
                     const std::function<void(const FrameAddress&, ByteView raw)>& take);

  private:
    struct Buffers {
        Bytes plain, raw;
    };
    ByteView open_frame(const LoadedPack& pack, std::size_t position, ByteView stored,
                        std::uint32_t raw_bytes, Buffers& buffers) const;
    std::shared_ptr<const LoadedPack> fetch(const PackId& id);
    std::vector<PackId> moved_to(const PackId& id);

    Store& store_;
    const KeyRing& keys_;
    std::mutex mutex_;
    LruCache<PackId, std::shared_ptr<const LoadedPack>> packs_;
    LruCache<PackId, std::vector<PackId>> moved_;
};

} // namespace holdfast
