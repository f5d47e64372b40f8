#include "base/file_descriptor.h"

#include "base/error.h"
#include "base/owned_file.h"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace holdfast {

FileDescriptor::~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
}

void FileDescriptor::close(const std::string& name) {
    if (const int fd = release(); fd >= 0 && ::close(fd) != 0 && errno != EINTR) {
        throw system_error(errno, fmt::format("closing {}", name));
    }
}

FileDescriptor open_file(const std::string& path, int flags, unsigned mode) {
    for (;;) {
        const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
        if (fd >= 0) return FileDescriptor(fd);
        if (errno != EINTR) throw system_error(errno, fmt::format("opening {}", path));
    }
}

std::size_t read_at(int fd, std::uint64_t offset, MutableByteView out, const std::string& name) {
    std::size_t done = 0;
    while (done < out.size()) {
        const ssize_t got =
            ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
        if (got == 0) break;
        if (got > 0) {
            done += static_cast<std::size_t>(got);
        } else if (errno != EINTR) {
            throw system_error(errno, fmt::format("reading {}", name));
        }
    }
    return done;
}

void write_at(int fd, std::uint64_t offset, ByteView data, const std::string& name) {
    while (!data.empty()) {
        const ssize_t put = ::pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset));
        if (put >= 0) {
            data = data.subspan(static_cast<std::size_t>(put));
            offset += static_cast<std::uint64_t>(put);
        } else if (errno != EINTR) {
            throw system_error(errno, fmt::format("writing {}", name));
        }
    }
}

void write_all(int fd, ByteView data, const std::string& name) {
    while (!data.empty()) {
        const ssize_t put = ::write(fd, data.data(), data.size());
        if (put >= 0) {
            data = data.subspan(static_cast<std::size_t>(put));
        } else if (errno != EINTR) {
            throw system_error(errno, fmt::format("writing {}", name));
        }
    }
}

Bytes read_file(const std::string& path, std::size_t limit_bytes) {
    const FileDescriptor file = open_file(path, O_RDONLY);
    Bytes bytes;
    std::array<Byte, 65536> block;
    for (;;) {
        const ssize_t got = ::read(file.get(), block.data(), block.size());
        if (got == 0) return bytes;
        if (got < 0) {
            if (errno == EINTR) continue;
            throw system_error(errno, fmt::format("reading {}", path));
        }
        const auto size = static_cast<std::size_t>(got);
        if (size > limit_bytes - bytes.size()) {
            throw Error(ErrorCode::usage, fmt::format("{} is larger than {} bytes", path, limit_bytes));
        }
        bytes.insert(bytes.end(), block.begin(), block.begin() + got);
    }
}

void write_file_durably(const std::string& path, ByteView data, unsigned mode) {
    write_file_durably_for(std::nullopt, path, data, mode);
}

void create_directories_private(const std::string& path) {
    for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
        const std::string part = path.substr(0, end);
        if (::mkdir(part.c_str(), 0700) != 0) {
            const int error_number = errno;
            struct stat status{};
            const bool there = error_number == EEXIST && ::stat(part.c_str(), &status) == 0;
            if (!there || !S_ISDIR(status.st_mode)) {
                throw system_error(there ? ENOTDIR : error_number,
                                   fmt::format("creating directory {}", part));
            }
        }
        if (end == std::string::npos) return;
    }
}

void sync_directory(const std::string& path) {
    const FileDescriptor directory = open_file(path, O_RDONLY | O_DIRECTORY);
    // Some file systems cannot sync a directory and say EINVAL; they need no syncing either.
    if (::fsync(directory.get()) != 0 && errno != EINVAL) {
        throw system_error(errno, fmt::format("syncing directory {}", path));
    }
}

} // namespace holdfast
