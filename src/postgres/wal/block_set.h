// Which blocks of a fork changed: a set of block numbers that stays small.
//
// Groups of 2^granularity blocks are the bits of words of 64; only words with a bit are kept, and a stretch
// of words with all bits takes no more room than one. A set that passes its limits becomes coarser: then it
// holds more than was added, never less.
#pragma once

#include "base/bytes.h"
#include "postgres/wal/wal_record.h"

#include <bit>
#include <cstdint>
#include <vector>

namespace holdfast::postgres {

// Not for several threads at once; for reading only after settle().
class BlockSet {
  public:
    // A set with more pieces becomes coarser by itself. 8 MiB; exact for up to 256 GiB whose every 64th block
    // changed.
    static constexpr std::size_t pieces_max = std::size_t{1} << 19;

    void add(BlockNumber block);
    // Takes out `length` and above (in a coarse set: the groups that lie there as a whole).
    void cut(BlockNumber length);
    void unite(const BlockSet& other);
    void clear();

    bool contains(BlockNumber block) const;
    bool empty() const { return pieces_.empty() && recent_.empty(); }
    // Log2 of the blocks that are told apart only together; 0: the set is exact.
    unsigned granularity() const { return granularity_; }
    // How many blocks it holds.
    std::uint64_t count() const;
    // Calls `take(first block, number of blocks)` for each maximal range, ascending. A range may reach beyond
    // the end of the fork, up to 2^32.
    template <typename Take>
    void for_each_range(Take&& take) const {
        for_each_group_range([&](std::uint64_t first, std::uint64_t groups) {
            take(static_cast<BlockNumber>(first << granularity_), groups << granularity_);
        });
    }

    std::size_t memory_bytes() const {
        return pieces_.capacity() * sizeof(Piece) + recent_.capacity() * sizeof(BlockNumber);
    }
    // Puts in order what add() left for later. Until the next change, reading then changes nothing inside.
    void settle() const;
    // Makes its groups larger until it has half as many pieces; false when it has but one.
    bool coarsen();

    // varint granularity, varint number of ranges, and per range, in groups: varint gap (from the end of the
    // one before, less 1; for the first from 0), varint length less 1.
    void encode(ByteWriter& out) const;
    // Takes only what encode writes; fails the reader with Error(corrupt) otherwise.
    static BlockSet decode(ByteReader& in);

    bool operator==(const BlockSet& other) const;

  private:
    // `span` words from `word` on: all of bits `bits`, which are all set when there are several.
    struct Piece {
        std::uint32_t word;
        std::uint32_t span;
        std::uint64_t bits;

        bool full() const { return bits == ~std::uint64_t{0}; }
        std::uint64_t end() const { return std::uint64_t{word} + span; }
        bool operator==(const Piece&) const = default;
    };

    static void append(std::vector<Piece>& pieces, Piece piece);
    static std::vector<Piece> merged(const std::vector<Piece>& a, const std::vector<Piece>& b);
    void append_groups(std::uint64_t first, std::uint64_t count);
    void double_groups();
    void limit();

    template <typename Take>
    void for_each_group_range(Take&& take) const {
        settle();
        std::uint64_t begin = 0;
        std::uint64_t end = 0;
        const auto extend = [&](std::uint64_t first, std::uint64_t last) {
            if (first != end) {
                if (end != begin) take(begin, end - begin);
                begin = first;
            }
            end = last;
        };
        for (const Piece& piece : pieces_) {
            const std::uint64_t base = std::uint64_t{piece.word} * 64;
            if (piece.full()) {
                extend(base, piece.end() * 64);
                continue;
            }
            for (std::uint64_t bits = piece.bits; bits != 0;) {
                const auto first = static_cast<unsigned>(std::countr_zero(bits));
                const auto length = static_cast<unsigned>(std::countr_one(bits >> first));
                extend(base + first, base + first + length);
                bits &= ~(((std::uint64_t{1} << length) - 1) << first);
            }
        }
        if (end != begin) take(begin, end - begin);
    }

    // Sorted and apart from each other once settle() has put in what came out of order.
    mutable std::vector<Piece> pieces_;
    mutable std::vector<std::uint32_t> recent_; // groups whose words are not in pieces_
    unsigned granularity_ = 0;
};

} // namespace holdfast::postgres
