// How the files of a cluster are opened and read; tests put something in between.
#pragma once

#include "documents/file_reader.h"

#include <memory>
#include <string>

namespace holdfast::postgres {

// A file that is open for reading. read() may be called by any number of threads together.
class ClusterFile {
  public:
    virtual ~ClusterFile() = default;
    // As big as it was when it was opened.
    virtual std::uint64_t size_bytes() const = 0;
    // As FileReader::next_extent.
    virtual Result<std::optional<FileExtent>> next_extent() = 0;
    // Reads until `out` is full or the file ends.
    virtual Result<std::size_t> read(std::uint64_t offset, MutableByteView out) = 0;
};

// How a file will be read.
enum class Access { everything, pieces };

class ClusterFiles {
  public:
    virtual ~ClusterFiles() = default;
    // Any number of threads. Error(not_found): it is not there any more. `path` is for messages and tests.
    virtual Result<std::unique_ptr<ClusterFile>> open(int directory_fd, const std::string& name,
                                                      const std::string& path, Access access) = 0;
};

} // namespace holdfast::postgres
