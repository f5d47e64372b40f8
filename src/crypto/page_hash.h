// Keyed BLAKE3 of many 8 KiB pages at once, for page signatures.
//
// A page alone fills half of the widest vector registers and leaves them nearly empty on the way up its tree.
// Hashing sixteen pages side by side, each step across all of them, is about twice as fast; the digests are
// those of Hasher.
#pragma once

#include "base/bytes.h"
#include "base/secret.h"

#include <cstddef>

namespace holdfast {

constexpr std::size_t page_bytes = 8192;
constexpr std::size_t page_digest_bytes = 16;

// Immutable, so any number of threads may use one.
class PageHasher {
  public:
    // `key` has 32 bytes.
    explicit PageHasher(ByteView key);
    // The first 16 bytes of the keyed hash of each page of `pages`, one behind the other. The last page may
    // be short. `digests` has page_digest_bytes for each page, the short one included.
    void hash(ByteView pages, MutableByteView digests) const;

  private:
    Secret key_;
};

} // namespace holdfast
