#include "repository/index/bloom_filter.h"

#include "base/error.h"

#include <algorithm>
#include <cstdlib>
#include <new>

#include <sys/mman.h>

namespace holdfast {

namespace {

constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;

std::uint32_t word_at(const BlobId& id, std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) value |= std::uint32_t{id.bytes[at + i]} << (8 * i);
    return value;
}

} // namespace

// Bits 0-19 of the two halves of the id's second eight bytes choose one bit of 32 in each lane.
BloomProbe::BloomProbe(const BlobId& id) : fraction(0), bits{} {
    for (std::size_t i = 0; i < 8; ++i) fraction = (fraction << 8) | id.bytes[i];
    for (std::size_t lane = 0; lane < 8; ++lane) {
        const std::uint32_t half = word_at(id, lane < 4 ? 8 : 12);
        const std::uint32_t bit = (half >> (5 * (lane % 4))) & 31;
        bits[lane / 2] |= std::uint64_t{1} << (bit + 32 * (lane % 2));
    }
}

std::uint64_t BloomFilter::bytes_for(std::uint64_t entries) {
    const std::uint64_t bits = std::max<std::uint64_t>(entries, 1) * bits_per_entry;
    return (bits + 8 * block_bytes - 1) / (8 * block_bytes) * block_bytes;
}

BloomFilter::BloomFilter(Blocks blocks) : block_count_(blocks.count) {
    // A look-up goes anywhere in the filter: on small pages most of them would miss the translation cache as
    // well.
    const std::size_t bytes = block_count_ * block_bytes;
    const bool huge = bytes >= huge_page_bytes;
    const std::size_t alignment = huge ? huge_page_bytes : 64;
    const std::size_t size = (bytes + alignment - 1) / alignment * alignment;
    void* memory = std::aligned_alloc(alignment, size);
    if (memory == nullptr) throw std::bad_alloc();
    blocks_.reset(static_cast<Block*>(memory));
    // Only advice: nothing depends on it.
    if (huge) static_cast<void>(madvise(memory, bytes / huge_page_bytes * huge_page_bytes, MADV_HUGEPAGE));
    std::uninitialized_value_construct_n(blocks_.get(), block_count_);
}

void BloomFilter::Free::operator()(Block* blocks) const { std::free(blocks); }

BloomFilter::BloomFilter(std::uint64_t entries)
    : BloomFilter(Blocks{static_cast<std::size_t>(bytes_for(entries) / block_bytes)}) {}

BloomFilter BloomFilter::from_bytes(ByteView bytes) {
    if (bytes.empty() || bytes.size() % block_bytes != 0) {
        throw Error(ErrorCode::corrupt, "a filter of the index is not made of whole blocks");
    }
    BloomFilter filter(Blocks{bytes.size() / block_bytes});
    ByteReader reader(bytes, "filter");
    for (std::size_t i = 0; i < filter.block_count_; ++i) {
        for (std::uint64_t& word : filter.blocks_[i]) word = reader.u64();
    }
    return filter;
}

Bytes BloomFilter::bytes() const {
    ByteWriter writer;
    for (std::size_t i = 0; i < block_count_; ++i) {
        for (const std::uint64_t word : blocks_[i]) writer.u64(word);
    }
    return std::move(writer).take();
}

} // namespace holdfast
