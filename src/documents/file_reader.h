// Reading the content of one regular file: data extents only, and whether the file held still.
#pragma once

#include "base/bytes.h"
#include "base/file_descriptor.h"
#include "documents/file_metadata.h"
#include "documents/result.h"

#include <optional>
#include <string>

namespace holdfast {

// What became of a file while it was read.
enum class FileState {
    unchanged, // size and times at the end are those of the beginning
    changed,   // what was read may be a mixture
    vanished,  // its last name was removed; what was read is the content of a file that is no more
};

struct FileExtent {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    bool hole = false; // reads as zeros and takes no space
    auto operator<=>(const FileExtent&) const = default;
};

// One thread at a time, except read(), which any number of threads may call together.
class FileReader {
  public:
    // Opens regular file `name` without following a link, without blocking, and without changing its access
    // time where the system allows that. Fills the stat part of `metadata` by the file that was really
    // opened. Error(not_found): it is not there any more, or is no regular file any more.
    static Result<FileReader> open(int directory_fd, const std::string& name, FileMetadata& metadata);

    // As big as the file was when it was opened.
    std::uint64_t size_bytes() const { return opened_.size_bytes; }
    // The next extent in order of offsets, without gaps, from 0 to size_bytes(); nothing at the end. Holes
    // cost nothing, whatever their size. Where the file system can't tell, all is data.
    Result<std::optional<FileExtent>> next_extent();
    // Reads until `out` is full or the file ends; fewer bytes mean that the file was truncated meanwhile.
    Result<std::size_t> read(std::uint64_t offset, MutableByteView out) const;
    // To be asked when all was read.
    Result<FileState> finish() const;

    int fd() const { return file_.get(); }

  private:
    FileReader(FileDescriptor file, std::string name, FileMetadata opened)
        : file_(std::move(file)), name_(std::move(name)), opened_(std::move(opened)) {}

    FileDescriptor file_;
    std::string name_; // printable
    FileMetadata opened_;
    std::uint64_t position_ = 0;
    std::optional<FileExtent> pending_; // data that follows a hole that was already given out
};

} // namespace holdfast
