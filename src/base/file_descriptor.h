// Ownership of a file descriptor, and whole reads and writes on it.
#pragma once

#include "base/bytes.h"

#include <string>
#include <utility>

namespace holdfast {

class FileDescriptor {
  public:
    FileDescriptor() = default;
    explicit FileDescriptor(int fd) : fd_(fd) {}
    FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    FileDescriptor& operator=(FileDescriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~FileDescriptor();

    int get() const { return fd_; }
    bool open() const { return fd_ >= 0; }
    explicit operator bool() const { return open(); }
    int release() { return std::exchange(fd_, -1); }
    // Closes now. Throws when the kernel reports a late write error.
    void close(const std::string& name);

  private:
    int fd_ = -1;
};

// open(2) with O_CLOEXEC added. Throws the system's error, naming the path.
FileDescriptor open_file(const std::string& path, int flags, unsigned mode = 0666);
// Reads at `offset` until `out` is full or the file ends; returns the bytes read. `name` is for messages.
std::size_t read_at(int fd, std::uint64_t offset, MutableByteView out, const std::string& name);
// Writes all of `data`.
void write_at(int fd, std::uint64_t offset, ByteView data, const std::string& name);
void write_all(int fd, ByteView data, const std::string& name);
// The whole file, which may also be a pipe. Throws Error(usage) when it is larger than `limit_bytes`.
Bytes read_file(const std::string& path, std::size_t limit_bytes);
// Writes `data` under a temporary name beside `path`, makes it durable, and renames it over `path`. When it
// throws, `path` is as it was before; when only the last sync of the directory failed, it may be the new one.
void write_file_durably(const std::string& path, ByteView data, unsigned mode = 0600);
// Creates `path` and its missing parents with mode 0700; what exists stays as it is. Throws when something
// that is no directory is in the way.
void create_directories_private(const std::string& path);
// Makes the entries of a directory durable.
void sync_directory(const std::string& path);

} // namespace holdfast
