#include "documents/file_metadata.h"

#include <optional>

#include <sys/stat.h>
#include <sys/sysmacros.h>

namespace holdfast {

std::string_view to_string(FileType type) {
    switch (type) {
    case FileType::regular:
        return "regular";
    case FileType::directory:
        return "directory";
    case FileType::symlink:
        return "symlink";
    case FileType::fifo:
        return "fifo";
    case FileType::socket:
        return "socket";
    case FileType::char_device:
        return "char_device";
    case FileType::block_device:
        return "block_device";
    }
    return "regular";
}

namespace {

std::optional<FileType> type_of(mode_t mode) {
    switch (mode & S_IFMT) {
    case S_IFREG:
        return FileType::regular;
    case S_IFDIR:
        return FileType::directory;
    case S_IFLNK:
        return FileType::symlink;
    case S_IFIFO:
        return FileType::fifo;
    case S_IFSOCK:
        return FileType::socket;
    case S_IFCHR:
        return FileType::char_device;
    case S_IFBLK:
        return FileType::block_device;
    default:
        return std::nullopt;
    }
}

FileTime time_of(const timespec& time) {
    return {.seconds = time.tv_sec, .nanoseconds = static_cast<std::uint32_t>(time.tv_nsec)};
}

} // namespace

bool assign_stat(FileMetadata& metadata, const struct stat& status) {
    const std::optional<FileType> type = type_of(status.st_mode);
    if (!type) return false;
    const bool sized = *type == FileType::regular || *type == FileType::symlink;
    const bool device = *type == FileType::char_device || *type == FileType::block_device;
    metadata.type = *type;
    metadata.mode = status.st_mode & 07777U;
    metadata.uid = status.st_uid;
    metadata.gid = status.st_gid;
    metadata.mtime = time_of(status.st_mtim);
    metadata.ctime = time_of(status.st_ctim);
    metadata.size_bytes = sized ? static_cast<std::uint64_t>(status.st_size) : 0;
    metadata.inode = status.st_ino;
    metadata.device = status.st_dev;
    metadata.link_count = *type == FileType::directory ? 1 : status.st_nlink;
    metadata.rdev_major = device ? major(status.st_rdev) : 0;
    metadata.rdev_minor = device ? minor(status.st_rdev) : 0;
    metadata.allocated_bytes = sized ? static_cast<std::uint64_t>(status.st_blocks) * 512 : 0;
    metadata.user.clear();
    metadata.group.clear();
    metadata.link_target.clear();
    metadata.attributes.clear();
    return true;
}

} // namespace holdfast
