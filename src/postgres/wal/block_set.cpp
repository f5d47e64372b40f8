#include "postgres/wal/block_set.h"

#include <algorithm>

namespace holdfast::postgres {

namespace {

constexpr std::uint64_t all_blocks = std::uint64_t{1} << 32;
constexpr unsigned granularity_max = 26; // then one word is all blocks
constexpr std::size_t recent_min = 256;

// The bits of a word of groups as the low half of a word of groups twice as large.
std::uint64_t halve(std::uint64_t bits) {
    bits = (bits | bits >> 1) & 0x5555555555555555;
    bits = (bits | bits >> 1) & 0x3333333333333333;
    bits = (bits | bits >> 2) & 0x0f0f0f0f0f0f0f0f;
    bits = (bits | bits >> 4) & 0x00ff00ff00ff00ff;
    bits = (bits | bits >> 8) & 0x0000ffff0000ffff;
    return (bits | bits >> 16) & 0x00000000ffffffff;
}

} // namespace

// Puts `piece` behind `pieces`; it may share the last word of the last one.
void BlockSet::append(std::vector<Piece>& pieces, Piece piece) {
    if (!pieces.empty()) {
        Piece& last = pieces.back();
        if (piece.word + std::uint64_t{1} == last.end()) {
            // The same word: neither is more than one word long.
            last.bits |= piece.bits;
            if (pieces.size() > 1 && last.full()) {
                const Piece joined = last;
                pieces.pop_back();
                append(pieces, joined);
            }
            return;
        }
        if (last.full() && piece.full() && last.end() == piece.word) {
            last.span += piece.span;
            return;
        }
    }
    pieces.push_back(piece);
}

std::vector<BlockSet::Piece> BlockSet::merged(const std::vector<Piece>& a, const std::vector<Piece>& b) {
    std::vector<Piece> result;
    result.reserve(a.size() + b.size());
    auto next_a = a.begin();
    auto next_b = b.begin();
    Piece of_a{0, 0, 0};
    Piece of_b{0, 0, 0};
    const auto refill = [](Piece& piece, auto& next, const auto& from) {
        if (piece.span == 0 && next != from.end()) piece = *next++;
        return piece.span != 0;
    };
    const auto take = [](Piece& piece, std::uint32_t words) {
        const Piece taken{piece.word, words, piece.bits};
        piece.word += words;
        piece.span -= words;
        return taken;
    };
    for (;;) {
        const bool have_a = refill(of_a, next_a, a);
        const bool have_b = refill(of_b, next_b, b);
        if (!have_a && !have_b) break;
        if (!have_b || (have_a && of_a.word < of_b.word)) {
            const std::uint64_t until = have_b ? std::min<std::uint64_t>(of_a.end(), of_b.word) : of_a.end();
            append(result, take(of_a, static_cast<std::uint32_t>(until - of_a.word)));
        } else if (!have_a || of_b.word < of_a.word) {
            const std::uint64_t until = have_a ? std::min<std::uint64_t>(of_b.end(), of_a.word) : of_b.end();
            append(result, take(of_b, static_cast<std::uint32_t>(until - of_b.word)));
        } else {
            const std::uint32_t words = std::min(of_a.span, of_b.span);
            Piece both = take(of_a, words);
            both.bits |= take(of_b, words).bits;
            append(result, both);
        }
    }
    return result;
}

void BlockSet::add(BlockNumber block) {
    const std::uint32_t group = block >> granularity_;
    const std::uint32_t word = group / 64;
    const std::uint64_t bit = std::uint64_t{1} << group % 64;
    if (pieces_.empty() || word >= pieces_.back().end()) {
        // The word that was the last may have become full, and join the full ones before it.
        if (pieces_.size() > 1 && pieces_.back().full()) {
            const Piece last = pieces_.back();
            pieces_.pop_back();
            append(pieces_, last);
        }
        append(pieces_, {word, 1, bit});
        if (pieces_.size() > pieces_max) limit();
        return;
    }
    // The first piece that ends behind the word.
    auto piece = pieces_.end() - 1;
    if (word < piece->word)
        piece = std::ranges::upper_bound(pieces_, std::uint64_t{word}, {},
                                         [](const Piece& p) { return p.end(); });
    if (piece->word <= word) {
        piece->bits |= bit;
        return;
    }
    if (recent_.empty() || recent_.back() != group) recent_.push_back(group);
    if (recent_.size() >= std::max(recent_min, pieces_.size())) {
        settle();
        limit();
    }
}

void BlockSet::settle() const {
    if (recent_.empty()) return;
    std::ranges::sort(recent_);
    std::vector<Piece> added;
    for (const std::uint32_t group : recent_) append(added, {group / 64, 1, std::uint64_t{1} << group % 64});
    pieces_ = merged(pieces_, added);
    recent_ = std::vector<std::uint32_t>();
}

void BlockSet::limit() {
    while (pieces_.size() > pieces_max && coarsen()) {
    }
}

bool BlockSet::coarsen() {
    settle();
    if (pieces_.size() < 2) return false;
    // At the coarsest there is one piece, so this ends.
    for (const std::size_t goal = pieces_.size() / 2; pieces_.size() > goal;) double_groups();
    return true;
}

void BlockSet::double_groups() {
    std::vector<Piece> coarser;
    for (const Piece& piece : pieces_) {
        std::uint64_t word = piece.word;
        if (!piece.full()) {
            append(coarser, {static_cast<std::uint32_t>(word / 2), 1, halve(piece.bits) << (word % 2 * 32)});
            continue;
        }
        constexpr std::uint64_t low_half = 0xffffffff;
        if (word % 2 != 0) append(coarser, {static_cast<std::uint32_t>(word++ / 2), 1, low_half << 32});
        if (const std::uint64_t pairs = (piece.end() - word) / 2; word < piece.end() && pairs != 0) {
            append(coarser, {static_cast<std::uint32_t>(word / 2), static_cast<std::uint32_t>(pairs),
                             ~std::uint64_t{0}});
            word += 2 * pairs;
        }
        if (word < piece.end()) append(coarser, {static_cast<std::uint32_t>(word / 2), 1, low_half});
    }
    ++granularity_;
    coarser.shrink_to_fit();
    pieces_ = std::move(coarser);
}

void BlockSet::cut(BlockNumber length) {
    settle();
    const std::uint64_t groups =
        (std::uint64_t{length} + (std::uint64_t{1} << granularity_) - 1) >> granularity_;
    const std::uint64_t word = groups / 64;
    while (!pieces_.empty()) {
        Piece& last = pieces_.back();
        if (last.end() <= word) return;
        if (last.word > word) {
            pieces_.pop_back();
            continue;
        }
        // It holds the word in which the cut is; what is before that word stays as it is.
        const std::uint64_t kept_bits = (std::uint64_t{1} << groups % 64) - 1;
        const std::uint64_t rest = last.bits & kept_bits;
        last.span = static_cast<std::uint32_t>(word - last.word);
        if (last.span == 0) pieces_.pop_back();
        if (rest != 0) pieces_.push_back({static_cast<std::uint32_t>(word), 1, rest});
        return;
    }
}

void BlockSet::unite(const BlockSet& other) {
    settle();
    other.settle();
    BlockSet same = other;
    while (granularity_ < same.granularity_) double_groups();
    while (same.granularity_ < granularity_) same.double_groups();
    pieces_ = merged(pieces_, same.pieces_);
    limit();
}

void BlockSet::clear() {
    pieces_ = std::vector<Piece>();
    recent_ = std::vector<std::uint32_t>();
    granularity_ = 0;
}

bool BlockSet::contains(BlockNumber block) const {
    settle();
    const std::uint32_t group = block >> granularity_;
    const auto piece = std::ranges::upper_bound(pieces_, std::uint64_t{group / 64}, {},
                                                [](const Piece& p) { return p.end(); });
    return piece != pieces_.end() && piece->word <= group / 64 && (piece->bits >> group % 64 & 1) != 0;
}

std::uint64_t BlockSet::count() const {
    std::uint64_t blocks = 0;
    for_each_range([&](BlockNumber, std::uint64_t number) { blocks += number; });
    return blocks;
}

void BlockSet::append_groups(std::uint64_t first, std::uint64_t count) {
    const std::uint64_t end = first + count;
    while (first != end) {
        const std::uint64_t in_word = first % 64;
        const auto word = static_cast<std::uint32_t>(first / 64);
        if (in_word == 0 && end - first >= 64) {
            const std::uint64_t words = (end - first) / 64;
            append(pieces_, {word, static_cast<std::uint32_t>(words), ~std::uint64_t{0}});
            first += words * 64;
            continue;
        }
        const std::uint64_t bits = std::min(64 - in_word, end - first);
        append(pieces_, {word, 1, ((std::uint64_t{1} << bits) - 1) << in_word});
        first += bits;
    }
}

void BlockSet::encode(ByteWriter& out) const {
    std::uint64_t ranges = 0;
    for_each_group_range([&](std::uint64_t, std::uint64_t) { ++ranges; });
    out.varint(granularity_);
    out.varint(ranges);
    std::uint64_t next = 0;
    for_each_group_range([&](std::uint64_t first, std::uint64_t count) {
        out.varint(first - next);
        out.varint(count - 1);
        next = first + count + 1;
    });
}

BlockSet BlockSet::decode(ByteReader& in) {
    BlockSet set;
    set.granularity_ = static_cast<unsigned>(in.varint_at_most(granularity_max));
    const std::uint64_t groups = all_blocks >> set.granularity_;
    std::uint64_t next = 0;
    for (std::uint64_t left = in.varint_at_most(in.remaining() / 2); left != 0; --left) {
        if (next >= groups) in.fail("a range of blocks beyond the last");
        const std::uint64_t first = next + in.varint_at_most(groups - 1 - next);
        const std::uint64_t count = in.varint_at_most(groups - 1 - first) + 1;
        set.append_groups(first, count);
        next = first + count + 1;
        if (set.pieces_.size() > pieces_max) in.fail("too many ranges of blocks");
    }
    return set;
}

bool BlockSet::operator==(const BlockSet& other) const {
    ByteWriter mine;
    ByteWriter theirs;
    encode(mine);
    other.encode(theirs);
    return mine.bytes() == theirs.bytes();
}

} // namespace holdfast::postgres
