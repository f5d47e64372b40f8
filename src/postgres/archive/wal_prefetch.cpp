#include "postgres/archive/wal_prefetch.h"

#include "base/error.h"
#include "base/task_group.h"
#include "postgres/archive/unfinished_file.h"
#include "postgres/archive/wal_fetch.h"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <mutex>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

namespace holdfast::postgres {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view lock_name = "lock";
constexpr std::string_view missed_name = "missed";
constexpr std::size_t segment_name_size = 24;
constexpr std::chrono::milliseconds look_again{5};

FileDescriptor try_lock(const std::string& directory) {
    FileDescriptor lock = open_file(fmt::format("{}/{}", directory, lock_name), O_RDWR | O_CREAT, 0600);
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return {};
    return lock;
}

std::string place_of(const std::string& directory, std::string_view name) {
    return fmt::format("{}/{}", directory, name);
}

// Tells who asks for a segment from now on that it is worth waiting for: decoding it takes longer than
// writing.
class Coming {
  public:
    explicit Coming(const std::string& place)
        : path_(fmt::format("{}{}", place, unfinished_ending)),
          file_(open_file(path_, O_WRONLY | O_CREAT, 0600)) {}
    ~Coming() { ::unlink(path_.c_str()); }
    Coming(const Coming&) = delete;
    Coming& operator=(const Coming&) = delete;

  private:
    std::string path_;
    FileDescriptor file_;
};

// What an earlier one left when it was killed, but for segments of this timeline that are still to be asked
// for.
void remove_leftovers(const std::string& directory, const std::string& name) {
    for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
        const std::string other = entry.path().filename().string();
        const bool ahead =
            other.size() == name.size() && other.starts_with(name.substr(0, 8)) && other > name;
        if (other != lock_name && other != missed_name && !ahead) fs::remove(entry.path());
    }
}

// The last segment that was asked for and was not there: who asked has fetched it without us. Written and
// read without a lock: what cannot be read is told again soon.
void note_missed(const std::string& directory, const std::string& name) {
    if (name.size() != segment_name_size) return;
    const std::string path = place_of(directory, missed_name);
    const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (file) write_all(file.get(), as_bytes(name), path);
}
std::string last_missed(const std::string& directory) {
    const std::string path = place_of(directory, missed_name);
    return fs::exists(path) ? std::string(as_text(read_file(path, 64))) : "";
}

// The segments ahead, given out one by one while there is room for them.
class Ahead {
  public:
    // Begins behind `last_asked` of that directory.
    Ahead(const PrefetchSettings& settings, std::string directory, SegmentStart last_asked,
          std::uint64_t segment_bytes)
        : settings_(settings),
          directory_(std::move(directory)),
          asked_(last_asked),
          segment_bytes_(segment_bytes),
          next_(last_asked.begin + segment_bytes),
          last_taken_(system_clock().steady()) {}
    // Nobody asks for them any more.
    ~Ahead() {
        for (const std::string& path : waiting_) ::unlink(path.c_str());
    }
    Ahead(const Ahead&) = delete;
    Ahead& operator=(const Ahead&) = delete;

    // The beginning of the next one. Waits for room; nothing when there is none to fetch any more.
    std::optional<Lsn> next(const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        if (!wait_for_fewer_than(settings_.segments, lock, stop)) ended_ = true;
        if (ended_) return std::nullopt;
        ++coming_;
        return std::exchange(next_, next_ + segment_bytes_);
    }
    void is_there(const std::string& path) {
        const std::scoped_lock lock(mutex_);
        --coming_;
        if (path > passed_) {
            waiting_.insert(std::ranges::upper_bound(waiting_, path), path);
        } else {
            ::unlink(path.c_str());
        }
    }
    void end() {
        const std::scoped_lock lock(mutex_);
        --coming_;
        ended_ = true;
    }
    void wait_until_taken(const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        wait_for_fewer_than(1, lock, stop);
    }

  private:
    // False when nobody takes any, or `stop` asks. Others go on while it sleeps.
    bool wait_for_fewer_than(std::size_t count, std::unique_lock<std::mutex>& lock,
                             const std::stop_token& stop) {
        for (forget_taken(); waiting_.size() + coming_ >= count; forget_taken()) {
            if (system_clock().steady() - last_taken_ >= settings_.patience) return false;
            lock.unlock();
            const bool go_on = system_clock().sleep_for(look_again, stop);
            lock.lock();
            if (!go_on) return false;
        }
        return true;
    }
    // They are asked for in order: what lies before one that was taken is not asked for any more.
    void forget_taken() {
        skip_missed();
        const auto taken = std::ranges::find_if(waiting_.rbegin(), waiting_.rend(),
                                                [](const std::string& path) { return !fs::exists(path); });
        if (taken == waiting_.rend()) return;
        last_taken_ = system_clock().steady();
        for (auto path = waiting_.begin(); path != taken.base(); ++path) ::unlink(path->c_str());
        waiting_.erase(waiting_.begin(), taken.base());
    }

    void skip_missed() {
        const std::string name = last_missed(directory_);
        const auto missed = parse_segment_name(name, segment_bytes_);
        if (!missed || missed->timeline != asked_.timeline || missed->begin <= asked_.begin) return;
        asked_ = *missed;
        last_taken_ = system_clock().steady();
        next_ = std::max(next_, asked_.begin + segment_bytes_);
        passed_ = place_of(directory_, name);
        while (!waiting_.empty() && waiting_.front() <= passed_) {
            ::unlink(waiting_.front().c_str());
            waiting_.pop_front();
        }
    }

    const PrefetchSettings& settings_;
    const std::string directory_;
    SegmentStart asked_; // the last that is known to have been asked for
    std::string passed_; // where it would be
    const std::uint64_t segment_bytes_;
    Lsn next_;
    std::mutex mutex_;
    std::deque<std::string> waiting_; // in order
    std::uint64_t coming_ = 0;
    Duration last_taken_;
    bool ended_ = false;
};

} // namespace

std::optional<PrefetchTurn> PrefetchTurn::take(const std::string& directory) {
    create_directories_private(directory);
    FileDescriptor lock = try_lock(directory);
    if (!lock) return std::nullopt;
    return PrefetchTurn(directory, std::move(lock));
}

void prefetch_wal(const PrefetchTurn& turn, const WalArchive& archive, const std::string& name,
                  std::uint64_t segment_bytes, const PrefetchSettings& settings, std::stop_token stop) {
    const auto start = parse_segment_name(name, segment_bytes);
    if (!start) return;
    remove_leftovers(turn.directory(), name);
    Ahead ahead(settings, turn.directory(), *start, segment_bytes);
    TaskGroup workers(stop);
    for (unsigned i = 0; i < std::max(settings.workers, 1U); ++i) {
        workers.start([&](std::stop_token stopped) {
            while (const auto begin = ahead.next(stopped)) {
                const WalRange range{start->timeline, *begin, *begin + segment_bytes};
                const std::string wanted = segment_name(range.timeline, range.begin, segment_bytes);
                const std::string place = place_of(turn.directory(), wanted);
                if (!fs::exists(place)) {
                    const Coming coming(place);
                    // The last one may still grow: it is fetched when it is asked for.
                    const WalRange last_byte{range.timeline, Lsn{range.end.value - 1}, range.end};
                    const CallOptions call{.stop = stopped};
                    if (archive.slices_of(last_byte, call).empty() ||
                        !fetch_wal_file(archive, wanted, place, segment_bytes, stopped)) {
                        ahead.end();
                        return;
                    }
                }
                ahead.is_there(place);
            }
        });
    }
    workers.wait();
    ahead.wait_until_taken(stop);
}

bool take_prefetched(const std::string& directory, const std::string& name, const std::string& destination) {
    const std::string place = place_of(directory, name);
    const std::string coming = fmt::format("{}{}", place, unfinished_ending);
    while (!fs::exists(place)) {
        if (!fs::exists(coming) || try_lock(directory)) {
            if (fs::exists(place)) break;
            note_missed(directory, name);
            return false;
        }
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

bool should_prefetch(const std::string& directory, const std::string& name, std::uint64_t segment_bytes,
                     unsigned segments) {
    const auto start = parse_segment_name(name, segment_bytes);
    if (!start || segments == 0) return false;
    const std::uint64_t soon = std::max(segments / 2, 1U);
    const std::string later =
        segment_name(start->timeline, start->begin + soon * segment_bytes, segment_bytes);
    return !fs::exists(place_of(directory, later)) && PrefetchTurn::take(directory);
}

} // namespace holdfast::postgres
