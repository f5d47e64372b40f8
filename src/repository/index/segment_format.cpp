#include "repository/index/segment_format.h"

#include "base/error.h"
#include "base/little_endian.h"
#include "repository/index/bloom_filter.h"

namespace holdfast {

void corrupt_segment(std::string_view name, std::string_view why) {
    throw Error(ErrorCode::corrupt,
                "the index segment " + std::string(name) + " is damaged: " + std::string(why),
                "the index can be made anew from the packs: holdfast repair index");
}

Bytes SegmentHeader::encode() const {
    ByteWriter writer;
    writer.u64(entries);
    writer.u32(entries_per_block);
    writer.u32(blocks);
    writer.u64(filter_bytes);
    writer.u64(pack_table_bytes);
    return std::move(writer).take();
}

SegmentHeader SegmentHeader::parse(ByteView bytes, std::uint64_t body_bytes, std::string_view name) {
    ByteReader reader(bytes, name);
    SegmentHeader header;
    header.entries = reader.u64();
    header.entries_per_block = reader.u32();
    header.blocks = reader.u32();
    header.filter_bytes = reader.u64();
    header.pack_table_bytes = reader.u64();
    reader.expect_end();
    // Each number is bounded before it is used in a product or a sum.
    const bool plausible =
        header.entries <= most_segment_entries && header.entries_per_block > 0 &&
        header.entries_per_block <= 65536 && header.filter_bytes <= body_bytes &&
        header.pack_table_bytes <= body_bytes && header.pack_table_bytes % PackBytes::size() == 0 &&
        header.filter_bytes > 0 && header.filter_bytes % BloomFilter::block_bytes == 0 &&
        header.blocks == (header.entries + header.entries_per_block - 1) / header.entries_per_block;
    if (!plausible) corrupt_segment(name, "its header contradicts itself");
    if (header.body_bytes() != body_bytes)
        corrupt_segment(name, "it does not have the length that its header says");
    return header;
}

void SegmentRecord::encode(Byte* out) const {
    std::memcpy(out, id.bytes.data(), BlobId::size());
    store_little<std::uint32_t>(out + 24, pack);
    store_little<std::uint32_t>(out + 28, frame);
    store_little<std::uint32_t>(out + 32, offset);
    store_little<std::uint32_t>(out + 36, length);
}

SegmentRecord SegmentRecord::decode(const Byte* in) {
    SegmentRecord record;
    std::memcpy(record.id.bytes.data(), in, BlobId::size());
    record.pack = load_little<std::uint32_t>(in + 24);
    record.frame = load_little<std::uint32_t>(in + 28);
    record.offset = load_little<std::uint32_t>(in + 32);
    record.length = load_little<std::uint32_t>(in + 36);
    return record;
}

std::uint64_t segment_key_of(const Byte* id) {
    std::uint64_t key = 0;
    for (std::size_t i = 0; i < 8; ++i) key = (key << 8) | id[i];
    return key;
}

Bytes segment_associated_data(std::string_view name, std::uint32_t part, ByteView header) {
    Bytes data(name.begin(), name.end());
    if (part == segment_pack_table_part) data.insert(data.end(), header.begin(), header.end());
    return data;
}

} // namespace holdfast
