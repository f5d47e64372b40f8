#include "repository/content/content_reader.h"

#include "repository/node/segment_content.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <tuple>

#include <fmt/format.h>

namespace holdfast {

namespace {

// Work for one thread: enough to be worth a request, little enough to keep all of them busy.
constexpr std::uint64_t group_bytes = 4u << 20;
constexpr std::size_t waiting_groups = 64;

} // namespace

void for_each_segment(
    NodeReader& nodes, const TreeEntry& file,
    const std::function<void(const Segment& segment, std::uint64_t start, std::uint64_t length)>& take) {
    const auto* groups = std::get_if<SegmentGroups>(&file.content);
    if (groups == nullptr) return;
    const auto missing = [&](std::uint64_t from) {
        return Error(ErrorCode::corrupt,
                     fmt::format("the file's map ends at {} of {} bytes", from, file.size),
                     "run 'holdfast verify', and restore the file from another snapshot");
    };
    std::uint64_t start = 0;
    for (const NodeRef& group : *groups) {
        // Only the last group may be short: what follows would lie elsewhere.
        if (start % (segment_bytes * segments_per_group) != 0) throw missing(start);
        for (const Segment& segment : decode_segment_group(nodes.read(group))) {
            if (start >= file.size) return;
            take(segment, start, std::min(segment_bytes, file.size - start));
            start += segment_bytes;
        }
    }
    if (start < file.size) throw missing(start);
}

void for_each_extent(NodeReader& nodes, const TreeEntry& file,
                     const std::function<void(const Extents&)>& take) {
    if (const auto* extents = std::get_if<Extents>(&file.content)) return take(*extents);
    for_each_segment(nodes, file, [&](const Segment& segment, std::uint64_t start, std::uint64_t length) {
        Extents extents = extents_of(reading(nodes), segment, length);
        for (Extent& extent : extents) extent.file_offset += start;
        take(extents);
    });
}

// A file while pieces of it are under way.
struct ContentReader::File {
    File(std::shared_ptr<ContentSink> its_sink, TaskGroup& its_threads)
        : sink(std::move(its_sink)), threads(its_threads) {}
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    // Pieces that were never tried hold a file no longer once they are dropped.
    ~File() {
        if (pieces == 0) return;
        try {
            sink->abandoned();
        } catch (...) {
            // A destructor cannot tell anybody, and the reader has stopped for a reason of its own.
        }
    }

    const std::shared_ptr<ContentSink> sink;
    TaskGroup& threads;
    std::atomic<std::uint64_t> pieces{1}; // one for the thread that adds
    std::mutex mutex;
    std::optional<Error> error; // the first

    void fail(const Error& failure) {
        const std::scoped_lock lock(mutex);
        if (!error) error = failure;
    }
    void piece_ended() {
        if (--pieces > 0) return;
        try {
            if (error) {
                sink->failed(*error);
            } else {
                sink->done();
            }
        } catch (...) {
            // Not to be taken for an error of the frame that came last.
            threads.fail(std::current_exception());
        }
    }
};

struct ContentReader::Piece {
    FrameAddress frame;
    std::uint32_t frame_offset = 0;
    std::uint32_t length = 0;
    std::uint64_t file_offset = 0;
    std::shared_ptr<File> file;
    std::shared_ptr<PresentContent> present; // may be null
};

struct ContentReader::Group {
    std::vector<Piece> pieces; // by frame
};

ContentReader::ContentReader(PackReader& packs, const ContentReaderSettings& settings, std::stop_token stop)
    : packs_(packs), settings_(settings), groups_(waiting_groups), threads_(std::move(stop)) {
    for (unsigned i = 0; i < std::max(1u, settings_.workers); ++i) {
        threads_.start([this](std::stop_token token) { write_groups(token); });
    }
}

ContentReader::~ContentReader() = default;

void ContentReader::begin_file(std::shared_ptr<ContentSink> sink) {
    file_ = std::make_shared<File>(std::move(sink), threads_);
    ++gathered_files_;
}

void ContentReader::add(const Extents& extents, const std::shared_ptr<PresentContent>& present) {
    for (const Extent& extent : extents) {
        pieces_.push_back({extent.frame, extent.frame_offset, static_cast<std::uint32_t>(extent.length),
                           extent.file_offset, file_, present});
        ++file_->pieces;
        gathered_bytes_ += extent.length;
    }
    if (gathered_bytes_ >= settings_.batch_bytes >> smaller_batches_) dispatch();
}

void ContentReader::fail_file(const Error& error) { file_->fail(error); }

void ContentReader::finish_file() {
    std::exchange(file_, nullptr)->piece_ended();
    if (gathered_files_ >= settings_.batch_files >> smaller_batches_) dispatch();
}

void ContentReader::dispatch() {
    std::vector<Piece> pieces = std::exchange(pieces_, {});
    gathered_bytes_ = 0;
    gathered_files_ = 0;
    if (smaller_batches_ > 0) --smaller_batches_;
    threads_.rethrow_if_failed();
    std::sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) {
        return std::tie(a.frame, a.frame_offset) < std::tie(b.frame, b.frame_offset);
    });
    for (std::size_t first = 0; first < pieces.size();) {
        auto group = std::make_shared<Group>();
        std::uint64_t bytes = 0;
        std::size_t end = first;
        // A frame is never shared by two groups, so that it is decompressed once.
        while (end < pieces.size() && (bytes < group_bytes || pieces[end].frame == pieces[end - 1].frame)) {
            bytes += pieces[end++].length;
        }
        std::move(pieces.begin() + static_cast<std::ptrdiff_t>(first),
                  pieces.begin() + static_cast<std::ptrdiff_t>(end), std::back_inserter(group->pieces));
        first = end;
        {
            const std::scoped_lock lock(mutex_);
            ++groups_under_way_;
        }
        if (!groups_.push(std::move(group), 1, threads_.stop_token())) {
            threads_.rethrow_if_failed();
            throw Error(ErrorCode::cancelled, "stopped before it was done");
        }
    }
}

void ContentReader::wait() {
    dispatch();
    std::unique_lock lock(mutex_);
    const bool done = idle_.wait(lock, threads_.stop_token(), [&] { return groups_under_way_ == 0; });
    lock.unlock();
    threads_.rethrow_if_failed();
    if (!done) throw Error(ErrorCode::cancelled, "stopped before it was done");
}

void ContentReader::write_groups(std::stop_token stop) {
    while (const std::optional<std::shared_ptr<Group>> group = groups_.pop(stop)) {
        write_group(**group);
        const std::scoped_lock lock(mutex_);
        --groups_under_way_;
        idle_.notify_all();
    }
}

void ContentReader::leave_out_present(Group& group) {
    std::vector<Piece> pieces;
    for (Piece& piece : group.pieces) {
        if (!piece.present) {
            pieces.push_back(std::move(piece));
            continue;
        }
        try {
            for (const FileRange& range : piece.present->missing(piece.file_offset, piece.length)) {
                const auto skipped = static_cast<std::uint32_t>(range.offset - piece.file_offset);
                pieces.push_back({piece.frame,
                                  piece.frame_offset + skipped,
                                  static_cast<std::uint32_t>(range.length),
                                  range.offset,
                                  piece.file,
                                  {}});
                ++piece.file->pieces;
            }
        } catch (const Error& error) {
            piece.file->fail(error);
        }
        piece.file->piece_ended();
    }
    group.pieces = std::move(pieces);
}

void ContentReader::write_group(Group& group) {
    leave_out_present(group);
    std::vector<FramePart> frames;
    for (const Piece& piece : group.pieces) {
        if (frames.empty() || frames.back().frame != piece.frame) frames.push_back({piece.frame, 0});
        // What cannot be is found out when the frame is there.
        const std::uint64_t end = std::uint64_t{piece.frame_offset} + piece.length;
        frames.back().raw_bytes = std::max(
            frames.back().raw_bytes, static_cast<std::uint32_t>(std::min<std::uint64_t>(end, UINT32_MAX)));
    }
    std::size_t next = 0;
    const auto take = [&](const FrameAddress& frame, ByteView raw) {
        for (; next < group.pieces.size() && group.pieces[next].frame == frame; ++next) {
            const Piece& piece = group.pieces[next];
            try {
                if (piece.frame_offset > raw.size() || piece.length > raw.size() - piece.frame_offset) {
                    throw Error(ErrorCode::corrupt, "a file refers to bytes behind the end of a frame");
                }
                piece.file->sink->write(piece.file_offset, raw.subspan(piece.frame_offset, piece.length));
            } catch (const Error& error) {
                piece.file->fail(error);
            }
            piece.file->piece_ended();
        }
    };
    std::size_t first = 0;
    while (first < frames.size()) {
        try {
            packs_.read_frames(std::span(frames).subspan(first), take);
            return;
        } catch (const Error& error) {
            // Frames before the bad one were written. It fails the files that need it, and the rest goes on
            // behind it.
            if (next == group.pieces.size() || error.code() == ErrorCode::cancelled) throw;
            const FrameAddress bad = group.pieces[next].frame;
            while (next < group.pieces.size() && group.pieces[next].frame == bad) {
                group.pieces[next].file->fail(error);
                group.pieces[next++].file->piece_ended();
            }
            first = static_cast<std::size_t>(std::ranges::upper_bound(frames, bad, {}, &FramePart::frame) -
                                             frames.begin());
        }
    }
}

} // namespace holdfast
