#include "base/owned_file.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "base/random.h"

#include <cerrno>
#include <cstdio>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace holdfast {

FileOwner file_owner(const std::string& path) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) throw system_error(errno, path);
    return {status.st_uid, status.st_gid};
}

void write_file_durably_for(const std::optional<FileOwner>& owner, const std::string& path, ByteView data,
                            unsigned mode) {
    // A name that nobody can foresee, taken exclusively: neither another writer nor a planted link can
    // interfere.
    const std::string temporary = fmt::format("{}.{}.tmp", path, system_random().id<8>().hex());
    FileDescriptor file = open_file(temporary, O_WRONLY | O_CREAT | O_EXCL, mode);
    try {
        write_all(file.get(), data, temporary);
        if (owner && ::geteuid() == 0 && ::fchown(file.get(), owner->user, owner->group) != 0)
            throw system_error(errno, fmt::format("giving {} to its owner", temporary));
        if (::fsync(file.get()) != 0) throw system_error(errno, fmt::format("syncing {}", temporary));
        file.close(temporary);
        if (::rename(temporary.c_str(), path.c_str()) != 0)
            throw system_error(errno, fmt::format("renaming {} to {}", temporary, path));
    } catch (...) {
        ::unlink(temporary.c_str());
        throw;
    }
    const std::size_t slash = path.rfind('/');
    sync_directory(slash == std::string::npos ? "." : path.substr(0, slash + 1));
}

} // namespace holdfast
