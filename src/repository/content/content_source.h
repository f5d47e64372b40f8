// What file content is read from.
#pragma once

#include "base/bytes.h"

#include <optional>

namespace holdfast {

struct SourceExtent {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    bool hole = false;
};

// One thread at a time. Failures to read are thrown as Error.
class ContentSource {
  public:
    virtual ~ContentSource() = default;
    virtual std::uint64_t size_bytes() const = 0;
    // The next data extent or hole, without gaps and ascending; nothing at the end.
    virtual std::optional<SourceExtent> next_extent() = 0;
    // Reads until `out` is full; fewer bytes mean that the content ends there.
    virtual std::size_t read(std::uint64_t offset, MutableByteView out) = 0;
};

} // namespace holdfast
