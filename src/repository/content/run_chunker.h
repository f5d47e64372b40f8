// Cuts a run of bytes that arrives in pieces.
#pragma once

#include "repository/split/splitter.h"

#include <functional>

namespace holdfast {

// Not thread-safe. The splitter must outlive it and serve nobody else meanwhile.
class RunChunker {
  public:
    // `emit` gets each chunk with the offset at which it begins.
    RunChunker(Splitter& splitter, std::function<void(std::uint64_t offset, ByteView chunk)> emit)
        : splitter_(splitter), emit_(std::move(emit)) {}

    // The next run begins at `offset`. Only when no run is open.
    void begin(std::uint64_t offset);
    void append(ByteView bytes);
    // Emits what is left.
    void end();
    // The bytes that were appended and not emitted yet.
    ByteView pending() const { return ByteView(buffer_).subspan(begin_); }
    // Forgets the pending bytes; the run is over.
    void drop();

  private:
    void cut(bool at_end);

    Splitter& splitter_;
    std::function<void(std::uint64_t offset, ByteView chunk)> emit_;
    Bytes buffer_;
    std::size_t begin_ = 0; // of the pending bytes in buffer_
    std::uint64_t offset_ = 0;
};

} // namespace holdfast
