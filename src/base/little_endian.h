// Numbers of fixed width at any address, the lowest byte first: as the formats of this project have them, and
// those of PostgreSQL on the machines that it is read from.
#pragma once

#include "base/bytes.h"

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>

namespace holdfast {

// The T at `from`, which has sizeof(T) bytes.
template <std::integral T>
T load_little(const Byte* from) {
    std::array<Byte, sizeof(T)> bytes;
    std::copy_n(from, bytes.size(), bytes.begin());
    if constexpr (std::endian::native == std::endian::big) std::ranges::reverse(bytes);
    return std::bit_cast<T>(bytes);
}

// Writes the sizeof(T) bytes at `to`.
template <std::integral T>
void store_little(Byte* to, T value) {
    auto bytes = std::bit_cast<std::array<Byte, sizeof(T)>>(value);
    if constexpr (std::endian::native == std::endian::big) std::ranges::reverse(bytes);
    std::ranges::copy(bytes, to);
}

} // namespace holdfast
