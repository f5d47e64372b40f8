// Where a blob lies, as the index knows it.
#pragma once

#include "repository/ids.h"

#include <cstdint>

namespace holdfast {

// A frame's address (docs/format.md, section 5) and the blob's place in its raw bytes. `pack` is the origin
// pack: a collector may have moved the frame to another, which the address does not say.
struct BlobLocation {
    PackId pack;
    std::uint32_t frame = 0;
    std::uint32_t offset = 0;
    std::uint32_t length = 0;

    auto operator<=>(const BlobLocation&) const = default;
};

// Ordered by id first, as in segments.
struct IndexEntry {
    BlobId id;
    BlobLocation location;

    auto operator<=>(const IndexEntry&) const = default;
};

} // namespace holdfast
