#include "documents/file_writer.h"

#include "base/error.h"
#include "documents/entry_name.h"
#include "documents/remove_tree.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace holdfast {

namespace {

constexpr int replace_attempts = 8;

FileDescriptor open_to_update(int directory_fd, const std::string& name) {
    constexpr int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    FileDescriptor file(::openat(directory_fd, name.c_str(), flags));
    if (file || errno != EACCES) return file;
    // A read-only file of our own. Only regular files: nothing else is opened for update.
    const FileDescriptor held(::openat(directory_fd, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat status{};
    if (!held || ::fstat(held.get(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_nlink != 1)
        return {};
    const std::string path = fmt::format("/proc/self/fd/{}", held.get());
    if (::chmod(path.c_str(), (status.st_mode & 07777U) | 0600U) != 0) return {};
    return FileDescriptor(::openat(directory_fd, name.c_str(), flags));
}

} // namespace

FileWriter FileWriter::open(int directory_fd, const std::string& name, Existing existing) {
    check_entry_name(name);
    for (int attempt = 0; attempt < replace_attempts; ++attempt) {
        if (existing == Existing::update) {
            FileDescriptor file = open_to_update(directory_fd, name);
            struct stat status{};
            if (file && ::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode) &&
                status.st_nlink == 1) {
                return {std::move(file), printable(name), false, static_cast<std::uint64_t>(status.st_size)};
            }
        }
        FileDescriptor file(
            ::openat(directory_fd, name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (file) return {std::move(file), printable(name), true, 0};
        if (errno == EINTR) continue;
        if (errno != EEXIST || existing == Existing::refuse) {
            throw system_error(errno, fmt::format("creating {}", printable(name)));
        }
        remove_tree(directory_fd, name);
    }
    throw Error(ErrorCode::io, fmt::format("creating {}: somebody else keeps creating it", printable(name)),
                "stop what writes there, then run the command again");
}

void FileWriter::preallocate(std::uint64_t size_bytes) {
    if (size_bytes == 0) return;
    if (::fallocate(file_.get(), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size_bytes)) == 0) return;
    if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG) {
        throw system_error(errno, fmt::format("reserving {} bytes for {}", size_bytes, name_));
    }
}

void FileWriter::set_size(std::uint64_t size_bytes) {
    while (::ftruncate(file_.get(), static_cast<off_t>(size_bytes)) != 0) {
        if (errno != EINTR)
            throw system_error(errno, fmt::format("setting the size of {} to {}", name_, size_bytes));
    }
}

void FileWriter::write(std::uint64_t offset, ByteView data) { write_at(file_.get(), offset, data, name_); }

bool FileWriter::write_if_different(std::uint64_t offset, ByteView data) {
    std::array<Byte, 64UL * 1024> present;
    for (std::size_t done = 0; done < data.size();) {
        const ByteView wanted = data.subspan(done, std::min(present.size(), data.size() - done));
        const std::size_t got = read(offset + done, MutableByteView(present).first(wanted.size()));
        if (got < wanted.size() || !std::equal(wanted.begin(), wanted.end(), present.begin())) {
            write(offset + done, data.subspan(done));
            return true;
        }
        done += wanted.size();
    }
    return false;
}

void FileWriter::make_hole(std::uint64_t offset, std::uint64_t length) {
    if (new_ || length == 0) return;
    if (::fallocate(file_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                    static_cast<off_t>(length)) == 0) {
        return;
    }
    if (errno != EOPNOTSUPP && errno != ENOSYS)
        throw system_error(errno, fmt::format("making a hole in {}", name_));
    zero(offset, length);
}

void FileWriter::zero(std::uint64_t offset, std::uint64_t length) {
    constexpr std::array<Byte, 64UL * 1024> zeros{};
    const std::uint64_t end =
        std::min(offset + length, previous_size_bytes_); // beyond it there is nothing to hide
    while (offset < end) {
        const std::size_t part = std::min<std::uint64_t>(zeros.size(), end - offset);
        write_if_different(offset, ByteView(zeros).first(part));
        offset += part;
    }
}

std::size_t FileWriter::read(std::uint64_t offset, MutableByteView out) const {
    return read_at(file_.get(), offset, out, name_);
}

void FileWriter::begin_sync(std::uint64_t offset, std::uint64_t length) {
    ::sync_file_range(file_.get(), static_cast<off_t>(offset), static_cast<off_t>(length),
                      SYNC_FILE_RANGE_WRITE);
}

void FileWriter::sync() {
    if (::fdatasync(file_.get()) != 0) throw system_error(errno, fmt::format("making {} durable", name_));
}

void FileWriter::close() { file_.close(name_); }

} // namespace holdfast
