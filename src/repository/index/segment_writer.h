// Makes the body of an index segment.
#pragma once

#include "base/secret.h"
#include "repository/index/segment_format.h"
#include "repository/index/spool.h"

#include <span>
#include <unordered_map>
#include <vector>

namespace holdfast {

// What a segment is encrypted under and bound to: its object's key (docs/format.md, section 8) and its name.
// A name is used for one segment only.
struct SegmentIdentity {
    Secret key; // 32 bytes
    std::string name;
};

// A finished body, in two pieces that lie apart, ready to be signed and put.
class SegmentBody {
  public:
    SegmentBody(std::uint64_t entries, Bytes front, Spool blocks)
        : entries_(entries), front_(std::move(front)), blocks_(std::move(blocks)) {}

    std::uint64_t entries() const { return entries_; }
    std::uint64_t size() const { return front_.size() + blocks_.size(); }
    // One behind the other they are the body. Valid as long as this object is.
    std::array<ByteView, 2> pieces() { return {ByteView(front_), blocks_.view()}; }
    // A copy in one piece: for small ones.
    Bytes joined();

  private:
    std::uint64_t entries_;
    Bytes front_;
    Spool blocks_;
};

struct SegmentWriterOptions {
    // Where what is too large for memory waits.
    std::string temporary_directory = "/tmp";
    std::size_t memory_limit_bytes = std::size_t{16} << 20;
};

// Takes entries in order and keeps one block, the first keys and the pack table in memory; the filter is made
// at the end, from the finished blocks. Not thread-safe.
class SegmentWriter {
  public:
    SegmentWriter(SegmentIdentity identity, const SegmentWriterOptions& options);

    // Ids must not go down. Throws Error(internal) when they do, or when there are more than
    // most_segment_entries.
    void add(const IndexEntry& entry);
    std::uint64_t entries() const { return header_.entries; }
    // Ends the segment; nothing may be called afterwards.
    SegmentBody finish();
    std::size_t memory_bytes() const;

  private:
    void seal_block();
    Bytes filter();

    SegmentIdentity identity_;
    Aead aead_;
    SegmentHeader header_;
    Spool blocks_;
    Bytes block_;
    Bytes sealed_;
    BlobId last_;
    std::vector<std::uint64_t> first_keys_;
    std::vector<PackId> packs_;
    std::unordered_map<PackId, std::uint32_t, PackIdHash> pack_numbers_;
};

// The segment of `entries`, which are put in order first; entries equal in everything are kept once.
SegmentBody encode_segment(SegmentIdentity identity, std::vector<IndexEntry>& entries,
                           const SegmentWriterOptions& options = {});

} // namespace holdfast
