// The body of an index segment, part by part (docs/format.md, section 8). The outer form with its signature
// is not dealt with here.
#pragma once

#include "crypto/aead.h"
#include "repository/index/index_entry.h"

#include <string>

namespace holdfast {

constexpr std::size_t segment_header_bytes = 32;
constexpr std::size_t segment_record_bytes = 40;
constexpr std::uint32_t segment_block_entries = 50;
// Above any that is written (see SegmentMerge), and low enough that no product of lengths overflows.
constexpr std::uint64_t most_segment_entries = std::uint64_t{1} << 28;

constexpr std::uint32_t segment_pack_table_part = 0;
constexpr std::uint32_t segment_first_keys_part = 1;
constexpr std::uint32_t segment_filter_part = 2;
constexpr std::uint32_t segment_first_block_part = 3;

// The start of the body, and what follows from it. Lengths are those of plain parts; each has a tag behind
// it.
struct SegmentHeader {
    std::uint64_t entries = 0;
    std::uint32_t entries_per_block = segment_block_entries;
    std::uint32_t blocks = 0;
    std::uint64_t filter_bytes = 0;
    std::uint64_t pack_table_bytes = 0;

    Bytes encode() const;
    // Throws Error(corrupt) when the numbers contradict each other or do not make up a body of `body_bytes`.
    // `bytes` has segment_header_bytes.
    static SegmentHeader parse(ByteView bytes, std::uint64_t body_bytes, std::string_view name);

    // Places in the body.
    std::uint64_t pack_table_offset() const { return segment_header_bytes; }
    std::uint64_t first_keys_bytes() const { return std::uint64_t{blocks} * 8; }
    std::uint64_t first_keys_offset() const {
        return pack_table_offset() + pack_table_bytes + aead_tag_bytes;
    }
    std::uint64_t filter_offset() const { return first_keys_offset() + first_keys_bytes() + aead_tag_bytes; }
    std::uint64_t blocks_offset() const { return filter_offset() + filter_bytes + aead_tag_bytes; }
    // Of a block with its tag; the last one may be shorter.
    std::uint64_t sealed_block_bytes() const {
        return std::uint64_t{entries_per_block} * segment_record_bytes + aead_tag_bytes;
    }
    std::uint64_t block_offset(std::uint32_t block) const {
        return blocks_offset() + block * sealed_block_bytes();
    }
    std::uint32_t entries_in_block(std::uint32_t block) const {
        return block + 1 < blocks
                   ? entries_per_block
                   : static_cast<std::uint32_t>(entries - std::uint64_t{block} * entries_per_block);
    }
    std::uint64_t body_bytes() const {
        return blocks_offset() + entries * segment_record_bytes + std::uint64_t{blocks} * aead_tag_bytes;
    }
};

// What a record's location is in a block: its pack as an index into the pack table.
struct SegmentRecord {
    BlobId id;
    std::uint32_t pack = 0;
    std::uint32_t frame = 0;
    std::uint32_t offset = 0;
    std::uint32_t length = 0;

    void encode(Byte* out) const; // segment_record_bytes
    static SegmentRecord decode(const Byte* in);
};

// The first eight bytes of an id as a big-endian number: numbers are ordered as ids are.
std::uint64_t segment_key_of(const Byte* id);

// The associated data of a part.
Bytes segment_associated_data(std::string_view name, std::uint32_t part, ByteView header);

[[noreturn]] void corrupt_segment(std::string_view name, std::string_view why);

} // namespace holdfast
