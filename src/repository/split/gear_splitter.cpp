#include "repository/split/gear_splitter.h"

#include "crypto/hash.h"

#include <algorithm>

namespace holdfast {

namespace {

constexpr std::size_t window_bytes = 64;
// "The top n bits are zero" is "below 2^(64-n)".
constexpr std::uint64_t below_with_20_bits = std::uint64_t{1} << 44;
constexpr std::uint64_t below_with_16_bits = std::uint64_t{1} << 48;

// Both scans return the first length in [first, last) whose hash is below `threshold`, or `last`. The hash of
// a length is that of the 64 bytes before it, so a scan can begin anywhere; `first` is at least window_bytes.
std::size_t scan(const GearTable& table, const Byte* data, std::size_t first, std::size_t last,
                 std::uint64_t threshold) {
    std::uint64_t hash = 0;
    for (std::size_t i = first - window_bytes; i + 1 < first; ++i) hash = (hash << 1) + table[data[i]];
    for (std::size_t length = first; length < last; ++length) {
        hash = (hash << 1) + table[data[length - 1]];
        if (hash < threshold) return length;
    }
    return last;
}

// One hash is a chain of dependent steps that leaves most of a core idle. Three chains over neighbouring
// strides fill it; more of them run out of registers.
constexpr std::size_t stride = 4096;

std::size_t scan_three(const GearTable& table, const Byte* data, std::size_t first, std::size_t last,
                       std::uint64_t threshold) {
    for (; last - first >= 3 * stride; first += 3 * stride) {
        const Byte* const a = data + first - 1;
        const Byte* const b = a + stride;
        const Byte* const c = b + stride;
        std::uint64_t hash_a = 0;
        std::uint64_t hash_b = 0;
        std::uint64_t hash_c = 0;
        for (std::ptrdiff_t i = 1 - static_cast<std::ptrdiff_t>(window_bytes); i < 0; ++i) {
            hash_a = (hash_a << 1) + table[a[i]];
            hash_b = (hash_b << 1) + table[b[i]];
            hash_c = (hash_c << 1) + table[c[i]];
        }
        // The stride was hit behind `i` of its bytes: what is left of the strides before it comes first.
        const auto earliest = [&](std::size_t hit, std::size_t i) {
            for (std::size_t before = 0; before < hit; ++before) {
                const std::size_t end = first + (before + 1) * stride;
                const std::size_t found = scan(table, data, end - stride + i, end, threshold);
                if (found < end) return found;
            }
            return first + hit * stride + i;
        };
        // Two steps a turn, each with three tests that are almost never true.
        for (std::size_t i = 0; i < stride; i += 2) {
            hash_a = (hash_a << 1) + table[a[i]];
            if (hash_a < threshold) [[unlikely]]
                return earliest(0, i);
            hash_b = (hash_b << 1) + table[b[i]];
            if (hash_b < threshold) [[unlikely]]
                return earliest(1, i);
            hash_c = (hash_c << 1) + table[c[i]];
            if (hash_c < threshold) [[unlikely]]
                return earliest(2, i);
            hash_a = (hash_a << 1) + table[a[i + 1]];
            if (hash_a < threshold) [[unlikely]]
                return earliest(0, i + 1);
            hash_b = (hash_b << 1) + table[b[i + 1]];
            if (hash_b < threshold) [[unlikely]]
                return earliest(1, i + 1);
            hash_c = (hash_c << 1) + table[c[i + 1]];
            if (hash_c < threshold) [[unlikely]]
                return earliest(2, i + 1);
        }
    }
    return scan(table, data, first, last, threshold);
}

} // namespace

GearTable gear_table(ByteView identity_key) {
    std::array<Byte, 256 * 8> bytes;
    Hasher::keyed(identity_key).update(as_bytes("holdfast gear table 1")).finish(bytes);
    GearTable table;
    ByteReader reader(bytes, "gear table");
    for (std::uint64_t& entry : table) entry = reader.u64();
    wipe(bytes);
    return table;
}

std::size_t GearSplitter::next_cut(ByteView data, bool at_end) {
    // Lengths below `end` can be judged with what is here.
    const std::size_t end = std::min(data.size() + 1, longest_chunk_bytes);
    std::size_t length = std::max(rejected_below_, shortest_bytes);
    const auto search = [&](std::size_t limit, std::uint64_t threshold) {
        const std::size_t last = std::min(limit, end);
        if (length < last) length = scan_three(table_, data.data(), length, last, threshold);
        return length < last;
    };
    const bool found =
        search(easier_from_bytes, below_with_20_bits) || search(longest_chunk_bytes, below_with_16_bits);
    if (!found) {
        const std::size_t available = std::min(data.size(), longest_chunk_bytes);
        if (available < longest_chunk_bytes && !at_end) {
            rejected_below_ = length;
            return 0;
        }
        length = available;
    }
    rejected_below_ = 0;
    return length;
}

} // namespace holdfast
