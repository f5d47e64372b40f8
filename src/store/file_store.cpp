#include "store/file_store.h"

#include "base/error.h"
#include "base/random.h"
#include "store/file_walk.h"
#include "store/object_name.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace holdfast {

namespace {

constexpr std::string_view temporary_directory = "/.tmp";

void check_stop(const CallOptions& options) {
    if (options.stop.stop_requested()) throw Error(ErrorCode::cancelled, "a call to the store was stopped");
}

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

std::string without_trailing_slashes(std::string path) {
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    return path;
}

// True when nothing has the name: also when what should be one of its directories is a file.
bool means_absent(int error_number) { return error_number == ENOENT || error_number == ENOTDIR; }

} // namespace

// A file under a name of its own in `.tmp`; gone with its owner unless it was given another name.
class FileStore::Temporary {
  public:
    explicit Temporary(const std::string& root)
        : path_(fmt::format("{}{}/{}", root, temporary_directory, system_random().id<16>().hex())),
          file_(open_file(path_, O_WRONLY | O_CREAT | O_EXCL, 0400)) {}
    ~Temporary() {
        if (!renamed_) ::unlink(path_.c_str());
    }
    Temporary(const Temporary&) = delete;
    Temporary& operator=(const Temporary&) = delete;

    const std::string& path() const { return path_; }
    int fd() const { return file_.get(); }
    void write(ByteView data) { write_all(file_.get(), data, path_); }
    void finish(bool durable) {
        if (durable && ::fsync(file_.get()) != 0) throw system_error(errno, fmt::format("syncing {}", path_));
        file_.close(path_);
    }
    void set_renamed() const { renamed_ = true; }

  private:
    std::string path_;
    FileDescriptor file_;
    mutable bool renamed_ = false;
};

FileStore::FileStore(std::string root, FileStoreSettings settings)
    : root_(without_trailing_slashes(std::move(root))), settings_(settings) {
    if (!root_.starts_with('/')) {
        throw Error(ErrorCode::usage, fmt::format("'{}' is not an absolute path", root_),
                    "write it as file:///path");
    }
}

std::string FileStore::url() const { return file_url_of(root_); }

StoreCapabilities FileStore::capabilities() const {
    return {.put_if_absent = true, .consistent = true, .largest_object_bytes = INT64_MAX};
}

std::string FileStore::path_of(const std::string& name) const {
    check_object_name(name);
    return root_ + "/" + name;
}

void FileStore::sync(const std::string& directory) const {
    if (settings_.durable) sync_directory(directory.empty() ? "/" : directory);
}

void FileStore::expect_root() const {
    struct stat status{};
    if (::stat((root_ + std::string(temporary_directory)).c_str(), &status) == 0) return;
    // A copy may have left out the empty directory.
    std::error_code error;
    if (!std::filesystem::is_empty(root_, error) && !error) return;
    throw Error(ErrorCode::unavailable,
                fmt::format("there is no store at {}: {}", root_, error ? error.message() : "it is empty"),
                "is its disk mounted?");
}

// Creates `path` and what is missing above it, each made durable in its parent before anything is put into
// it.
void FileStore::make_directory(const std::string& path) {
    {
        const std::scoped_lock lock(mutex_);
        if (made_directories_.contains(path)) return;
    }
    bool created = ::mkdir(path.c_str(), 0700) == 0;
    if (!created && errno == ENOENT && !parent_of(path).empty()) {
        make_directory(parent_of(path));
        created = ::mkdir(path.c_str(), 0700) == 0;
    }
    if (!created && errno != EEXIST) throw system_error(errno, fmt::format("creating directory {}", path));
    // Below the root also when it was there: whoever made it may not have come to this line. Above it we may
    // lack the right to read what we have not made.
    if (created || path.size() > root_.size()) sync(parent_of(path));
    constexpr std::size_t remembered_directories = 8192;
    const std::scoped_lock lock(mutex_);
    if (made_directories_.size() >= remembered_directories) made_directories_.clear();
    made_directories_.insert(path);
}

PutResult FileStore::put(const std::string& name, std::span<const ByteView> parts,
                         const PutOptions& put_options, const CallOptions& options) {
    const std::string path = path_of(name);
    if (put_options.retention) throw Error(ErrorCode::unsupported, url() + " cannot lock objects");
    if (!put_options.tier.empty()) throw Error(ErrorCode::unsupported, url() + " has no tiers");
    check_stop(options);
    return in_context(fmt::format("storing {}", name), [&] {
        // Spares writing what would be refused anyway; publish decides.
        struct stat existing{};
        if (put_options.only_if_absent && ::lstat(path.c_str(), &existing) == 0) {
            sync(parent_of(path));
            return PutResult::already_there;
        }
        if (!settings_.may_create) expect_root();
        make_directory(root_ + std::string(temporary_directory));
        make_directory(parent_of(path));
        Temporary temporary(root_);
        remove_old_temporaries(temporary.fd());
        for (ByteView part : parts) {
            constexpr std::size_t step = 4 << 20;
            for (; !part.empty(); part = part.subspan(std::min(step, part.size()))) {
                check_stop(options);
                temporary.write(part.first(std::min(step, part.size())));
            }
        }
        temporary.finish(settings_.durable);
        const PutResult result = publish(temporary, path, put_options.only_if_absent);
        // Also when it was there already: its writer may not have come to this line.
        sync(parent_of(path));
        return result;
    });
}

PutResult FileStore::publish(const Temporary& temporary, const std::string& path, bool only_if_absent) const {
    const char* from = temporary.path().c_str();
    const std::string what = fmt::format("renaming {} to {}", temporary.path(), path);
    if (!only_if_absent) {
        if (::rename(from, path.c_str()) != 0) throw system_error(errno, what);
        temporary.set_renamed();
        return PutResult::stored;
    }
    if (::renameat2(AT_FDCWD, from, AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0) {
        temporary.set_renamed();
        return PutResult::stored;
    }
    if (errno == EEXIST) return PutResult::already_there;
    if (errno != EINVAL && errno != ENOSYS) throw system_error(errno, what);
    // Network file systems cannot rename this way, but they can link, and that is as exclusive.
    if (::link(from, path.c_str()) == 0) return PutResult::stored;
    if (errno == EEXIST) return PutResult::already_there;
    throw system_error(errno, what).with_hint("the file system of the store must support hard links");
}

std::optional<Bytes> FileStore::get(const std::string& name, ByteRange range, const CallOptions& options) {
    const std::string path = path_of(name);
    check_stop(options);
    const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (!file) {
        if (means_absent(errno)) return std::nullopt;
        throw system_error(errno, fmt::format("opening {}", path));
    }
    struct stat status{};
    if (::fstat(file.get(), &status) != 0) throw system_error(errno, fmt::format("reading {}", path));
    if (S_ISDIR(status.st_mode)) return std::nullopt;
    if (!S_ISREG(status.st_mode))
        throw Error(ErrorCode::corrupt, fmt::format("{} is not a regular file", path));
    const auto size = static_cast<std::uint64_t>(status.st_size);
    const std::uint64_t begin = std::min(range.offset, size);
    Bytes bytes(std::min(range.length, size - begin));
    constexpr std::size_t step = 4 << 20;
    for (std::size_t done = 0; done < bytes.size(); done += step) {
        check_stop(options);
        const MutableByteView part =
            MutableByteView(bytes).subspan(done, std::min(step, bytes.size() - done));
        if (read_at(file.get(), begin + done, part, path) != part.size()) {
            throw Error(ErrorCode::corrupt, fmt::format("{} became shorter while it was read", path));
        }
    }
    return bytes;
}

std::optional<ObjectInfo> FileStore::head(const std::string& name, const CallOptions& options) {
    const std::string path = path_of(name);
    check_stop(options);
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0) {
        if (means_absent(errno)) return std::nullopt;
        throw system_error(errno, fmt::format("reading the state of {}", path));
    }
    if (!S_ISREG(status.st_mode)) return std::nullopt;
    return file_object_info(name, status);
}

void FileStore::list(const std::string& prefix, const std::string& after,
                     const std::function<bool(const ObjectInfo&)>& visit, const CallOptions& options) {
    check_object_prefix(prefix);
    FileWalk(root_, prefix, after, visit, options.stop).run();
}

void FileStore::remove(const std::string& name, const CallOptions& options) {
    const std::string path = path_of(name);
    check_stop(options);
    if (::unlink(path.c_str()) != 0) {
        if (means_absent(errno)) return;
        throw system_error(errno, fmt::format("removing {}", path));
    }
    sync(parent_of(path));
}

// Ages are differences between times of one file system, so that a wrong clock of this machine removes
// nothing.
void FileStore::remove_old_temporaries(int reference) {
    {
        const std::scoped_lock lock(mutex_);
        if (std::exchange(cleaned_, true)) return;
    }
    struct stat now{};
    if (::fstat(reference, &now) != 0) return;
    const std::string directory = root_ + std::string(temporary_directory);
    for (const std::string& entry : file_names_in(directory)) {
        const std::string path = directory + "/" + entry;
        struct stat status{};
        if (::lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
        // A temporary that cannot be removed harms nobody; another process may just have done it.
        if (modified_of(now) - modified_of(status) > settings_.temporary_age) ::unlink(path.c_str());
    }
}

std::string path_of_file_url(std::string_view url) {
    const auto refuse = [&](std::string_view why) -> Error {
        return Error(ErrorCode::usage, fmt::format("'{}' {}", url, why), "write it as file:///path");
    };
    constexpr std::string_view scheme = "file://";
    if (!url.starts_with(scheme)) throw refuse("does not begin with file://");
    const std::string_view rest = url.substr(scheme.size());
    if (!rest.starts_with('/')) throw refuse("does not name an absolute path");
    std::string path;
    for (std::size_t i = 0; i < rest.size(); ++i) {
        if (rest[i] != '%') {
            path += rest[i];
            continue;
        }
        const std::string_view digits = rest.substr(i + 1, 2);
        if (digits.size() != 2 ||
            digits.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos) {
            throw refuse("has a '%' without two hexadecimal digits; write a '%' as %25");
        }
        path += static_cast<char>(from_hex(digits).front());
        i += 2;
    }
    if (path.find('\0') != std::string::npos) throw refuse("holds a zero byte");
    return path;
}

std::string file_url_of(std::string_view path) {
    std::string url = "file://";
    for (const char c : path) {
        const bool plain = (c > 0x20 && c < 0x7f && c != '%' && c != '?' && c != '#');
        url += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return url;
}

} // namespace holdfast
