// Page signatures (docs/format.md, sections 6 and 7): 16 keyed bytes for each 8 KiB of a large file, by which
// the next backup finds the pages that changed without reading the old ones back.
#pragma once

#include "base/bytes.h"
#include "crypto/page_hash.h"

#include <cstdint>
#include <vector>

namespace holdfast {

using PageSignature = FixedBytes<page_digest_bytes>;

// Of a page that is a hole throughout. A page of zeros that takes up space has the signature of its bytes.
constexpr PageSignature hole_signature{};

// How many pages `size_bytes` are, the last of which may be short.
constexpr std::uint64_t pages_of(std::uint64_t size_bytes) {
    return (size_bytes + page_bytes - 1) / page_bytes;
}

// Immutable, so any number of threads may use one.
class PageSigner {
  public:
    // `identity_key` is that of the domain, 32 bytes.
    explicit PageSigner(ByteView identity_key);

    // The signatures of a run of pages that begins at a page boundary of its file. Only a run that ends where
    // the file ends may have a short last page. `signatures` has pages_of(run.size()).
    void sign(ByteView run, std::span<PageSignature> signatures) const;

  private:
    PageHasher hasher_;
};

// A range of pages, counted from the start of its file.
struct PageRange {
    std::uint64_t first = 0;
    std::uint64_t count = 0;
    bool operator==(const PageRange&) const = default;
};

// Where `now` differs from `before`, two signatures of the same stretch of a file that begins at page
// `first`. Pages that `before` lacks, because the file grew, differ. Ranges are ascending, apart, and as long
// as can be.
std::vector<PageRange> changed_pages(std::span<const PageSignature> before,
                                     std::span<const PageSignature> now, std::uint64_t first = 0);

} // namespace holdfast
