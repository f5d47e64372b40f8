#include "repository/index/segment_cache.h"

#include "base/error.h"
#include "base/random.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace holdfast {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view partial_suffix = ".partial";
// Left behind by a process that was killed; no download takes so long.
constexpr std::chrono::hours partial_lifetime{24};

struct CachedFile {
    fs::path path;
    std::uint64_t size_bytes = 0;
    Timestamp used{};
};

// What vanishes while it is looked at is left out.
std::vector<CachedFile> files_in(const std::string& directory) {
    std::vector<CachedFile> files;
    std::error_code error;
    for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
        struct stat status{};
        if (lstat(at->path().c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
        files.push_back({.path = at->path(),
                         .size_bytes = static_cast<std::uint64_t>(status.st_size),
                         .used = Timestamp(std::chrono::seconds(status.st_mtim.tv_sec) +
                                           std::chrono::nanoseconds(status.st_mtim.tv_nsec))});
    }
    return files;
}

void set_used(int fd, Timestamp now) {
    const auto nanoseconds = now.time_since_epoch().count();
    const timespec time{.tv_sec = static_cast<time_t>(nanoseconds / 1'000'000'000),
                        .tv_nsec = static_cast<long>(nanoseconds % 1'000'000'000)};
    const std::array<timespec, 2> both{time, time};
    // The order of eviction is a little worse without it, no more.
    static_cast<void>(futimens(fd, both.data()));
}

} // namespace

// A file that has its final name only when it is whole.
class SegmentCache::PartialFile {
  public:
    explicit PartialFile(const std::string& path)
        : path_(path),
          partial_path_(path + "." + system_random().id<8>().hex() + std::string(partial_suffix)),
          file_(open_file(partial_path_, O_RDWR | O_CREAT | O_EXCL, 0600)) {}
    PartialFile(const PartialFile&) = delete;
    PartialFile& operator=(const PartialFile&) = delete;
    ~PartialFile() {
        if (!kept_) unlink(partial_path_.c_str());
    }

    void append(ByteView bytes) {
        write_at(file_.get(), size_, bytes, partial_path_);
        size_ += bytes.size();
    }
    // For reading back; the file must stay.
    FileDescriptor reopen() const { return open_file(partial_path_, O_RDONLY); }
    void keep(Timestamp now) {
        set_used(file_.get(), now);
        if (rename(partial_path_.c_str(), path_.c_str()) != 0) throw system_error(errno, path_);
        kept_ = true;
    }

  private:
    std::string path_;
    std::string partial_path_;
    FileDescriptor file_;
    std::uint64_t size_ = 0;
    bool kept_ = false;
};

SegmentCache::SegmentCache(std::string directory, SegmentCacheLimits limits, Store& store, Clock& clock,
                           Logger& logger)
    : directory_(std::move(directory)), limits_(limits), store_(store), clock_(clock), logger_(logger) {}

std::string SegmentCache::path_of(const std::string& name) const {
    std::string file = name;
    std::replace(file.begin(), file.end(), '/', '_');
    return directory_ + "/" + file;
}

std::shared_ptr<const ByteSource> SegmentCache::open_cached(const std::string& name) const {
    const std::string path = path_of(name);
    FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.open()) return nullptr;
    set_used(file.get(), clock_.now());
    return std::make_shared<FileSource>(std::move(file), path);
}

std::shared_ptr<const ByteSource> SegmentCache::open(const std::string& name, const Check& check,
                                                     const CallOptions& options) {
    const std::scoped_lock lock(mutex_);
    if (auto cached = open_cached(name)) return cached;
    const std::optional<ObjectInfo> object = store_.head(name, options);
    if (!object) return nullptr;
    create_directories_private(directory_);
    make_room(object->size_bytes);
    PartialFile file(path_of(name));
    for (std::uint64_t offset = 0; offset < object->size_bytes;) {
        const std::optional<Bytes> piece = store_.get(
            name,
            {.offset = offset,
             .length = std::min<std::uint64_t>(limits_.download_piece_bytes, object->size_bytes - offset)},
            options);
        if (!piece) return nullptr;
        if (piece->empty())
            throw Error(ErrorCode::corrupt, name + " ends before the length that the store says");
        file.append(*piece);
        offset += piece->size();
    }
    auto source = std::make_shared<FileSource>(file.reopen(), path_of(name));
    check(*source);
    file.keep(clock_.now());
    return source;
}

bool SegmentCache::has(const std::string& name) const { return ::access(path_of(name).c_str(), R_OK) == 0; }

void SegmentCache::insert(const std::string& name, std::span<const ByteView> pieces) {
    const std::scoped_lock lock(mutex_);
    try {
        std::uint64_t size = 0;
        for (const ByteView piece : pieces) size += piece.size();
        create_directories_private(directory_);
        make_room(size);
        PartialFile file(path_of(name));
        for (const ByteView piece : pieces) file.append(piece);
        file.keep(clock_.now());
    } catch (const Error& error) {
        logger_.warning("index segment not cached", {{"segment", name}, {"why", error.message()}});
    }
}

void SegmentCache::remove(const std::string& name) { unlink(path_of(name).c_str()); }

std::uint64_t SegmentCache::used_bytes() const {
    std::uint64_t sum = 0;
    for (const CachedFile& file : files_in(directory_)) sum += file.size_bytes;
    return sum;
}

void SegmentCache::make_room(std::uint64_t needed_bytes) {
    if (needed_bytes > limits_.directory_bytes) {
        throw Error(ErrorCode::no_space,
                    "an index segment is larger than the cache in " + directory_ + " may be",
                    "allow the cache more space");
    }
    std::vector<CachedFile> files = files_in(directory_);
    std::uint64_t used = 0;
    for (const CachedFile& file : files) used += file.size_bytes;
    std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.used < b.used; });
    const Timestamp now = clock_.now();
    for (const CachedFile& file : files) {
        const bool partial = file.path.native().ends_with(partial_suffix);
        const bool needed = used + needed_bytes > limits_.directory_bytes;
        // A young partial file is another process at work.
        if (partial ? now - file.used < partial_lifetime : !needed) continue;
        if (unlink(file.path.c_str()) == 0) used -= file.size_bytes;
    }
}

} // namespace holdfast
