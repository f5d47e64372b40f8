// Looks ids up in one index segment and reads it through.
#pragma once

#include "repository/index/bloom_filter.h"
#include "repository/index/byte_source.h"
#include "repository/index/segment_format.h"
#include "repository/index/segment_writer.h"

#include <atomic>
#include <mutex>
#include <optional>
#include <vector>

namespace holdfast {

struct SegmentReaderOptions {
    // Without its filter a segment takes less memory, and each look-up reads a block.
    bool load_filter = true;
    std::size_t cached_blocks = 4;
};

// Keeps first keys, pack table and filter in memory and reads blocks as they are asked for. Every part is
// proven by its AEAD before it is used; the signature of the object is the caller's to check, once.
// Thread-safe.
//
// Errors: corrupt, naming the segment, when a part is not as it was written; those of the source.
class SegmentReader {
  public:
    // `body` is the body alone, without the outer form.
    SegmentReader(std::shared_ptr<const ByteSource> body, const SegmentIdentity& identity,
                  SegmentReaderOptions options = {});

    const std::string& name() const { return name_; }
    std::uint64_t entries() const { return header_.entries; }
    std::uint32_t blocks() const { return header_.blocks; }
    // In the order of the pack table.
    const std::vector<PackId>& packs() const { return packs_; }

    bool has_filter() const { return filter_.has_value(); }
    // False only when the id of `probe` is not in the segment. Without a filter only what lies outside of its
    // first and last id is known.
    bool may_contain(const BloomProbe& probe) const {
        return in_range(probe) && (!filter_ || filter_->may_contain(probe));
    }
    void prefetch(const BloomProbe& probe) const {
        if (filter_ && in_range(probe)) filter_->prefetch(probe);
    }
    // Appends all entries of `id` to `found`.
    void lookup(const BlobId& id, std::vector<IndexEntry>& found);

    // The plain records of `count` blocks from `first`, for reading through.
    Bytes load_blocks(std::uint32_t first, std::uint32_t count);
    IndexEntry entry_of(const SegmentRecord& record) const;

    std::size_t filter_bytes() const { return filter_ ? filter_->memory_bytes() : 0; }
    std::size_t memory_bytes() const;
    // How often a block was read and decrypted, for measuring.
    std::uint64_t blocks_read() const { return blocks_read_.load(std::memory_order_relaxed); }

  private:
    struct CachedBlock {
        std::uint32_t number = 0;
        std::uint64_t last_use = 0;
        Bytes records;
    };

    // The fraction of a probe is the key of its id. Segments that one merge made share no range.
    bool in_range(const BloomProbe& probe) const {
        return probe.fraction >= first_key_ && probe.fraction <= last_key_;
    }
    Bytes load_part(std::uint32_t part, std::uint64_t offset, std::uint64_t size, ByteView header);
    // The records of a block, which the next call may overwrite. mutex_ is held.
    const Bytes& block(std::uint32_t number);
    void open_block(std::uint32_t number, ByteView sealed, MutableByteView out);

    std::string name_;
    std::shared_ptr<const ByteSource> body_;
    SegmentHeader header_;
    std::vector<PackId> packs_;
    std::vector<std::uint64_t> first_keys_;
    std::optional<BloomFilter> filter_;
    // Of its first and last id; an empty segment has none between them.
    std::uint64_t first_key_ = 1;
    std::uint64_t last_key_ = 0;
    const std::size_t cached_blocks_;
    std::atomic<std::uint64_t> blocks_read_ = 0;

    mutable std::mutex mutex_; // everything below
    Aead aead_;
    const Bytes block_associated_data_;
    Bytes sealed_;
    std::vector<CachedBlock> cache_;
    std::uint64_t uses_ = 0;
};

// Reads a segment's entries in their order. Not thread-safe; several may read one segment.
class SegmentCursor {
  public:
    // Reads about `read_ahead_bytes` at a time, one block at least. `reader` must live longer.
    explicit SegmentCursor(SegmentReader& reader, std::size_t read_ahead_bytes = 64 * 1024);
    // Throws Error(corrupt) also when entries are out of order, which only a broken or hostile writer makes
    // them.
    std::optional<IndexEntry> next();
    std::size_t memory_bytes() const { return records_.capacity(); }

  private:
    SegmentReader& reader_;
    std::uint32_t blocks_at_once_;
    std::uint32_t next_block_ = 0;
    Bytes records_;
    std::size_t position_ = 0;
    BlobId last_{};
};

} // namespace holdfast
