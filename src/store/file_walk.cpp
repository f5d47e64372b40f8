#include "store/file_walk.h"

#include "base/error.h"
#include "store/object_name.h"

#include <algorithm>
#include <cerrno>

#include <dirent.h>
#include <fmt/format.h>

namespace holdfast {

namespace {

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};

struct Entry {
    std::string name;
    unsigned char type;
};

std::vector<Entry> entries_of(const std::string& path) {
    const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(path.c_str()));
    if (!directory) {
        if (errno == ENOENT || errno == ENOTDIR) return {};
        throw system_error(errno, fmt::format("opening directory {}", path));
    }
    std::vector<Entry> entries;
    for (;;) {
        errno = 0;
        const dirent* entry = ::readdir(directory.get());
        if (entry == nullptr) break;
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") entries.push_back({std::string(name), entry->d_type});
    }
    if (errno != 0) throw system_error(errno, fmt::format("reading directory {}", path));
    return entries;
}

unsigned char type_of(const std::string& path, unsigned char known) {
    if (known != DT_UNKNOWN) return known;
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0) return DT_UNKNOWN;
    return S_ISDIR(status.st_mode) ? DT_DIR : S_ISREG(status.st_mode) ? DT_REG : DT_UNKNOWN;
}

} // namespace

Timestamp modified_of(const struct stat& status) {
    return Timestamp(std::chrono::seconds(status.st_mtim.tv_sec) +
                     std::chrono::nanoseconds(status.st_mtim.tv_nsec));
}

ObjectInfo file_object_info(std::string name, const struct stat& status) {
    const Timestamp modified = modified_of(status);
    return {.name = std::move(name),
            .size_bytes = static_cast<std::uint64_t>(status.st_size),
            .modified = modified,
            .token = fmt::format("{:x}-{:x}-{:x}", status.st_ino, modified.time_since_epoch().count(),
                                 status.st_size),
            .tier = {}};
}

std::vector<std::string> file_names_in(const std::string& directory) {
    std::vector<std::string> names;
    for (Entry& entry : entries_of(directory)) names.push_back(std::move(entry.name));
    return names;
}

void FileWalk::run() { descend(""); }

// Whether a name that begins with `directory` (which ends in '/') can have the prefix and be greater than
// `after`.
bool FileWalk::may_hold_wanted(const std::string& directory) const {
    if (!directory.starts_with(prefix_) && !prefix_.starts_with(directory)) return false;
    return directory > after_ || after_.starts_with(directory);
}

// `directory` is "" or ends in '/'. False when the visitor wants no more.
bool FileWalk::descend(const std::string& directory) {
    std::vector<std::string> keys;
    for (const Entry& entry : entries_of(root_ + "/" + directory)) {
        if (!is_object_name(entry.name)) continue;
        const std::string name = directory + entry.name;
        const unsigned char type = type_of(root_ + "/" + name, entry.type);
        // A directory sorts as its name with '/', because that is how the names of all objects inside go on.
        if (type == DT_DIR && may_hold_wanted(name + "/")) keys.push_back(name + "/");
        if (type == DT_REG && name.starts_with(prefix_) && name > after_) keys.push_back(name);
    }
    std::ranges::sort(keys);
    for (const std::string& key : keys) {
        if (stop_.stop_requested()) throw Error(ErrorCode::cancelled, "a listing was stopped");
        if (!(key.back() == '/' ? descend(key) : visit_file(key))) return false;
    }
    return true;
}

bool FileWalk::visit_file(const std::string& name) {
    const std::string path = root_ + "/" + name;
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0) {
        if (errno == ENOENT) return true;
        throw system_error(errno, fmt::format("reading the state of {}", path));
    }
    return visit_(file_object_info(name, status));
}

} // namespace holdfast
