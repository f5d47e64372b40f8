// A file that is not there until it is whole.
#pragma once

#include "base/bytes.h"
#include "base/file_descriptor.h"

#include <string>

namespace holdfast::postgres {

// What the name of a file that is being written ends in.
inline constexpr std::string_view unfinished_ending = ".fetching";

class UnfinishedFile {
  public:
    explicit UnfinishedFile(std::string path);
    // Removes what was not finished.
    ~UnfinishedFile();
    UnfinishedFile(const UnfinishedFile&) = delete;
    UnfinishedFile& operator=(const UnfinishedFile&) = delete;

    void append(ByteView bytes);
    // Filled up with zeros to that size, it gets its name, over another of the same.
    void finish(std::uint64_t size_bytes);

  private:
    std::string path_, temporary_;
    FileDescriptor file_;
};

} // namespace holdfast::postgres
