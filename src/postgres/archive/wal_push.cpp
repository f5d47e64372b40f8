#include "postgres/archive/wal_push.h"

#include "base/error.h"
#include "base/file_descriptor.h"
#include "postgres/archive/same_cluster.h"
#include "postgres/archive/slice_intake.h"
#include "postgres/archive/wal_file_name.h"

#include <algorithm>
#include <filesystem>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

namespace holdfast::postgres {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t largest_history_file_bytes = 1u << 20;
constexpr std::size_t segment_header_bytes = 40;
constexpr std::size_t read_bytes = 1u << 20;

std::string note_path(const std::string& spool_directory, const std::string& name) {
    return spool_directory + "/pushed-" + name;
}

// What tells a file from a later one of the same name.
std::string identity_of(const std::string& path) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) throw system_error(errno, path);
    return fmt::format("{} {} {}.{:09}", status.st_ino, status.st_size, status.st_mtim.tv_sec,
                       status.st_mtim.tv_nsec);
}

std::string name_of(const std::string& path) { return fs::path(path).filename().string(); }

// A segment file that is open, and what its first page says.
struct SegmentFile {
    std::string path, name;
    FileDescriptor file;
    SegmentHeader header;
    TimelineId timeline = 0; // of its name
    Lsn begin;
};

[[noreturn]] void fail_content(const std::string& path, std::string_view why) {
    throw Error(
        ErrorCode::corrupt, fmt::format("{}: {}", path, why),
        "it is not the segment that its name says; PostgreSQL keeps it until it is archived, so compare it "
        "with pg_waldump before removing anything");
}

SegmentFile open_segment(const std::string& path, const WalFileName& name) {
    SegmentFile segment{path, name_of(path), open_file(path, O_RDONLY), {}, name.timeline, {}};
    Bytes page(segment_header_bytes);
    if (read_at(segment.file.get(), 0, page, path) != page.size())
        fail_content(path, "it is shorter than a page");
    const std::optional<SegmentHeader> header = read_segment_header(page);
    if (!header) fail_content(path, "it does not begin as a segment of PostgreSQL 13 to 18 does");
    segment.header = *header;
    const auto start = parse_segment_name(name.segment, header->segment_bytes);
    if (!start) fail_content(path, "its name is not one of segments of its size");
    segment.begin = start->begin;
    if (header->begin != start->begin) {
        fail_content(path, fmt::format("it says that it begins at {}, and its name that it begins at {}",
                                       header->begin.str(), start->begin.str()));
    }
    if (header->timeline > name.timeline) fail_content(path, "it is of a later timeline than its name says");
    struct stat status{};
    if (::fstat(segment.file.get(), &status) != 0) throw system_error(errno, path);
    if (static_cast<std::uint64_t>(status.st_size) != header->segment_bytes) {
        fail_content(path, fmt::format("it has {} bytes, and segments of this cluster have {}",
                                       status.st_size, header->segment_bytes));
    }
    return segment;
}

// Reads all of a segment in pieces.
template <typename Take>
void read_segment(const SegmentFile& segment, Take&& take) {
    Bytes piece(read_bytes);
    for (std::uint64_t offset = 0; offset < segment.header.segment_bytes;) {
        const std::size_t read = read_at(segment.file.get(), offset, piece, segment.path);
        if (read == 0) fail_content(segment.path, "it became shorter while it was read");
        take(ByteView(piece).first(read));
        offset += read;
    }
}

class Push {
  public:
    Push(Repository& repository, const PushSettings& settings, std::stop_token stop)
        : repository_(repository), settings_(settings), stop_(std::move(stop)) {}

    PushReport run(const std::string& path) {
        create_directories_private(settings_.spool_directory);
        push_one(path);
        if (parse_wal_file_name(name_of(path))->kind == WalFileKind::segment) {
            for (const std::string& next : waiting_behind(path)) {
                try {
                    push_one(next);
                } catch (const Error& error) {
                    // It is asked for by itself soon, and then the error is told.
                    repository_.logger().info("a file of the log was not stored ahead",
                                              {{"file", next}, {"reason", error.message()}});
                    break;
                }
            }
        }
        finish();
        for (std::size_t i = 1; i < paths_.size(); ++i) leave_note(paths_[i]);
        return std::move(report_);
    }

    PushReport run(const std::string& directory, const WalRange& range, std::uint64_t segment_bytes) {
        create_directories_private(settings_.spool_directory);
        for (Lsn at{range.begin.value / segment_bytes * segment_bytes}; at < range.end;
             at = at + segment_bytes) {
            const std::string name = segment_name(range.timeline, at, segment_bytes);
            outcome_ = PushOutcome::already_there;
            const SegmentFile segment = open_segment(directory + "/" + name, *parse_wal_file_name(name));
            // Behind the range the server may not have made durable what it has written: after a crash it
            // would write something else there.
            const std::uint64_t wanted_bytes = std::min<std::uint64_t>(range.end - at, segment_bytes);
            if (wanted_bytes == segment_bytes && is_full(segment)) {
                push_segment(segment);
            } else {
                push_partial(segment, wanted_bytes);
            }
            report_.files.push_back({name, outcome_});
        }
        finish();
        return std::move(report_);
    }

  private:
    void finish() {
        if (!intake_) return;
        intake_->finish();
        report_.stored_bytes = intake_->stored_bytes();
        report_.alarms = std::move(intake_->alarms());
    }

    static bool is_full(const SegmentFile& segment) {
        WalReader reader(source_of(segment), segment.begin, [](const WalRecord&) {});
        read_segment(segment, [&](ByteView piece) { reader.feed(piece); });
        return !reader.end();
    }

    void push_one(const std::string& path) {
        const std::string file_name = name_of(path);
        const auto name = parse_wal_file_name(file_name);
        if (!name) {
            throw Error(ErrorCode::usage, fmt::format("{} is no file of a write-ahead log", path),
                        "archive_command gives the path as %p: holdfast wal push SOURCE %p");
        }
        outcome_ = PushOutcome::already_there;
        switch (name->kind) {
        case WalFileKind::backup:
            outcome_ = PushOutcome::not_needed;
            break;
        case WalFileKind::history:
            push_history(path, name->timeline);
            break;
        case WalFileKind::partial:
            push_partial(open_segment(path, *name), UINT64_MAX);
            break;
        case WalFileKind::segment:
            push_segment(open_segment(path, *name));
            break;
        }
        paths_.push_back(path);
        identities_.push_back(identity_of(path));
        report_.files.push_back({file_name, outcome_});
    }

    // Those that PostgreSQL has marked as ready, in the order in which it will ask for them.
    std::vector<std::string> waiting_behind(const std::string& path) const {
        const std::string name = name_of(path);
        const fs::path directory = fs::path(path).parent_path();
        std::vector<std::string> names;
        std::error_code ignored;
        for (const fs::directory_entry& entry :
             fs::directory_iterator(directory / "archive_status", ignored)) {
            std::string waiting = entry.path().filename().string();
            if (!waiting.ends_with(".ready")) continue;
            waiting.resize(waiting.size() - 6);
            const auto parsed = parse_wal_file_name(waiting);
            if (parsed && parsed->kind == WalFileKind::segment && waiting > name) names.push_back(waiting);
        }
        std::ranges::sort(names);
        if (names.size() + 1 > settings_.batch) names.resize(std::max(settings_.batch, 1U) - 1);
        for (std::string& waiting : names) waiting = (directory / waiting).string();
        return names;
    }

    void leave_note(const std::string& path) const {
        const std::size_t i = static_cast<std::size_t>(std::ranges::find(paths_, path) - paths_.begin());
        write_file_durably(note_path(settings_.spool_directory, name_of(path)), as_bytes(identities_[i]));
    }

    // The archive of the cluster that wrote this, made ready with the first file that says which it is.
    void meet(std::uint64_t system_identifier) {
        if (intake_) {
            if (system_identifier_ == system_identifier) return;
            throw Error(ErrorCode::corrupt, "the files of one directory are of two clusters");
        }
        system_identifier_ = system_identifier;
        const ArchiveId archive = wal_archive_id(repository_.keys(), settings_.source, system_identifier);
        if (!settings_.new_cluster)
            expect_same_cluster(repository_, settings_.source, archive, settings_.spool_directory);
        intake_.emplace(repository_, archive,
                        SliceIntakeSettings{settings_.source, settings_.workers, settings_.compression_level},
                        stop_);
    }

    void push_history(const std::string& path, TimelineId timeline) {
        const Bytes text = read_file(path, largest_history_file_bytes);
        meet(system_identifier_of_neighbours(path));
        note(intake_->add_history(timeline, as_text(text), system_identifier_));
    }

    // A history file does not say of which cluster it is: the segments beside it do.
    std::uint64_t system_identifier_of_neighbours(const std::string& path) const {
        const fs::path directory = fs::path(path).parent_path();
        for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
            const std::string file_name = entry.path().filename().string();
            const auto name = parse_wal_file_name(file_name);
            if (!name || name->kind != WalFileKind::segment) continue;
            try {
                return open_segment(entry.path().string(), *name).header.system_identifier;
            } catch (const Error&) {
                continue; // recycled, or being filled
            }
        }
        throw Error(
            ErrorCode::not_found,
            fmt::format("{} does not tell of which cluster the history file is: there is no segment in it",
                        directory.string()),
            "push it from the cluster's pg_wal");
    }

    // As far as it is log: behind that are another time's bytes.
    void push_partial(const SegmentFile& segment, std::uint64_t wanted_bytes) {
        meet(segment.header.system_identifier);
        begin_at(segment, Undecodable::drop);
        read_segment(segment, [&](ByteView piece) {
            slicer_->feed(piece.first(std::min<std::uint64_t>(piece.size(), wanted_bytes)));
            wanted_bytes -= std::min<std::uint64_t>(piece.size(), wanted_bytes);
        });
        outcome_ = slicer_->position() == segment.begin ? PushOutcome::not_needed : outcome_;
        if (std::optional<CutSlice> slice = slicer_->flush()) take(std::move(*slice));
        slicer_.reset();
    }

    static WalSource source_of(const SegmentFile& segment) {
        return {segment.header.version, segment.header.segment_bytes, segment.header.system_identifier,
                segment.timeline};
    }

    void push_segment(const SegmentFile& segment) {
        meet(segment.header.system_identifier);
        if (!slicer_ || slicer_->position() != segment.begin || slicing_ != segment.timeline)
            begin_at(segment, Undecodable::keep);
        try {
            read_segment(segment, [&](ByteView piece) { slicer_->feed(piece); });
        } catch (...) {
            slicer_.reset();
            throw;
        }
        if (slicer_->broken()) {
            intake_->alarm(fmt::format("{} does not decode from {} on: {}", segment.name,
                                       slicer_->broken()->at.str(), slicer_->broken()->detail));
        }
        if (!slicer_->refused().empty())
            intake_->alarm(fmt::format("{} has a record that is not understood, so that the next snapshot "
                                       "reads everything: {}",
                                       segment.name, slicer_->refused()));
    }

    void begin_at(const SegmentFile& segment, Undecodable rest) {
        slicing_ = segment.timeline;
        slicer_.emplace(
            source_of(segment), segment.begin, [this](CutSlice slice) { take(std::move(slice)); }, rest);
        const Lsn before{segment.begin.value - segment.header.segment_bytes};
        if (segment.begin.value <= segment.header.segment_bytes) return;
        const std::string name = segment_name(segment.timeline, before, segment.header.segment_bytes);
        const std::string path = (fs::path(segment.path).parent_path() / name).string();
        try {
            const SegmentFile previous = open_segment(path, *parse_wal_file_name(name));
            Bytes content;
            content.reserve(segment.header.segment_bytes);
            read_segment(previous,
                         [&](ByteView piece) { content.insert(content.end(), piece.begin(), piece.end()); });
            slicer_->lead_in(content);
        } catch (const Error& error) {
            // The record that crosses the boundary is then described by no slice, which readers notice.
            repository_.logger().debug("a segment is decoded without the one before it",
                                       {{"file", segment.path}, {"reason", error.message()}});
        }
    }

    void take(CutSlice slice) { note(intake_->add(std::move(slice))); }

    // One slice of a file that is stored, or beside another, makes the file so.
    void note(SliceIntake::Outcome outcome) {
        if (outcome == SliceIntake::Outcome::beside) outcome_ = PushOutcome::beside;
        if (outcome == SliceIntake::Outcome::stored && outcome_ == PushOutcome::already_there)
            outcome_ = PushOutcome::stored;
    }

    Repository& repository_;
    const PushSettings& settings_;
    std::stop_token stop_;
    PushReport report_;
    PushOutcome outcome_ = PushOutcome::stored; // of the file at hand
    std::vector<std::string> paths_, identities_;
    std::uint64_t system_identifier_ = 0;
    TimelineId slicing_ = 0;
    std::optional<SliceIntake> intake_;
    std::optional<WalSlicer> slicer_;
};

} // namespace

bool was_pushed(const std::string& spool_directory, const std::string& path) {
    const std::string note = note_path(spool_directory, name_of(path));
    std::error_code ignored;
    if (!fs::exists(note, ignored)) return false;
    const bool same = as_text(read_file(note, 1024)) == identity_of(path);
    fs::remove(note, ignored);
    return same;
}

PushReport push_wal(Repository& repository, const std::string& path, const PushSettings& settings,
                    std::stop_token stop) {
    return Push(repository, settings, std::move(stop)).run(path);
}

PushReport push_wal_range(Repository& repository, const std::string& wal_directory, const WalRange& range,
                          std::uint64_t segment_bytes, const PushSettings& settings, std::stop_token stop) {
    return Push(repository, settings, std::move(stop)).run(wal_directory, range, segment_bytes);
}

} // namespace holdfast::postgres
