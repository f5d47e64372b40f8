// A bounded local directory of index segments, so that look-ups do not go to the store.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "repository/index/byte_source.h"
#include "store/store.h"

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace holdfast {

struct SegmentCacheLimits {
    std::uint64_t directory_bytes = std::uint64_t{4} << 30;
    std::size_t download_piece_bytes = std::size_t{8} << 20;
};

// Files of whole objects, named after them. Anybody may remove any file, or the directory, at any time: what
// is open stays readable, the rest is downloaded again. Several processes may share one directory.
// Thread-safe.
class SegmentCache {
  public:
    // Judges a downloaded object (form, name, signature) before it is kept; throws when it is not right.
    using Check = std::function<void(const ByteSource& object)>;

    // `store`, `clock` and `logger` must live longer. The directory is made when it is first needed.
    SegmentCache(std::string directory, SegmentCacheLimits limits, Store& store, Clock& clock,
                 Logger& logger);

    // The object `name`: the cached file, or a download that `check` accepted. Nothing when the store has it
    // not. Only a download is checked; the parts of a cached one are proven by their AEAD when they are read.
    // Throws what `check` and the store throw, and Error(no_space) when the object does not fit the limits or
    // the disk.
    std::shared_ptr<const ByteSource> open(const std::string& name, const Check& check,
                                           const CallOptions& options);
    // Whether open() would find it here, as far as can be told: another process may remove it meanwhile.
    bool has(const std::string& name) const;
    // Keeps an object that was just put, given in pieces. What hinders it is logged and hinders nobody.
    void insert(const std::string& name, std::span<const ByteView> pieces);
    // Forgets a damaged or deleted one.
    void remove(const std::string& name);
    // What all files have together now, in bytes.
    std::uint64_t used_bytes() const;

  private:
    class PartialFile;
    std::string path_of(const std::string& name) const;
    std::shared_ptr<const ByteSource> open_cached(const std::string& name) const;
    // Removes the files that were used longest ago until `needed_bytes` more fit.
    void make_room(std::uint64_t needed_bytes);

    const std::string directory_;
    const SegmentCacheLimits limits_;
    Store& store_;
    Clock& clock_;
    Logger& logger_;
    // Of this process: two threads do not evict or download at once.
    std::mutex mutex_;
};

} // namespace holdfast
