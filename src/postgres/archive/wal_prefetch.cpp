#include "postgres/archive/wal_prefetch.h"

#include "base/error.h"
#include "base/task_group.h"
#include "postgres/archive/unfinished_file.h"
#include "postgres/archive/wal_fetch.h"
#include "postgres/archive/wal_file_name.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <filesystem>
#include <mutex>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

namespace holdfast::postgres {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view lock_name = "lock";
constexpr std::string_view missed_name = "missed";
constexpr std::chrono::milliseconds look_again{5};
constexpr std::chrono::milliseconds look_for_room{50};

std::string place_of(const std::string& directory, std::string_view name) {
    return fmt::format("{}/{}", directory, name);
}

// Nothing when another process holds it, or the directory is not there.
FileDescriptor try_lock(const std::string& directory) {
    FileDescriptor lock(::open(place_of(directory, lock_name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
    return {};
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

// Of the directory whose turn is held, and of those beside it where nobody has the turn.
void remove_leftovers(const std::string& directory) {
    for (const fs::directory_entry& entry : fs::directory_iterator(directory))
        if (entry.path().filename() != lock_name) fs::remove(entry.path());
    std::error_code ignored;
    for (const fs::directory_entry& other :
         fs::directory_iterator(fs::path(directory).parent_path(), ignored)) {
        if (other.path() == fs::path(directory) || !other.is_directory(ignored)) continue;
        if (const FileDescriptor lock = try_lock(other.path().string()))
            fs::remove_all(other.path(), ignored);
    }
}

// The last segment that was asked for and was not there: who asked has fetched it without us. Written and
// read without a lock: what cannot be read is told again soon.
void note_missed(const std::string& directory, const std::string& name) {
    const std::string path = place_of(directory, missed_name);
    const FileDescriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    // If it cannot be told, somebody fetches a segment for nothing.
    if (file && ::write(file.get(), name.data(), name.size()) < 0) return;
}
std::string last_missed(const std::string& directory) {
    const std::string path = place_of(directory, missed_name);
    return fs::exists(path) ? std::string(as_text(read_file(path, 64))) : "";
}

void copy_whole(const std::string& from, const std::string& to) {
    const FileDescriptor file = open_file(from, O_RDONLY);
    UnfinishedFile copy(to);
    Bytes piece(std::size_t{1} << 20);
    std::uint64_t at = 0;
    for (std::size_t got = 0; (got = read_at(file.get(), at, piece, from)) > 0; at += got)
        copy.append(ByteView(piece).first(got));
    copy.finish(at);
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
        const bool room = changed_.wait(
            lock, stop, [&] { return ended_ || waiting_.size() + coming_ < settings_.segments; });
        if (!room || ended_) return std::nullopt;
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
        end_giving();
    }
    // Looks what was taken, for all that wait for room, until nothing is left to be taken or nobody takes
    // any.
    void watch(const std::stop_token& stop) {
        do {
            const std::scoped_lock lock(mutex_);
            forget_taken();
            if (is_over()) return end_giving();
            if (ended_ && coming_ == 0 && waiting_.empty()) return;
            changed_.notify_all();
        } while (system_clock().sleep_for(look_for_room, stop));
    }

  private:
    bool is_over() const {
        return elsewhere_ || system_clock().steady() - last_taken_ >= settings_.patience ||
               (!settings_.while_exists.empty() && !fs::exists(settings_.while_exists));
    }
    void end_giving() {
        ended_ = true;
        changed_.notify_all();
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
        if (!missed || *missed == asked_) return;
        elsewhere_ = missed->timeline != asked_.timeline || missed->begin < asked_.begin;
        if (elsewhere_) return;
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
    std::mutex mutex_; // of what follows
    std::condition_variable_any changed_;
    std::deque<std::string> waiting_; // in order
    std::uint64_t coming_ = 0;
    Duration last_taken_;
    bool ended_ = false; // nothing more is given out
    bool elsewhere_ =
        false; // another timeline is asked for, or an earlier segment: another prefetch's matter
};

} // namespace

std::optional<PrefetchTurn> PrefetchTurn::take(const std::string& directory) {
    create_directories_private(directory);
    FileDescriptor lock = try_lock(directory);
    if (!lock) return std::nullopt;
    remove_leftovers(directory);
    return PrefetchTurn(directory, std::move(lock));
}

void prefetch_wal(const PrefetchTurn& turn, const WalArchive& archive, const std::string& name,
                  std::uint64_t segment_bytes, const PrefetchSettings& settings, std::stop_token stop) {
    if (segment_bytes == 0) return; // an empty archive
    const auto start = parse_segment_name(name, segment_bytes);
    if (!start) return;
    Ahead ahead(settings, turn.directory(), *start, segment_bytes);
    // Where it is then; nothing when the archive has it not, or not whole.
    const auto fetch = [&](Lsn begin, const std::stop_token& stopped) -> std::optional<std::string> {
        const WalRange range{start->timeline, begin, begin + segment_bytes};
        const std::string wanted = segment_name(range.timeline, range.begin, segment_bytes);
        std::string place = place_of(turn.directory(), wanted);
        if (fs::exists(place)) return place;
        const Coming coming(place);
        // The last one may still grow: it is fetched when it is asked for.
        const WalRange last_byte{range.timeline, Lsn{range.end.value - 1}, range.end};
        if (archive.has_any_of(last_byte, {.stop = stopped}) &&
            fetch_wal_file(archive, wanted, place, segment_bytes, stopped))
            return place;
        return std::nullopt;
    };
    TaskGroup workers(stop);
    for (unsigned i = 0; i < std::max(settings.workers, 1U); ++i) {
        workers.start([&](std::stop_token stopped) {
            while (const auto begin = ahead.next(stopped)) {
                std::optional<std::string> place;
                try {
                    place = fetch(*begin, stopped);
                } catch (...) {
                    ahead.end();
                    throw;
                }
                if (!place) return ahead.end();
                ahead.is_there(*place);
            }
        });
    }
    ahead.watch(stop);
    workers.wait();
}

bool take_prefetched(const std::string& directory, const std::string& name, const std::string& destination,
                     const std::stop_token& stop) {
    const auto parsed = parse_wal_file_name(name);
    if (!parsed || parsed->kind != WalFileKind::segment || !is_prefetching(directory)) return false;
    const std::string place = place_of(directory, name);
    const std::string coming = fmt::format("{}{}", place, unfinished_ending);
    while (!fs::exists(place)) {
        if (!fs::exists(coming) || !is_prefetching(directory)) {
            if (fs::exists(place)) break;
            note_missed(directory, name);
            return false;
        }
        if (!system_clock().sleep_for(look_again, stop))
            throw Error(ErrorCode::cancelled, "stopped before it was done");
    }
    if (::rename(place.c_str(), destination.c_str()) == 0) return true;
    // Who fetched it ahead was not asked for it for long, and has removed it.
    if (errno == ENOENT && !fs::exists(place)) return false;
    if (errno != EXDEV) throw system_error(errno, destination);
    // Another file system.
    copy_whole(place, destination);
    ::unlink(place.c_str());
    return true;
}

bool is_prefetching(const std::string& directory) { return fs::exists(directory) && !try_lock(directory); }

} // namespace holdfast::postgres
