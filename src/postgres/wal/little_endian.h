// Numbers at any address, as PostgreSQL on little-endian machines writes them.
#pragma once

#include "base/bytes.h"

#include <bit>
#include <concepts>
#include <cstring>

namespace holdfast::postgres {

static_assert(std::endian::native == std::endian::little,
              "the files of a server are read in its own byte order");

// The T at `from`, which has sizeof(T) bytes.
template <std::integral T>
T load(const Byte* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

} // namespace holdfast::postgres
