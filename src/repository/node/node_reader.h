// Reading nodes by reference: fetched with their frame, checked against their id, kept in a bounded cache.
#pragma once

#include "base/lru_cache.h"
#include "repository/node/location.h"
#include "repository/pack/pack_reader.h"

#include <memory>
#include <mutex>

namespace holdfast {

// Thread-safe. The pack reader must outlive it.
class NodeReader {
  public:
    explicit NodeReader(PackReader& packs, std::size_t cache_bytes = 16u << 20);
    // The node's bytes. Throws Error(corrupt) when they are not what the reference was made for.
    Bytes read(const NodeRef& reference);

  private:
    PackReader& packs_;
    std::mutex mutex_;
    LruCache<FrameAddress, std::shared_ptr<const Bytes>> frames_;
};

} // namespace holdfast
