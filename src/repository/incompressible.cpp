#include "repository/incompressible.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace holdfast {

namespace {

constexpr std::size_t too_small_bytes = 4096;

// Calls `visit` with `pieces` pieces of `piece_bytes` each, evenly spread; with all of `data` when that is
// less.
template <typename Visit>
void for_samples(ByteView data, std::size_t pieces, std::size_t piece_bytes, Visit visit) {
    if (data.size() <= pieces * piece_bytes) {
        visit(data);
        return;
    }
    const std::size_t step = (data.size() - piece_bytes) / (pieces - 1);
    for (std::size_t i = 0; i < pieces; ++i) visit(data.subspan(i * step, piece_bytes));
}

// How far bytes are from evenly distributed, in hundredths of the bits that an ideal code for single bytes
// would save. From the sum of squared counts: near the even distribution, chi-squared / (2 n ln 2) is the
// gain in bits a byte. Random bytes have a chi-squared of 255.
std::uint64_t gain_of_single_bytes_percent(ByteView data) {
    // Four tables, because counting equal neighbours in one waits for its own stores.
    std::array<std::array<std::uint32_t, 256>, 4> counts{};
    std::uint64_t total = 0;
    for_samples(data, 16, 1024, [&](ByteView piece) {
        std::size_t i = 0;
        for (; i + 4 <= piece.size(); i += 4) {
            for (std::size_t k = 0; k < 4; ++k) ++counts[k][piece[i + k]];
        }
        for (; i < piece.size(); ++i) ++counts[0][piece[i]];
        total += piece.size();
    });
    std::uint64_t squares = 0;
    for (std::size_t byte = 0; byte < 256; ++byte) {
        const std::uint64_t count =
            std::uint64_t{counts[0][byte]} + counts[1][byte] + counts[2][byte] + counts[3][byte];
        squares += count * count;
    }
    const std::uint64_t chi_squared = 256 * squares / total - total;
    if (chi_squared <= 255) return 0;
    // 100 / 8 bits / (2 ln 2) is about 9.
    return (chi_squared - 255) * 9 / total;
}

// Roughly how many percent of `data` repeat something at least a few KiB earlier in it. Looks at eight bytes
// behind one in 4,096 positions, chosen by content, so that both copies choose the same ones.
std::uint64_t repeated_percent(ByteView data) {
    constexpr Byte mark = 0xa7;
    constexpr std::size_t mean_distance = 256 * 16;
    std::array<std::uint64_t, 1024> seen{};
    std::uint64_t repeated = 0;
    const Byte* const end = data.data() + data.size() - sizeof(std::uint64_t);
    const Byte* at = data.data();
    while (at < end) {
        at = static_cast<const Byte*>(std::memchr(at, mark, static_cast<std::size_t>(end - at)));
        if (at == nullptr) break;
        ++at;
        std::uint64_t behind;
        std::memcpy(&behind, at, sizeof behind);
        const std::uint64_t mixed = behind * 0x9e3779b97f4a7c15U;
        if (mixed >> 60 != 0) continue;
        std::uint64_t& slot = seen[(mixed >> 50) % seen.size()];
        if (slot == behind) ++repeated;
        slot = behind;
    }
    return repeated * mean_distance * 100 / data.size();
}

} // namespace

bool IncompressibleDetector::looks_incompressible(ByteView data) {
    if (data.size() < too_small_bytes) return false;
    // The estimate is of a gain without repetitions, so it can only be too low.
    if (gain_of_single_bytes_percent(data) >= 2) return false;
    sample_.clear();
    for_samples(data, 4, 2048,
                [&](ByteView piece) { sample_.insert(sample_.end(), piece.begin(), piece.end()); });
    if (trial_.compress(sample_, lowest_zstd_level).codec != Codec::stored) return false;
    return repeated_percent(data) < 3;
}

} // namespace holdfast
