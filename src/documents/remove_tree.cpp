#include "documents/remove_tree.h"

#include "base/error.h"
#include "documents/directory_listing.h"
#include "documents/directory_stack.h"
#include "documents/entry_name.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace holdfast {

namespace {

// Of all levels together; beyond it, names go to a temporary file.
constexpr std::size_t names_budget_bytes = 16UL * 1024 * 1024;

// unlinkat that, once, gives the owner of the parent the right to do it. Returns 0 or the error number.
int unlink_entry(int directory_fd, const std::string& name, int flags) {
    if (::unlinkat(directory_fd, name.c_str(), flags) == 0) return 0;
    if (errno != EACCES) return errno;
    struct stat status{};
    if (::fstat(directory_fd, &status) != 0 || (status.st_mode & 0300U) == 0300U ||
        ::fchmod(directory_fd, (status.st_mode & 07777U) | 0700U) != 0) {
        return EACCES;
    }
    return ::unlinkat(directory_fd, name.c_str(), flags) == 0 ? 0 : errno;
}

FileDescriptor open_to_empty(int parent_fd, const std::string& name) {
    Result<FileDescriptor> directory = open_directory(parent_fd, name);
    if (!directory && directory.error().code() == ErrorCode::access_denied) {
        const FileDescriptor held(
            ::openat(parent_fd, name.c_str(), O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC));
        if (held && ::chmod(fmt::format("/proc/self/fd/{}", held.get()).c_str(), 0700) == 0) {
            directory = open_directory(parent_fd, name);
        }
    }
    if (!directory) throw directory.error();
    return std::move(*directory);
}

class Removal {
  public:
    explicit Removal(int directory_fd) : directories_(duplicate(directory_fd)) {}

    void run(const std::string& name) {
        if (remove_or_enter(name)) return;
        while (!levels_.empty()) {
            const std::optional<std::string_view> next = levels_.back().names.next();
            if (!next) {
                leave();
            } else {
                remove_or_enter(std::string(*next));
            }
        }
    }

  private:
    static FileDescriptor duplicate(int fd) {
        FileDescriptor copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
        if (!copy) throw system_error(errno, "removing a directory");
        return copy;
    }
    int top_fd() {
        const Result<SharedDirectory> top = directories_.top();
        if (!top) throw top.error();
        return (*top)->get(); // the stack keeps it open
    }
    // True when the entry is gone; false when it is a directory, which is now the top.
    bool remove_or_enter(const std::string& name) {
        const int parent_fd = top_fd();
        const int error_number = unlink_entry(parent_fd, name, 0);
        if (error_number == 0 || error_number == ENOENT) return true;
        // Linux says EISDIR; POSIX says EPERM.
        FileMetadata metadata;
        const bool directory = stat_entry(parent_fd, name, metadata) && metadata.is_directory();
        if (!directory) throw system_error(error_number, fmt::format("removing {}", printable(name)));
        FileDescriptor opened = open_to_empty(parent_fd, name);
        FileMetadata parent;
        if (!stat_descriptor(opened.get(), metadata) || !stat_descriptor(parent_fd, parent) ||
            metadata.device != parent.device) {
            throw Error(ErrorCode::unsupported,
                        fmt::format("not removing {}: another file system is mounted there", printable(name)),
                        "unmount it, or leave it out");
        }
        const int fd = opened.get();
        if (Result<void> pushed = directories_.push(name, std::move(opened)); !pushed) throw pushed.error();
        const std::size_t budget = names_budget_bytes - std::min(names_bytes_, names_budget_bytes);
        levels_.push_back({.name = name, .names = DirectoryListing(fd, budget, spill_)});
        if (levels_.back().names.error()) throw *levels_.back().names.error();
        names_bytes_ += levels_.back().names.memory_bytes();
        return false;
    }
    void leave() {
        directories_.pop();
        const std::string name = std::move(levels_.back().name);
        names_bytes_ -= std::min(names_bytes_, levels_.back().names.memory_bytes());
        levels_.pop_back();
        const int error_number = unlink_entry(top_fd(), name, AT_REMOVEDIR);
        // ENOTEMPTY: somebody puts entries in faster than we take them out; better an error than an endless
        // loop.
        if (error_number != 0 && error_number != ENOENT) {
            throw system_error(error_number, fmt::format("removing directory {}", printable(name)));
        }
    }

    DirectoryStack directories_;
    SpillFile spill_;
    struct Level {
        std::string name;
        DirectoryListing names;
    };
    std::vector<Level> levels_; // the directories that are being emptied
    std::size_t names_bytes_ = 0;
};

} // namespace

void remove_tree(int directory_fd, const std::string& name) {
    check_entry_name(name);
    // Most entries are no directories.
    if (const int error_number = unlink_entry(directory_fd, name, 0);
        error_number == 0 || error_number == ENOENT)
        return;
    Removal(directory_fd).run(name);
}

} // namespace holdfast
