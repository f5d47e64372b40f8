#include "support/tree_listing.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "crypto/hash.h"

#include <cerrno>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace holdfast::test {

namespace {

std::string content_digest(const std::string& path) {
    const FileDescriptor file = open_file(path, O_RDONLY | O_NOFOLLOW);
    Hasher hasher = Hasher::derive("holdfast test tree");
    Bytes buffer(1u << 20);
    for (std::uint64_t offset = 0;;) {
        const std::size_t got = read_at(file.get(), offset, buffer, path);
        hasher.update(ByteView(buffer).first(got));
        if (got < buffer.size()) break;
        offset += got;
    }
    return to_hex(hasher.finish<16>().bytes);
}

std::string link_target(const std::string& path) {
    std::string target(4096, '\0');
    const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
    if (length < 0) throw system_error(errno, "readlink " + path);
    target.resize(static_cast<std::size_t>(length));
    return target;
}

std::string attributes_text(const std::string& path) {
    std::string names(65536, '\0');
    const ssize_t length = ::llistxattr(path.c_str(), names.data(), names.size());
    if (length <= 0) return "";
    names.resize(static_cast<std::size_t>(length));
    std::map<std::string, std::string> values;
    for (std::size_t at = 0; at < names.size();) {
        const std::string name = names.c_str() + at;
        at += name.size() + 1;
        Bytes value(65536);
        const ssize_t size = ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
        if (size < 0) throw system_error(errno, "getxattr " + path);
        values[name] = to_hex(ByteView(value).first(static_cast<std::size_t>(size)));
    }
    std::string text;
    for (const auto& [name, value] : values) text += fmt::format(" {}={}", name, value);
    return text;
}

class Lister {
  public:
    void list(const std::string& full, const std::string& path) {
        struct stat status{};
        if (::lstat(full.c_str(), &status) != 0) throw system_error(errno, "lstat " + full);
        std::string line = fmt::format("{:06o} {}:{}", status.st_mode, status.st_uid, status.st_gid);
        line += fmt::format(" {}.{:09}", status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
        if (S_ISREG(status.st_mode)) line += fmt::format(" {} {}", status.st_size, content_digest(full));
        if (S_ISLNK(status.st_mode)) line += " -> " + link_target(full);
        if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) {
            line += fmt::format(" {}:{}", major(status.st_rdev), minor(status.st_rdev));
        }
        line += attributes_text(full);
        if (!S_ISDIR(status.st_mode) && status.st_nlink > 1) {
            line += " same as " + first_names_.try_emplace(status.st_ino, path).first->second;
        }
        listing_[path] = line;
        if (S_ISDIR(status.st_mode)) list_entries(full, path);
    }
    TreeListing take() { return std::move(listing_); }

  private:
    void list_entries(const std::string& full, const std::string& path) {
        DIR* directory = ::opendir(full.c_str());
        if (directory == nullptr) throw system_error(errno, "opendir " + full);
        std::map<std::string, bool> names; // sorted, so that first names are the same everywhere
        while (const dirent* entry = ::readdir(directory)) names[entry->d_name] = true;
        ::closedir(directory);
        for (const auto& [name, _] : names) {
            if (name != "." && name != "..") list(full + "/" + name, path.empty() ? name : path + "/" + name);
        }
    }
    TreeListing listing_;
    std::map<ino_t, std::string> first_names_;
};

} // namespace

TreeListing list_tree(const std::string& directory) {
    Lister lister;
    lister.list(directory, "");
    return lister.take();
}

std::string difference(const TreeListing& expected, const TreeListing& actual) {
    std::vector<std::string> lines;
    for (const auto& [path, line] : expected) {
        const auto found = actual.find(path);
        if (found == actual.end()) {
            lines.push_back(fmt::format("missing: {}", path));
        } else if (found->second != line) {
            lines.push_back(fmt::format("{}:\n    expected {}\n    found    {}", path, line, found->second));
        }
    }
    for (const auto& [path, _] : actual) {
        if (!expected.contains(path)) lines.push_back(fmt::format("too much: {}", path));
    }
    std::string text;
    for (std::size_t i = 0; i < lines.size() && i < 20; ++i) text += lines[i] + "\n";
    return text;
}

} // namespace holdfast::test
