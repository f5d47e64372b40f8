#include "documents/file_reader.h"

#include "documents/directory_reader.h"
#include "documents/entry_name.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace holdfast {

namespace {

// Below this the kernel's ordinary read-ahead has the whole file anyway.
constexpr std::uint64_t advise_from_bytes = 256 * 1024;

Result<FileDescriptor> open_regular(int directory_fd, const std::string& name) {
    // O_NONBLOCK: should the file have become a FIFO, opening must not wait for a writer. For regular files
    // it has no effect. O_NOATIME is for owners and root only.
    constexpr int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    for (const int extra : {O_NOATIME, 0}) {
        const int fd = ::openat(directory_fd, name.c_str(), flags | extra);
        if (fd >= 0) return FileDescriptor(fd);
        if (errno != EPERM) break;
    }
    const int error_number = errno;
    if (error_number == ELOOP || error_number == ENXIO) { // now a symbolic link, or a socket
        return std::unexpected(
            Error(ErrorCode::not_found, fmt::format("{} is no regular file any more", printable(name))));
    }
    return failed(error_number, fmt::format("opening {}", printable(name)));
}

} // namespace

Result<FileReader> FileReader::open(int directory_fd, const std::string& name, FileMetadata& metadata) {
    Result<FileDescriptor> file = open_regular(directory_fd, name);
    if (!file) return std::unexpected(file.error());
    FileMetadata opened;
    if (Result<void> status = stat_descriptor(file->get(), opened); !status)
        return std::unexpected(status.error());
    if (opened.type != FileType::regular) {
        return std::unexpected(
            Error(ErrorCode::not_found, fmt::format("{} is no regular file any more", printable(name))));
    }
    if (opened.size_bytes >= advise_from_bytes) ::posix_fadvise(file->get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    metadata = opened;
    return FileReader(std::move(*file), printable(name), std::move(opened));
}

Result<std::optional<FileExtent>> FileReader::next_extent() {
    if (pending_) return std::exchange(pending_, std::nullopt);
    const std::uint64_t size = opened_.size_bytes;
    if (position_ >= size) return std::nullopt;
    const FileExtent rest{.offset = position_, .length = size - position_, .hole = false};
    if (position_ == 0 && opened_.allocated_bytes >= size) { // nothing can be missing
        position_ = size;
        return rest;
    }
    const off_t data = ::lseek(file_.get(), static_cast<off_t>(position_), SEEK_DATA);
    if (data < 0 && errno != ENXIO) {
        if (errno != EINVAL && errno != ENOTSUP)
            return failed(errno, fmt::format("looking for data in {}", name_));
        position_ = size;
        return rest;
    }
    // ENXIO: there is no data up to the end.
    const std::uint64_t data_start = data < 0 ? size : std::min(static_cast<std::uint64_t>(data), size);
    std::uint64_t data_end = data_start;
    if (data_start < size) {
        const off_t hole = ::lseek(file_.get(), static_cast<off_t>(data_start), SEEK_HOLE);
        data_end = hole < 0 ? size : std::min(static_cast<std::uint64_t>(hole), size);
        // The file shrank meanwhile, or the hole appeared just now: go on as if all were data.
        if (data_end <= data_start) data_end = size;
    }
    std::optional<FileExtent> found;
    if (data_start > position_) {
        found = FileExtent{.offset = position_, .length = data_start - position_, .hole = true};
    }
    if (data_end > data_start) {
        const FileExtent extent{.offset = data_start, .length = data_end - data_start, .hole = false};
        (found ? pending_ : found) = extent;
    }
    position_ = data_end;
    return found;
}

Result<std::size_t> FileReader::read(std::uint64_t offset, MutableByteView out) const {
    std::size_t done = 0;
    while (done < out.size()) {
        const ssize_t got =
            ::pread(file_.get(), out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
        if (got == 0) break;
        if (got > 0) {
            done += static_cast<std::size_t>(got);
        } else if (errno != EINTR) {
            return failed(errno, fmt::format("reading {} at byte {}", name_, offset + done));
        }
    }
    return done;
}

Result<FileState> FileReader::finish() const {
    FileMetadata now;
    if (Result<void> status = stat_descriptor(file_.get(), now); !status)
        return std::unexpected(status.error());
    if (now.size_bytes != opened_.size_bytes || now.mtime != opened_.mtime) return FileState::changed;
    if (now.link_count == 0) return FileState::vanished;
    return now.ctime == opened_.ctime ? FileState::unchanged : FileState::changed;
}

} // namespace holdfast
