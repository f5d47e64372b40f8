// What file content is read from.
#pragma once

#include "base/bytes.h"
#include "repository/split/page_signatures.h"

#include <optional>
#include <vector>

namespace holdfast {

struct SourceExtent {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    bool hole = false;
};

// A stretch that was read. `signatures` are those of its pages when the source has made them, else empty.
struct SourceBlock {
    Bytes bytes;
    std::vector<PageSignature> signatures;
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
    // The same for a block of `length` bytes. A source that reads ahead exchanges the buffers of `block` for
    // its own, so that nothing is copied.
    virtual void read_block(std::uint64_t offset, std::size_t length, SourceBlock& block) {
        block.signatures.clear();
        block.bytes.resize(length);
        block.bytes.resize(read(offset, block.bytes));
    }
};

} // namespace holdfast
