// Space on disk for what does not fit into memory, used as a stack.
#pragma once

#include "base/bytes.h"
#include "base/file_descriptor.h"

#include <string>

namespace holdfast {

// One unlinked temporary file, made when it is first written: it vanishes with the process. Not thread-safe.
class SpillFile {
  public:
    // `directory` should be on a disk, not in memory; empty means /var/tmp.
    explicit SpillFile(std::string directory = {});

    // Where the next append will go.
    std::uint64_t end() const { return end_; }
    void append(ByteView data);
    // Reads until `out` is full or the file ends; returns the bytes read.
    std::size_t read(std::uint64_t offset, MutableByteView out) const;
    // Gives back everything from `end` on.
    void truncate(std::uint64_t end) noexcept;

  private:
    std::string directory_;
    FileDescriptor file_;
    std::uint64_t end_ = 0;
};

} // namespace holdfast
