// Bytes that are made before it is known what stands before them: in memory while they are few, in a file
// behind it.
#pragma once

#include "base/bytes.h"
#include "base/file_descriptor.h"

#include <memory>
#include <string>

namespace holdfast {

// Appends first, reads then. Not thread-safe. Movable.
class Spool {
  public:
    // What goes beyond `memory_limit_bytes` is kept in a file without a name in `directory`.
    Spool(std::string directory, std::size_t memory_limit_bytes);
    ~Spool();
    Spool(Spool&&) noexcept;
    Spool& operator=(Spool&&) noexcept;

    void append(ByteView bytes);
    std::uint64_t size() const { return file_bytes_ + tail_.size(); }
    // All that was appended, until the next append or the end of the spool. Maps the file: nobody else can
    // cut it short.
    ByteView view();
    std::size_t memory_bytes() const { return tail_.capacity(); }

  private:
    class Mapping;
    void flush();

    std::string directory_;
    std::size_t memory_limit_bytes_;
    FileDescriptor file_;
    std::uint64_t file_bytes_ = 0;
    Bytes tail_; // behind what is in the file
    std::unique_ptr<Mapping> mapping_;
};

} // namespace holdfast
