#include "postgres/receive/wal_spool.h"

#include "base/error.h"

#include <algorithm>
#include <filesystem>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

namespace holdfast::postgres {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t segment_header_bytes = 40;
constexpr std::size_t segment_name_digits = 24;
constexpr std::size_t largest_history_bytes = 1u << 20;
constexpr std::size_t read_bytes = 1u << 20;

FileDescriptor lock_directory(const std::string& directory) {
    create_directories_private(directory);
    const std::string path = directory + "/lock";
    FileDescriptor file = open_file(path, O_RDWR | O_CREAT, 0600);
    if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return file;
    if (errno != EWOULDBLOCK) throw system_error(errno, path);
    throw Error(ErrorCode::already_exists,
                fmt::format("another receiver of this source and repository is at work in {}", directory),
                "one receives for all; stop it first if this one is to take its place");
}

bool is_segment_file(const std::string& name) {
    return name.size() == segment_name_digits &&
           name.find_first_not_of("0123456789ABCDEF") == std::string::npos;
}

} // namespace

WalSpool::WalSpool(std::string directory)
    : directory_(std::move(directory)), lock_(lock_directory(directory_)), mark_(directory_ + "/synced") {
    load();
}

std::string WalSpool::path_of(WalPosition segment) const {
    return directory_ + "/" + segment_name(segment.timeline, segment.lsn, segment_bytes_);
}

// From the first segment that begins as one; 0 when none does.
std::uint64_t WalSpool::find_segment_bytes(const std::vector<std::string>& names) const {
    for (const std::string& name : names) {
        const std::string path = directory_ + "/" + name;
        const FileDescriptor file = open_file(path, O_RDONLY);
        Bytes page(segment_header_bytes);
        if (read_at(file.get(), 0, page, path) != page.size()) continue;
        if (const auto header = read_segment_header(page)) return header->segment_bytes;
    }
    return 0;
}

void WalSpool::load() {
    std::vector<std::string> names;
    for (const fs::directory_entry& entry : fs::directory_iterator(directory_)) {
        const std::string name = entry.path().filename().string();
        if (is_segment_file(name)) names.push_back(name);
    }
    std::ranges::sort(names);
    if (names.empty()) return;
    segment_bytes_ = find_segment_bytes(names);
    for (const std::string& name : names) {
        const std::string path = directory_ + "/" + name;
        const std::uint64_t size = fs::file_size(path);
        if (segment_bytes_ == 0) {
            // Not even a header came: nothing was acknowledged of it.
            if (size < segment_header_bytes && names.size() == 1) {
                fs::remove(path);
                return;
            }
            throw Error(ErrorCode::corrupt, fmt::format("{} is no segment of a log", path),
                        "nobody but 'holdfast wal receive' may write there; move it away");
        }
        const auto start = parse_segment_name(name, segment_bytes_);
        if (!start || size > segment_bytes_)
            throw Error(ErrorCode::corrupt, fmt::format("{} cannot be a segment of this log", path),
                        "nobody but 'holdfast wal receive' may write there; move it away");
        segments_[{start->timeline, start->begin}] = size;
        bytes_ += size;
    }
    const auto& [last, size] = *segments_.rbegin();
    end_ = WalPosition{last.timeline, last.lsn + size};
    const SpoolRun run = runs().back();
    synced_ = WalPosition{run.timeline, known_synced(run)};
}

// In a run, which was begun with all before it synced.
Lsn WalSpool::known_synced(const SpoolRun& run) const {
    const std::optional<WalPosition>& mark = mark_.position();
    if (!mark || mark->timeline != run.timeline) return run.begin;
    return std::clamp(mark->lsn, run.begin, run.end);
}

std::optional<SegmentHeader> WalSpool::header() const {
    const std::scoped_lock lock(mutex_);
    for (const auto& [segment, size] : segments_) {
        if (size < segment_header_bytes) continue;
        const std::string path = path_of(segment);
        const FileDescriptor file = open_file(path, O_RDONLY);
        Bytes page(segment_header_bytes);
        if (read_at(file.get(), 0, page, path) != page.size()) continue;
        if (auto header = read_segment_header(page)) return header;
    }
    return std::nullopt;
}

void WalSpool::set_segment_bytes(std::uint64_t bytes) {
    if (segment_bytes_ != 0 && segment_bytes_ != bytes)
        throw Error(ErrorCode::internal, "the size of segments in a spool cannot change");
    segment_bytes_ = bytes;
}

SpoolRun WalSpool::last_run() const { return runs().back(); }

std::uint64_t WalSpool::drop_what_was_not_synced() {
    const std::optional<SegmentHeader> of = header();
    if (!of || !end_) return 0;
    const SpoolRun run = last_run();
    WalReader reader({of->version, of->segment_bytes, of->system_identifier, run.timeline}, run.begin,
                     [](const WalRecord&) {});
    Bytes piece(read_bytes);
    for (Lsn at = run.begin; at < run.end;) {
        const std::size_t size = read({run.timeline, at}, piece);
        if (size == 0 || !reader.feed(ByteView(piece).first(size))) break;
        at = at + size;
    }
    const Lsn kept = std::clamp(reader.last_end(), known_synced(run), run.end);
    const std::uint64_t dropped = run.end - kept;
    if (dropped > 0) cut_to({run.timeline, kept});
    sync();
    return dropped;
}

// Cuts the last run.
void WalSpool::cut_to(WalPosition end) {
    const std::scoped_lock lock(mutex_);
    writing_ = {};
    while (!segments_.empty()) {
        const auto last = std::prev(segments_.end());
        const auto& [segment, size] = *last;
        if (segment.timeline != end.timeline || segment.lsn + size <= end.lsn) break;
        const std::string path = path_of(segment);
        const std::uint64_t kept = segment.lsn < end.lsn ? end.lsn - segment.lsn : 0;
        bytes_ -= size - kept;
        if (kept > 0 || segments_.size() == 1) {
            if (::truncate(path.c_str(), static_cast<off_t>(kept)) != 0) throw system_error(errno, path);
            last->second = kept;
            break;
        }
        fs::remove(path);
        segments_.erase(last);
    }
    if (segments_.empty()) {
        end_.reset();
    } else {
        const auto& [last, size] = *segments_.rbegin();
        end_ = WalPosition{last.timeline, last.lsn + size};
    }
    if (synced_ && end_ && *synced_ > *end_) synced_ = end_;
}

void WalSpool::begin_run(WalPosition at) {
    sync();
    if (segment_begin(at.lsn, segment_bytes_) != at.lsn || (end_ && at <= *end_))
        throw Error(ErrorCode::internal, "a spool is to go on at " + at.str() + ", which is not behind it");
    writing_ = open_file(path_of(at), O_RDWR | O_CREAT | O_TRUNC, 0600);
    writing_segment_ = at;
    sync_directory(directory_);
    // Of what was there before at this place, should somebody have removed it, nothing is promised.
    mark_.write(at);
    const std::scoped_lock lock(mutex_);
    segments_[at] = 0;
    end_ = synced_ = at;
}

void WalSpool::append(ByteView bytes) {
    while (!bytes.empty()) {
        if (!end_) throw Error(ErrorCode::internal, "a spool has no place to append to");
        const WalPosition segment{end_->timeline, segment_begin(end_->lsn, segment_bytes_)};
        // The end of a full segment is the beginning of the next one.
        if (!writing_ || writing_segment_ != segment) {
            if (writing_) sync();
            const bool is_new = end_->lsn == segment.lsn;
            writing_ = open_file(path_of(segment), O_RDWR | O_CREAT | (is_new ? O_TRUNC : 0), 0600);
            writing_segment_ = segment;
            new_names_ = new_names_ || is_new;
        }
        const std::uint64_t offset = end_->lsn - segment.lsn;
        const std::size_t size =
            static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), segment_bytes_ - offset));
        write_at(writing_.get(), offset, bytes.first(size), path_of(segment));
        bytes = bytes.subspan(size);
        const std::scoped_lock lock(mutex_);
        segments_[segment] = offset + size;
        bytes_ += size;
        end_->lsn = end_->lsn + size;
    }
}

void WalSpool::sync(bool promised) {
    if (!end_) return;
    const bool known = !promised || mark_.position() == end_;
    if (synced_ == end_ && known) return;
    if (!writing_ && synced_ != end_) sync_what_was_there();
    try {
        if (writing_ && ::fdatasync(writing_.get()) != 0)
            throw system_error(errno, path_of(writing_segment_));
        if (new_names_) sync_directory(directory_);
        if (!known) mark_.write(*end_);
    } catch (...) {
        // Which of the pages reached the disk, and whether the next attempt would tell, is not known.
        cut_to(*synced_);
        throw;
    }
    new_names_ = false;
    const std::scoped_lock lock(mutex_);
    synced_ = end_;
}

// The segment that an earlier run was writing; all before it were synced when they were full.
void WalSpool::sync_what_was_there() {
    std::string path;
    {
        const std::scoped_lock lock(mutex_);
        path = path_of(segments_.rbegin()->first);
    }
    const FileDescriptor last = open_file(path, O_RDWR);
    if (::fdatasync(last.get()) != 0) throw system_error(errno, path);
    sync_directory(directory_);
}

void WalSpool::put_history(TimelineId timeline, std::string_view text) {
    write_file_durably(directory_ + "/" + history_name(timeline), as_bytes(text));
}

std::optional<std::string> WalSpool::history(TimelineId timeline) const {
    const std::string path = directory_ + "/" + history_name(timeline);
    if (!fs::exists(path)) return std::nullopt;
    return std::string(as_text(read_file(path, largest_history_bytes)));
}

std::optional<WalPosition> WalSpool::end() const {
    const std::scoped_lock lock(mutex_);
    return end_;
}

std::optional<WalPosition> WalSpool::synced() const {
    const std::scoped_lock lock(mutex_);
    return synced_;
}

std::uint64_t WalSpool::bytes() const {
    const std::scoped_lock lock(mutex_);
    return bytes_;
}

std::vector<SpoolRun> WalSpool::runs() const {
    const std::scoped_lock lock(mutex_);
    std::vector<SpoolRun> runs;
    for (const auto& [segment, size] : segments_) {
        const bool follows =
            !runs.empty() && runs.back().timeline == segment.timeline && runs.back().end == segment.lsn;
        if (follows) {
            runs.back().end = segment.lsn + size;
        } else {
            runs.push_back({segment.timeline, segment.lsn, segment.lsn + size});
        }
    }
    return runs;
}

std::size_t WalSpool::read(WalPosition at, MutableByteView out) const {
    const WalPosition segment{at.timeline, segment_begin(at.lsn, segment_bytes_)};
    std::uint64_t there = 0;
    {
        const std::scoped_lock lock(mutex_);
        const auto found = segments_.find(segment);
        if (found == segments_.end()) return 0;
        there = found->second;
    }
    const std::uint64_t offset = at.lsn - segment.lsn;
    if (offset >= there) return 0;
    const std::string path = path_of(segment);
    const FileDescriptor file = open_file(path, O_RDONLY);
    const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), there - offset));
    if (read_at(file.get(), offset, out.first(wanted), path) != wanted)
        throw Error(ErrorCode::corrupt, path + " became shorter while it was used",
                    "nobody but 'holdfast wal receive' may write there");
    return wanted;
}

void WalSpool::remove_before(WalPosition position) {
    const std::scoped_lock lock(mutex_);
    while (segments_.size() > 1) {
        const auto first = segments_.begin();
        const auto& [segment, size] = *first;
        if (WalPosition{segment.timeline, segment.lsn + segment_bytes_} > position) break;
        fs::remove(path_of(segment));
        if (segment.timeline < position.timeline)
            fs::remove(directory_ + "/" + history_name(segment.timeline));
        bytes_ -= size;
        segments_.erase(first);
    }
}

} // namespace holdfast::postgres
