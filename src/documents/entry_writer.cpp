#include "documents/entry_writer.h"

#include "base/error.h"
#include "documents/directory_reader.h"
#include "documents/entry_name.h"
#include "documents/remove_tree.h"

#include <cerrno>
#include <climits>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace holdfast {

namespace {

constexpr int replace_attempts = 8;

// Makes an entry by `make` (0, or -1 with errno), moving away what is in its way as `existing` allows.
// `is_right` tells whether the entry that is there will do. Returns the error number that `make` ended with,
// or 0.
template <typename Make, typename IsRight>
int make_entry(int directory_fd, const std::string& name, Existing existing, bool& kept, const Make& make,
               const IsRight& is_right) {
    kept = false;
    for (int attempt = 0; attempt < replace_attempts; ++attempt) {
        if (existing == Existing::update && is_right()) {
            kept = true;
            return 0;
        }
        if (make() == 0) return 0;
        if (errno == EINTR) continue;
        if (errno != EEXIST || existing == Existing::refuse) return errno;
        remove_tree(directory_fd, name);
    }
    return EEXIST;
}

bool same_link(int directory_fd, const std::string& name, const std::string& target) {
    std::string present(target.size() + 1, '\0');
    const ssize_t got = ::readlinkat(directory_fd, name.c_str(), present.data(), present.size());
    return got >= 0 && std::string_view(present.data(), static_cast<std::size_t>(got)) == target;
}

mode_t type_bits(FileType type) {
    switch (type) {
    case FileType::fifo:
        return S_IFIFO;
    case FileType::char_device:
        return S_IFCHR;
    case FileType::block_device:
        return S_IFBLK;
    default:
        break;
    }
    throw Error(ErrorCode::internal, fmt::format("a {} is no special file", to_string(type)));
}

CreateOutcome outcome(bool kept) { return kept ? CreateOutcome::kept : CreateOutcome::created; }

} // namespace

FileDescriptor open_restore_target(const std::string& path) {
    if (path.empty() || path.find('\0') != std::string::npos) {
        throw Error(ErrorCode::usage, fmt::format("\"{}\" is no directory to restore into", printable(path)));
    }
    FileDescriptor directory = open_file(path.front() == '/' ? "/" : ".", O_RDONLY | O_DIRECTORY);
    std::string_view rest = path;
    while (!rest.empty()) {
        const std::size_t length = std::min(rest.find('/'), rest.size());
        const std::string name(rest.substr(0, length));
        rest.remove_prefix(std::min(length + 1, rest.size()));
        if (name.empty()) continue;
        if (::mkdirat(directory.get(), name.c_str(), 0777) != 0 && errno != EEXIST) {
            throw system_error(errno, fmt::format("creating {} in {}", printable(name), printable(path)));
        }
        FileDescriptor next(::openat(directory.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!next)
            throw system_error(errno, fmt::format("opening {} in {}", printable(name), printable(path)));
        directory = std::move(next);
    }
    return directory;
}

FileDescriptor make_directory(int parent_fd, const std::string& name, Existing existing) {
    check_entry_name(name);
    bool kept = false;
    const int error_number = make_entry(
        parent_fd, name, existing == Existing::refuse ? Existing::refuse : Existing::update, kept,
        [&] { return ::mkdirat(parent_fd, name.c_str(), 0700); },
        [&] {
            FileMetadata present;
            return stat_entry(parent_fd, name, present) && present.is_directory();
        });
    if (error_number != 0)
        throw system_error(error_number, fmt::format("creating directory {}", printable(name)));
    if (kept && ::geteuid() != 0) {
        const FileDescriptor held(
            ::openat(parent_fd, name.c_str(), O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC));
        struct stat status{};
        if (held && ::fstat(held.get(), &status) == 0 && (status.st_mode & 0700U) != 0700U) {
            // Whether that worked shows when the directory is opened and written to.
            ::chmod(fmt::format("/proc/self/fd/{}", held.get()).c_str(), (status.st_mode & 07777U) | 0700U);
        }
    }
    Result<FileDescriptor> directory = open_directory(parent_fd, name);
    if (!directory) throw directory.error();
    return std::move(*directory);
}

CreateOutcome make_symlink(int directory_fd, const std::string& name, const std::string& target,
                           Existing existing) {
    check_entry_name(name);
    if (target.empty() || target.size() >= PATH_MAX || target.find('\0') != std::string::npos) {
        throw Error(ErrorCode::corrupt,
                    fmt::format("the target of symbolic link {} can't be one", printable(name)),
                    "nothing was written for it; verify the snapshot");
    }
    bool kept = false;
    const int error_number = make_entry(
        directory_fd, name, existing, kept,
        [&] { return ::symlinkat(target.c_str(), directory_fd, name.c_str()); },
        [&] { return same_link(directory_fd, name, target); });
    if (error_number != 0)
        throw system_error(error_number, fmt::format("creating symbolic link {}", printable(name)));
    return outcome(kept);
}

CreateOutcome make_hard_link(int from_directory_fd, const std::string& from_name, int directory_fd,
                             const std::string& name, Existing existing) {
    check_entry_name(from_name);
    check_entry_name(name);
    FileMetadata from;
    if (Result<void> status = stat_entry(from_directory_fd, from_name, from); !status) throw status.error();
    bool kept = false;
    const int error_number = make_entry(
        directory_fd, name, existing, kept,
        [&] { return ::linkat(from_directory_fd, from_name.c_str(), directory_fd, name.c_str(), 0); },
        [&] {
            FileMetadata present;
            return stat_entry(directory_fd, name, present) && present.device == from.device &&
                   present.inode == from.inode;
        });
    if (error_number != 0) {
        throw system_error(error_number,
                           fmt::format("linking {} to {}", printable(name), printable(from_name)));
    }
    return outcome(kept);
}

CreateOutcome make_special(int directory_fd, const std::string& name, const FileMetadata& metadata,
                           Existing existing) {
    check_entry_name(name);
    if (metadata.type == FileType::socket) return CreateOutcome::skipped;
    const mode_t mode = type_bits(metadata.type) | 0600U;
    const bool device = metadata.type != FileType::fifo;
    const dev_t number = device ? makedev(metadata.rdev_major, metadata.rdev_minor) : 0;
    bool kept = false;
    const int error_number = make_entry(
        directory_fd, name, existing, kept,
        [&] { return ::mknodat(directory_fd, name.c_str(), mode, number); },
        [&] {
            FileMetadata present;
            return stat_entry(directory_fd, name, present) && present.type == metadata.type &&
                   present.rdev_major == metadata.rdev_major && present.rdev_minor == metadata.rdev_minor;
        });
    if (error_number == EPERM && device) return CreateOutcome::not_permitted;
    if (error_number != 0) {
        throw system_error(error_number,
                           fmt::format("creating {} {}", to_string(metadata.type), printable(name)));
    }
    return outcome(kept);
}

} // namespace holdfast
