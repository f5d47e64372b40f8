// The one interface of what cuts a stream of bytes into chunks.
#pragma once

#include "base/bytes.h"

#include <cstddef>

namespace holdfast {

// No chunk of any splitter is longer.
constexpr std::size_t longest_chunk_bytes = std::size_t{1} << 20;

// Files up to this size are one blob and need no splitter.
constexpr std::size_t whole_file_bytes = std::size_t{512} << 10;

// Where a stream is cut depends on its bytes alone, never on how they were buffered. Not thread-safe: one per
// stream.
class Splitter {
  public:
    virtual ~Splitter() = default;

    // `data` is what is buffered from the start of the current chunk; `at_end` tells that the stream (or the
    // run of it that is cut) has nothing behind it. Returns the length of the chunk, after which the next
    // call begins behind it; or 0 when more data is needed (never with longest_chunk_bytes of data) or there
    // is none at all. Until a length is returned, each call must be given the same bytes again, and may be
    // given more.
    virtual std::size_t next_cut(ByteView data, bool at_end) = 0;

    // Forgets a chunk that was begun, so that another stream can be cut.
    virtual void restart() = 0;
};

} // namespace holdfast
