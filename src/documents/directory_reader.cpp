#include "documents/directory_reader.h"

#include "documents/entry_name.h"
#include "documents/extended_attributes.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace holdfast {

namespace {

std::unexpected<Error> unknown_type(std::string_view name) {
    return std::unexpected(
        Error(ErrorCode::unsupported, fmt::format("{} is of an unknown type", printable(name))));
}

Result<void> read_link_target(int fd, FileMetadata& metadata) {
    std::string& target = metadata.link_target;
    target.resize(std::max<std::size_t>(metadata.size_bytes + 1, 64));
    for (;;) {
        // An empty path reads the link that the O_PATH descriptor stands for (Linux 2.6.39).
        const ssize_t got = ::readlinkat(fd, "", target.data(), target.size());
        if (got < 0) {
            const int error_number = errno;
            target.clear();
            return failed(error_number, "reading a symbolic link");
        }
        if (static_cast<std::size_t>(got) < target.size()) {
            target.resize(static_cast<std::size_t>(got));
            metadata.size_bytes = target.size(); // some file systems (procfs) report 0
            return {};
        }
        target.resize(target.size() * 2);
    }
}

Result<void> fill_details(const EntryHandle& entry, FileMetadata& metadata, OwnerNames& owners) {
    metadata.user = owners.user_name(metadata.uid);
    metadata.group = owners.group_name(metadata.gid);
    Result<void> result;
    if (metadata.type == FileType::symlink) result = read_link_target(entry.fd(), metadata);
    Result<void> attributes = read_attributes(entry, metadata.attributes);
    return result ? attributes : result;
}

} // namespace

Result<FileDescriptor> open_directory(int parent_fd, const std::string& name, FollowLinks follow) {
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (follow == FollowLinks::no ? O_NOFOLLOW : 0);
    // O_NOATIME is for owners and root only.
    for (const int extra : {O_NOATIME, 0}) {
        const int fd = ::openat(parent_fd, name.c_str(), flags | extra);
        if (fd >= 0) return FileDescriptor(fd);
        if (errno != EPERM) break;
    }
    const int error_number = errno;
    if (error_number == ENOTDIR || error_number == ELOOP) {
        return std::unexpected(
            Error(ErrorCode::io, fmt::format("{} is not a directory (any more)", printable(name))));
    }
    return failed(error_number, fmt::format("opening directory {}", printable(name)));
}

Result<FileDescriptor> open_directory_path(int base_fd, std::string_view path) {
    Result<FileDescriptor> current = open_directory(base_fd, ".");
    while (current && !path.empty()) {
        const std::size_t length = std::min(path.find('/'), path.size());
        if (length > 0) current = open_directory(current->get(), std::string(path.substr(0, length)));
        path.remove_prefix(std::min(length + 1, path.size()));
    }
    return current;
}

Result<void> stat_entry(int directory_fd, const std::string& name, FileMetadata& metadata,
                        FollowLinks follow) {
    struct stat status{};
    const int flags = AT_NO_AUTOMOUNT | (follow == FollowLinks::no ? AT_SYMLINK_NOFOLLOW : 0);
    if (::fstatat(directory_fd, name.c_str(), &status, flags) != 0) {
        return failed(errno, fmt::format("looking at {}", printable(name)));
    }
    if (!assign_stat(metadata, status)) return unknown_type(name);
    return {};
}

Result<void> stat_descriptor(int fd, FileMetadata& metadata) {
    struct stat status{};
    if (::fstat(fd, &status) != 0) return failed(errno, "looking at an open file");
    if (!assign_stat(metadata, status)) return unknown_type("an open file");
    return {};
}

Result<void> read_details(int directory_fd, const std::string& name, FileMetadata& metadata,
                          OwnerNames& owners) {
    const Result<EntryHandle> entry = EntryHandle::open(directory_fd, name, metadata);
    if (!entry) return std::unexpected(entry.error());
    return fill_details(*entry, metadata, owners);
}

Result<void> read_details(int fd, FileMetadata& metadata, OwnerNames& owners) {
    if (Result<void> status = stat_descriptor(fd, metadata); !status) return status;
    return fill_details(EntryHandle::borrow(fd), metadata, owners);
}

} // namespace holdfast
