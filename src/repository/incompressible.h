// Early recognition of bytes that do not compress: photographs, films, archives, what is encrypted.
#pragma once

#include "base/bytes.h"
#include "repository/compression.h"

namespace holdfast {

// Looks at samples only. First at how evenly bytes are distributed, which settles most cases within
// microseconds; where they are even, at what the fastest level makes of the samples. Repetitions farther
// apart than a sample is long are not seen. Not thread-safe: one per worker.
class IncompressibleDetector {
  public:
    // True when compressing `data` would gain nothing worth having. Never true below 4 KiB.
    bool looks_incompressible(ByteView data);

  private:
    Compressor trial_;
    Bytes sample_;
};

} // namespace holdfast
