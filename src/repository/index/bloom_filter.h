// A split-block Bloom filter: tells of most ids that they are not in a segment, without reading it.
//
// After Putze, Sanders and Singler, "Cache-, Hash- and Space-Efficient Bloom Filters" (2007), in the form
// with one bit in each of eight 32-bit lanes, so that a look-up touches one cache line and fits one vector
// register. Ids are keyed hashes already, so their bytes are used as they are. docs/format.md, section 8,
// fixes the form.
#pragma once

#include "repository/ids.h"

#include <array>
#include <cstdint>
#include <memory>

namespace holdfast {

// What an id means to every filter: made once, asked of many.
struct BloomProbe {
    explicit BloomProbe(const BlobId& id);

    std::uint64_t fraction;            // the first eight bytes as a fraction of 2^64: it chooses the block
    std::array<std::uint64_t, 4> bits; // one bit in each lane, two lanes a word
};

// Reading is thread-safe as long as nobody inserts. Movable.
class BloomFilter {
  public:
    static constexpr std::size_t block_bytes = 32;
    static constexpr std::uint64_t bits_per_entry = 10;

    // For `entries` ids, 10 bits each: about one id in eighty that was not inserted is taken for one that
    // was.
    explicit BloomFilter(std::uint64_t entries);
    // From what bytes() gave. Throws Error(corrupt) unless it is one or more whole blocks.
    static BloomFilter from_bytes(ByteView bytes);
    // The size of bytes() of a filter for `entries`.
    static std::uint64_t bytes_for(std::uint64_t entries);

    void insert(const BloomProbe& probe) {
        Block& block = blocks_[block_of(probe)];
        for (std::size_t i = 0; i < block.size(); ++i) block[i] |= probe.bits[i];
    }
    // False only when the id was never inserted.
    bool may_contain(const BloomProbe& probe) const {
        const Block& block = blocks_[block_of(probe)];
        // Without branches: half of them would be guessed wrong.
        std::uint64_t missing = 0;
        for (std::size_t i = 0; i < block.size(); ++i) missing |= probe.bits[i] & ~block[i];
        return missing == 0;
    }
    // Lets the processor fetch what may_contain will look at, so that several filters are fetched at once.
    void prefetch(const BloomProbe& probe) const { __builtin_prefetch(&blocks_[block_of(probe)]); }

    Bytes bytes() const;
    std::size_t memory_bytes() const { return block_count_ * block_bytes; }

  private:
    // Lane 2i is the low half of word i.
    using Block = std::array<std::uint64_t, 4>;
    static_assert(sizeof(Block) == block_bytes);
    struct Free {
        void operator()(Block* blocks) const;
    };
    struct Blocks {
        std::size_t count;
    };
    explicit BloomFilter(Blocks blocks);

    std::size_t block_of(const BloomProbe& probe) const {
        __extension__ using Wide = unsigned __int128;
        return static_cast<std::size_t>((Wide{probe.fraction} * block_count_) >> 64);
    }

    std::size_t block_count_;
    std::unique_ptr<Block[], Free> blocks_;
};

} // namespace holdfast
