#include "documents/spill_file.h"

#include "base/error.h"

#include <cerrno>
#include <cstdlib>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace holdfast {

namespace {

FileDescriptor open_unlinked(const std::string& directory) {
    FileDescriptor file(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600));
    if (file) return file;
    // Not every file system knows O_TMPFILE.
    std::string path = directory + "/holdfast-spill-XXXXXX";
    FileDescriptor named(::mkostemp(path.data(), O_CLOEXEC));
    if (!named) {
        throw system_error(errno, fmt::format("creating a temporary file in {}", directory))
            .with_hint("free space there, or name another directory for temporary files");
    }
    ::unlink(path.c_str());
    return named;
}

} // namespace

SpillFile::SpillFile(std::string directory)
    : directory_(directory.empty() ? "/var/tmp" : std::move(directory)) {}

void SpillFile::append(ByteView data) {
    if (!file_) file_ = open_unlinked(directory_);
    write_at(file_.get(), end_, data, "a temporary file in " + directory_);
    end_ += data.size();
}

std::size_t SpillFile::read(std::uint64_t offset, MutableByteView out) const {
    return read_at(file_.get(), offset, out, "a temporary file in " + directory_);
}

void SpillFile::truncate(std::uint64_t end) noexcept {
    if (end >= end_) return;
    end_ = end;
    // Only space is lost if this fails: the file's end is where end_ says.
    [[maybe_unused]] const int result = ::ftruncate(file_.get(), static_cast<off_t>(end));
}

} // namespace holdfast
