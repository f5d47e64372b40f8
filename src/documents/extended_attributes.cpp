#include "documents/extended_attributes.h"

#include "documents/entry_name.h"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/xattr.h>

namespace holdfast {

EntryHandle::EntryHandle(FileDescriptor owned)
    : owned_(std::move(owned)), fd_(owned_.get()), proc_path_(fmt::format("/proc/self/fd/{}", fd_)) {}

EntryHandle EntryHandle::borrow(int fd) { return EntryHandle(fd); }

Result<EntryHandle> EntryHandle::open(int directory_fd, const std::string& name, FileMetadata& metadata) {
    FileDescriptor fd(::openat(directory_fd, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return failed(errno, fmt::format("opening {}", printable(name)));
    struct stat status{};
    if (::fstat(fd.get(), &status) != 0)
        return failed(errno, fmt::format("reading the attributes of {}", printable(name)));
    if (!assign_stat(metadata, status)) {
        return std::unexpected(
            Error(ErrorCode::unsupported, fmt::format("{} is of an unknown type", printable(name))));
    }
    return EntryHandle(std::move(fd));
}

namespace {

// Calls `fill(buffer, size)`, a list or get call, with a buffer that is large enough although the answer may
// grow. Returns 0, or the error number.
template <typename Fill>
int fill_growing(std::string& out, std::size_t first_size, const Fill& fill) {
    out.resize(first_size);
    for (;;) {
        const ssize_t got = fill(out.data(), out.size());
        if (got >= 0) {
            out.resize(static_cast<std::size_t>(got));
            return 0;
        }
        if (errno != ERANGE) return errno;
        const ssize_t needed = fill(nullptr, 0);
        if (needed < 0) return errno;
        out.resize(std::max(static_cast<std::size_t>(needed), out.size() + 64));
    }
}

int list_names(const EntryHandle& entry, std::string& names) {
    return fill_growing(names, 256, [&](char* buffer, std::size_t size) {
        return entry.path_only() ? ::listxattr(entry.proc_path().c_str(), buffer, size)
                                 : ::flistxattr(entry.fd(), buffer, size);
    });
}

int get_value(const EntryHandle& entry, const char* name, std::string& value) {
    return fill_growing(value, 256, [&](char* buffer, std::size_t size) {
        return entry.path_only() ? ::getxattr(entry.proc_path().c_str(), name, buffer, size)
                                 : ::fgetxattr(entry.fd(), name, buffer, size);
    });
}

} // namespace

Result<void> read_attributes(const EntryHandle& entry, std::vector<ExtendedAttribute>& attributes) {
    attributes.clear();
    std::string names;
    if (const int error_number = list_names(entry, names); error_number != 0) {
        if (error_number == ENOTSUP || error_number == ENOSYS) return {};
        Error error = system_error(error_number, "listing extended attributes");
        if (error_number == ENOENT && entry.path_only()) error = error.with_hint("is /proc mounted?");
        return std::unexpected(std::move(error));
    }
    Result<void> result;
    for (std::size_t start = 0; start < names.size();) {
        ExtendedAttribute attribute{.name = names.c_str() + start, .value = {}};
        start += attribute.name.size() + 1;
        const int error_number = get_value(entry, attribute.name.c_str(), attribute.value);
        if (error_number == 0) {
            attributes.push_back(std::move(attribute));
        } else if (error_number != ENODATA && result) { // ENODATA: removed since it was listed
            result =
                failed(error_number, fmt::format("reading extended attribute {}", printable(attribute.name)));
        }
    }
    std::sort(attributes.begin(), attributes.end());
    return result;
}

Result<void> set_attribute(const EntryHandle& entry, const ExtendedAttribute& attribute) {
    const int result = entry.path_only() ? ::setxattr(entry.proc_path().c_str(), attribute.name.c_str(),
                                                      attribute.value.data(), attribute.value.size(), 0)
                                         : ::fsetxattr(entry.fd(), attribute.name.c_str(),
                                                       attribute.value.data(), attribute.value.size(), 0);
    if (result == 0) return {};
    return failed(errno, fmt::format("setting extended attribute {}", printable(attribute.name)));
}

Result<void> remove_attribute(const EntryHandle& entry, const std::string& name) {
    const int result = entry.path_only() ? ::removexattr(entry.proc_path().c_str(), name.c_str())
                                         : ::fremovexattr(entry.fd(), name.c_str());
    if (result == 0 || errno == ENODATA) return {};
    return failed(errno, fmt::format("removing extended attribute {}", printable(name)));
}

} // namespace holdfast
