#include "postgres/archive/wal_fetch.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "base/task_group.h"
#include "postgres/archive/wal_file_name.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

namespace holdfast::postgres {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view spooled_prefix = "fetched-";
constexpr std::string_view partial_ending = ".fetching";
constexpr std::chrono::milliseconds look_again{5};
constexpr Duration look_for_more = std::chrono::milliseconds(100);

std::string spooled_path(const std::string& spool_directory, const std::string& name) {
    return fmt::format("{}/{}{}", spool_directory, spooled_prefix, name);
}

// A file that is not there until it is whole.
class UnfinishedFile {
  public:
    explicit UnfinishedFile(std::string path)
        : path_(std::move(path)),
          temporary_(fmt::format("{}{}", path_, partial_ending)),
          file_(open_file(temporary_, O_WRONLY | O_CREAT | O_TRUNC, 0600)) {}
    ~UnfinishedFile() {
        if (!temporary_.empty()) ::unlink(temporary_.c_str());
    }
    UnfinishedFile(const UnfinishedFile&) = delete;
    UnfinishedFile& operator=(const UnfinishedFile&) = delete;

    void append(ByteView bytes) { write_all(file_.get(), bytes, temporary_); }
    void finish(std::uint64_t size_bytes) {
        if (::ftruncate(file_.get(), static_cast<off_t>(size_bytes)) != 0)
            throw system_error(errno, temporary_);
        file_.close(temporary_);
        if (::rename(temporary_.c_str(), path_.c_str()) != 0) throw system_error(errno, path_);
        temporary_.clear();
    }

  private:
    std::string path_, temporary_;
    FileDescriptor file_;
};

bool fetch_history(const WalArchive& archive, TimelineId timeline, const std::string& destination,
                   const CallOptions& call) {
    const auto text = archive.history_text(timeline, call);
    if (!text) return false;
    UnfinishedFile file(destination);
    file.append(as_bytes(*text));
    file.finish(text->size());
    return true;
}

// While somebody archives, what was not there a moment ago may be there now, and slices come in any order:
// only what stays away is a gap.
bool fetch_segment(const WalArchive& archive, const WalRange& range, Lsn until,
                   const std::string& destination, Duration patience, const CallOptions& call) {
    const Lsn wanted = until ? std::min(until, range.end) : range.end;
    if (wanted <= range.begin) return false;
    Lsn reached;
    for (Duration since = system_clock().steady();;) {
        std::optional<UnfinishedFile> file;
        const Lsn end = archive.read(
            {range.timeline, range.begin, wanted},
            [&](ByteView bytes) {
                if (!file) file.emplace(destination);
                file->append(bytes);
            },
            call);
        if (end == wanted || !archive.goes_on(range.timeline, end, call)) {
            if (file) file->finish(range.bytes());
            return file.has_value();
        }
        const Duration now = system_clock().steady();
        if (std::exchange(reached, end) != end) since = now;
        if (now - since >= patience || !system_clock().sleep_for(look_for_more, call.stop)) {
            throw Error(
                ErrorCode::not_found,
                fmt::format("the archive has a gap at {} on timeline {}, and log behind it", end.str(),
                            range.timeline),
                "'holdfast wal verify' shows the gaps; recover to a moment before it, or from a later "
                "snapshot");
        }
    }
}

std::size_t count_files(const std::string& directory, std::string_view ending) {
    std::size_t count = 0;
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(directory, ignored)) {
        const std::string name = entry.path().filename().string();
        if (name.starts_with(spooled_prefix) && name.ends_with(partial_ending) == !ending.empty()) ++count;
    }
    return count;
}

// Held by who prefetches. Nothing when another does.
FileDescriptor try_lock(const std::string& spool_directory) {
    FileDescriptor lock = open_file(spool_directory + "/lock", O_RDWR | O_CREAT, 0600);
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return {};
    return lock;
}

} // namespace

bool fetch_wal_file(const WalArchive& archive, const std::string& name, const std::string& destination,
                    std::uint64_t segment_bytes, std::stop_token stop, Lsn until, Duration gap_patience) {
    const CallOptions call{.stop = std::move(stop)};
    const auto parsed = parse_wal_file_name(name);
    if (!parsed) {
        throw Error(ErrorCode::usage, fmt::format("{} is no name of a file of the log", name),
                    "restore_command gives it as %f: holdfast wal fetch SOURCE %f %p");
    }
    if (parsed->kind == WalFileKind::history)
        return fetch_history(archive, parsed->timeline, destination, call);
    if (parsed->kind != WalFileKind::segment) return false;
    const auto start = parse_segment_name(name, segment_bytes);
    if (!start) {
        throw Error(ErrorCode::usage, fmt::format("{} is no segment of {} bytes", name, segment_bytes),
                    "the archive is of a cluster with another segment size");
    }
    return fetch_segment(archive, {start->timeline, start->begin, start->begin + segment_bytes}, until,
                         destination, gap_patience, call);
}

std::uint64_t segment_bytes_of(const WalArchive& archive, const CallOptions& call) {
    const auto details = archive.any_details(call);
    return details ? details->segment_bytes : 0;
}

void prefetch_wal(const WalArchive& archive, const std::string& name, std::uint64_t segment_bytes,
                  const PrefetchSettings& settings, std::stop_token stop) {
    const auto start = parse_segment_name(name, segment_bytes);
    if (!start) return;
    create_directories_private(settings.spool_directory);
    const FileDescriptor lock = try_lock(settings.spool_directory);
    if (!lock) return;
    std::atomic<std::uint64_t> next{1};
    std::atomic<bool> ended{false};
    TaskGroup workers(std::move(stop));
    for (unsigned i = 0; i < std::max(settings.workers, 1U); ++i) {
        workers.start([&](std::stop_token stopped) {
            while (!stopped.stop_requested() && !ended) {
                const std::uint64_t ahead = next++;
                if (ahead > settings.segments) return;
                const std::string wanted =
                    segment_name(start->timeline, start->begin + ahead * segment_bytes, segment_bytes);
                const std::string place = spooled_path(settings.spool_directory, wanted);
                if (fs::exists(place)) continue;
                // The last one may still grow: it is fetched when it is asked for.
                const WalRange range{start->timeline, start->begin + ahead * segment_bytes,
                                     start->begin + (ahead + 1) * segment_bytes};
                if (!archive.goes_on(range.timeline, Lsn{range.end.value - 1}, {.stop = stopped}) ||
                    !fetch_wal_file(archive, wanted, place, segment_bytes, stopped))
                    ended = true;
            }
        });
    }
    workers.wait();
}

bool take_prefetched(const std::string& spool_directory, const std::string& name,
                     const std::string& destination) {
    const std::string place = spooled_path(spool_directory, name);
    const std::string coming = fmt::format("{}{}", place, partial_ending);
    while (!fs::exists(place)) {
        if (!fs::exists(coming) || try_lock(spool_directory))
            return fs::exists(place) && take_prefetched(spool_directory, name, destination);
        std::this_thread::sleep_for(look_again);
    }
    if (::rename(place.c_str(), destination.c_str()) == 0) return true;
    if (errno != EXDEV) throw system_error(errno, destination);
    const Bytes bytes = read_file(place, std::size_t{1} << 30);
    UnfinishedFile file(destination);
    file.append(bytes);
    file.finish(bytes.size());
    ::unlink(place.c_str());
    return true;
}

std::size_t prefetched(const std::string& spool_directory) { return count_files(spool_directory, ""); }

} // namespace holdfast::postgres
