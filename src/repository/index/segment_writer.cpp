#include "repository/index/segment_writer.h"

#include "base/error.h"
#include "repository/index/bloom_filter.h"

#include <algorithm>

namespace holdfast {

Bytes SegmentBody::joined() {
    Bytes all;
    all.reserve(static_cast<std::size_t>(size()));
    for (const ByteView piece : pieces()) all.insert(all.end(), piece.begin(), piece.end());
    return all;
}

SegmentWriter::SegmentWriter(SegmentIdentity identity, const SegmentWriterOptions& options)
    : identity_(std::move(identity)),
      aead_(identity_.key.view()),
      blocks_(options.temporary_directory, options.memory_limit_bytes) {
    block_.reserve(segment_block_entries * segment_record_bytes);
}

void SegmentWriter::add(const IndexEntry& entry) {
    if (header_.entries > 0 && entry.id < last_) {
        throw Error(ErrorCode::internal, "the entries of an index segment are not in order");
    }
    if (header_.entries == most_segment_entries) {
        throw Error(ErrorCode::internal, "an index segment has too many entries");
    }
    const auto [place, fresh] =
        pack_numbers_.try_emplace(entry.location.pack, static_cast<std::uint32_t>(packs_.size()));
    if (fresh) packs_.push_back(entry.location.pack);
    if (block_.empty()) first_keys_.push_back(segment_key_of(entry.id.bytes.data()));
    const SegmentRecord record{.id = entry.id,
                               .pack = place->second,
                               .frame = entry.location.frame,
                               .offset = entry.location.offset,
                               .length = entry.location.length};
    block_.resize(block_.size() + segment_record_bytes);
    record.encode(block_.data() + block_.size() - segment_record_bytes);
    last_ = entry.id;
    ++header_.entries;
    if (block_.size() == segment_block_entries * segment_record_bytes) seal_block();
}

void SegmentWriter::seal_block() {
    if (block_.empty()) return;
    const std::uint32_t part = segment_first_block_part + header_.blocks;
    sealed_.resize(block_.size() + aead_tag_bytes);
    aead_.seal(part, segment_associated_data(identity_.name, part, {}), block_, sealed_);
    blocks_.append(sealed_);
    block_.clear();
    ++header_.blocks;
}

// The number of entries, which decides the filter's size, is known only now. Keeping all ids until then would
// take more memory than reading the blocks back takes time.
Bytes SegmentWriter::filter() {
    BloomFilter filter(header_.entries);
    const ByteView all = blocks_.view();
    for (std::uint32_t block = 0; block < header_.blocks; ++block) {
        const std::uint32_t part = segment_first_block_part + block;
        block_.resize(header_.entries_in_block(block) * segment_record_bytes);
        const ByteView sealed =
            all.subspan(block * header_.sealed_block_bytes(), block_.size() + aead_tag_bytes);
        if (!aead_.open(part, segment_associated_data(identity_.name, part, {}), sealed, block_)) {
            throw Error(ErrorCode::io, "a temporary file does not hold what was written to it",
                        "check the disk of the temporary directory");
        }
        for (std::size_t at = 0; at < block_.size(); at += segment_record_bytes) {
            filter.insert(BloomProbe(SegmentRecord::decode(block_.data() + at).id));
        }
    }
    return filter.bytes();
}

SegmentBody SegmentWriter::finish() {
    seal_block();
    ByteWriter packs;
    for (const PackId& pack : packs_) packs.fixed_bytes(pack.to_bytes());
    ByteWriter keys;
    for (const std::uint64_t key : first_keys_) keys.u64(key);
    const Bytes filter_bytes = filter();
    header_.filter_bytes = filter_bytes.size();
    header_.pack_table_bytes = packs.size();

    const Bytes header = header_.encode();
    ByteWriter front;
    front.raw(header);
    const auto seal = [&](std::uint32_t part, ByteView plain) {
        front.raw(aead_.seal(part, segment_associated_data(identity_.name, part, header), plain));
    };
    seal(segment_pack_table_part, packs.bytes());
    seal(segment_first_keys_part, keys.bytes());
    seal(segment_filter_part, filter_bytes);
    return SegmentBody(header_.entries, std::move(front).take(), std::move(blocks_));
}

std::size_t SegmentWriter::memory_bytes() const {
    // A node of the map is its pair and two words, and each bucket is a word.
    return blocks_.memory_bytes() + block_.capacity() + sealed_.capacity() + first_keys_.capacity() * 8 +
           packs_.capacity() * sizeof(PackId) + pack_numbers_.size() * (sizeof(PackId) + 24) +
           pack_numbers_.bucket_count() * 8;
}

SegmentBody encode_segment(SegmentIdentity identity, std::vector<IndexEntry>& entries,
                           const SegmentWriterOptions& options) {
    std::sort(entries.begin(), entries.end());
    entries.erase(std::unique(entries.begin(), entries.end()), entries.end());
    SegmentWriter writer(std::move(identity), options);
    for (const IndexEntry& entry : entries) writer.add(entry);
    return writer.finish();
}

} // namespace holdfast
