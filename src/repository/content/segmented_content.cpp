#include "repository/content/segmented_content.h"

#include "base/error.h"
#include "repository/content/dead_frames.h"

#include <algorithm>

namespace holdfast {

namespace {

constexpr std::uint64_t block_bytes = 1u << 20;
// A longer run of changed pages is more than pages written in place: it may be moved content.
constexpr std::size_t longest_page_run_bytes = 128u << 10;
// Scattered pages of one segment share frames that end with the segment, unless they would be so small that
// they compress badly.
constexpr std::uint64_t least_page_frame_bytes = 512u << 10;

// So much of what is read may be compressed with more effort, which takes about twenty times as long for each
// byte as reading does, on threads that would wait for the reader.
constexpr double thorough_part = 0.05;

constexpr std::uint64_t round_down(std::uint64_t value) { return value / page_bytes * page_bytes; }
constexpr std::uint64_t round_up(std::uint64_t value) { return round_down(value + page_bytes - 1); }

} // namespace

SegmentedContentWriter::SegmentedContentWriter(const ContentTools& tools, ByteView domain_key,
                                               ContentSource& source, const TreeEntry* previous,
                                               const FileWriteOptions& options)
    : tools_(tools),
      source_(source),
      options_(options),
      known_before_(previous != nullptr && std::holds_alternative<SegmentGroups>(previous->content)),
      previous_(tools.nodes, previous, tools.usable),
      trusted_(tools.nodes, options.trusted, tools.usable),
      segments_(tools.writer, previous_),
      chunker_(tools.gear, [this](std::uint64_t offset, ByteView chunk) { store_chunk(offset, chunk); }),
      digest_(Hasher::keyed(domain_key)) {
    // How long an interrupted run's file was is not known.
    if (known_before_ && (previous->flags & entry_flag::incomplete) == 0)
        shift_ = static_cast<std::int64_t>(source.size_bytes()) - static_cast<std::int64_t>(previous->size);
}

FileContentResult SegmentedContentWriter::write() {
    try {
        return write_all();
    } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled && options_.stopped)
            options_.stopped([this] { return so_far(); });
        throw;
    }
}

FileContentResult SegmentedContentWriter::so_far() {
    FileContentResult part;
    part.content = segments_.so_far();
    part.size_bytes = segments_.completed_bytes();
    if (part.size_bytes == 0) part.content = std::monostate{};
    return part;
}

FileContentResult SegmentedContentWriter::write_all() {
    const std::uint64_t size = source_.size_bytes();
    std::uint64_t position = keep_trusted();
    told_bytes_ = position;
    while (const std::optional<SourceExtent> extent = source_.next_extent()) {
        if (!extent->hole) continue;
        // Only pages that are holes throughout count; the rest is read, zeros included.
        const std::uint64_t end = extent->offset + extent->length;
        const std::uint64_t hole_begin = std::max(position, round_up(extent->offset));
        const std::uint64_t hole_end = end >= size ? size : round_down(end);
        if (hole_begin >= hole_end) continue;
        write_data(position, hole_begin);
        if (ended_) break;
        write_hole(hole_begin, hole_end);
        position = hole_end;
    }
    if (!ended_) write_data(position, size);
    end_run();
    tools_.writer.end_data_frames();
    result_.content = segments_.finish(result_.size_bytes);
    if (std::get<SegmentGroups>(result_.content).empty()) result_.content = std::monostate{};
    result_.digest = digest_.finish<16>();
    return std::move(result_);
}

void SegmentedContentWriter::write_data(std::uint64_t begin, std::uint64_t end) {
    for (std::uint64_t offset = begin; offset < end && !ended_;) {
        const std::uint64_t segment_end = (offset / segment_bytes + 1) * segment_bytes;
        const std::uint64_t length = std::min({block_bytes, end - offset, segment_end - offset});
        buffer_.resize(length);
        const std::size_t got = read_block(offset);
        ended_ = got < length;
        buffer_.resize(got);
        if (got > 0) write_block(offset, buffer_);
        offset += got;
        result_.read_bytes += got;
        result_.size_bytes = offset;
        if (offset == segment_end) end_anonymous_frames();
        segments_.complete_to(placed_to_);
        tell_completed();
    }
}

// When the run is stopped here, what has been read is placed, so that a segment that was read to its end
// counts.
std::size_t SegmentedContentWriter::read_block(std::uint64_t offset) {
    try {
        return source_.read(offset, buffer_);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled && options_.stopped) {
            end_run();
            segments_.complete_to(placed_to_);
        }
        throw;
    }
}

// Takes whole segments from an interrupted run, unread. Returns how far that goes.
std::uint64_t SegmentedContentWriter::keep_trusted() {
    std::uint64_t number = 0;
    const std::uint64_t trusted_bytes = options_.trusted == nullptr ? 0 : options_.trusted->size;
    for (; (number + 1) * segment_bytes <= std::min(trusted_bytes, source_.size_bytes()); ++number) {
        const std::shared_ptr<const PreviousSegment> before = trusted_.segment(number);
        if (!before || !before->usable) break;
        if (!std::all_of(before->map.begin(), before->map.end(),
                         [&](const Extent& extent) { return tools_.usable(extent.frame); })) {
            break;
        }
        for (const Extent& extent : before->map) {
            segments_.add_extent(number * segment_bytes + extent.file_offset, extent.length, extent.frame,
                                 extent.frame_offset);
        }
        digest_.update(
            {before->signatures.front().bytes.data(), before->signatures.size() * sizeof(PageSignature)});
        segments_.add_signatures(before->signatures);
        placed_to_ = result_.size_bytes = (number + 1) * segment_bytes;
        segments_.complete_to(placed_to_);
    }
    return number * segment_bytes;
}

void SegmentedContentWriter::end_anonymous_frames() {
    if (anonymous_bytes_ < least_page_frame_bytes) return;
    end_run();
    tools_.writer.end_data_frames();
    anonymous_bytes_ = 0;
}

// A segment is complete when the chunk that reaches across its end has been cut, so up to a block behind it.
void SegmentedContentWriter::tell_completed() {
    if (segments_.completed_bytes() == told_bytes_) return;
    told_bytes_ = segments_.completed_bytes();
    if (options_.segment_done) options_.segment_done([this] { return so_far(); });
}

void SegmentedContentWriter::write_hole(std::uint64_t begin, std::uint64_t end) {
    end_run();
    placed_to_ = end;
    const std::uint64_t pages = pages_of(end) - begin / page_bytes;
    segments_.add_hole_pages(pages);
    static constexpr std::array<Byte, 65536> zeros{};
    for (std::uint64_t left = pages * sizeof(PageSignature); left > 0;) {
        const std::uint64_t now = std::min<std::uint64_t>(left, zeros.size());
        digest_.update(ByteView(zeros).first(now));
        left -= now;
    }
    result_.size_bytes = end;
    segments_.complete_to(end);
}

void SegmentedContentWriter::write_block(std::uint64_t offset, ByteView block) {
    signatures_.resize(pages_of(block.size()));
    tools_.signer.sign(block, signatures_);
    digest_.update({signatures_.front().bytes.data(), signatures_.size() * sizeof(PageSignature)});
    segments_.add_signatures(signatures_);

    const std::uint64_t number = offset / segment_bytes;
    if (known_before_ && number / segments_per_group != victims_of_group_)
        choose_victims(number / segments_per_group);
    const std::shared_ptr<const PreviousSegment> before = previous_.segment(number);
    const std::size_t first_page = offset % segment_bytes / page_bytes;
    const auto same = [&](std::size_t page) {
        return before && first_page + page < before->signatures.size() &&
               before->signatures[first_page + page] == signatures_[page] &&
               signatures_[page] != PageSignature{};
    };
    for (std::size_t page = 0; page < signatures_.size();) {
        const bool keep = same(page);
        std::size_t end = page + 1;
        while (end < signatures_.size() && same(end) == keep) ++end;
        const std::uint64_t from = page * page_bytes;
        const std::uint64_t to = std::min<std::uint64_t>(end * page_bytes, block.size());
        if (!keep) {
            append_changed(offset + from, block.subspan(from, to - from), Run::changed);
        } else if (!victims_.empty() || !left_behind_.empty() || !keep_pages(offset + from, offset + to)) {
            // Page by page: some of them lie in frames that are to be left behind.
            for (std::uint64_t at = from; at < to; at += page_bytes) {
                const std::uint64_t page_end = std::min<std::uint64_t>(at + page_bytes, to);
                if (!keep_pages(offset + at, offset + page_end)) {
                    result_.rewritten_bytes += page_end - at;
                    append_changed(offset + at, block.subspan(at, page_end - at), Run::rewritten);
                }
            }
        }
        page = end;
    }
}

// Where the earlier snapshot has its bytes [begin, begin + length), which lie in one segment; offsets in
// `extents` are of the earlier file. False when they cannot be referred to.
bool SegmentedContentWriter::previous_extents(std::uint64_t begin, std::uint64_t length, Extents& extents) {
    const std::uint64_t start = begin / segment_bytes * segment_bytes;
    const std::shared_ptr<const PreviousSegment> before = previous_.segment(begin / segment_bytes);
    if (!before) return false;
    const std::uint64_t from = begin - start;
    const std::uint64_t to = from + length;
    auto extent = std::partition_point(before->map.begin(), before->map.end(),
                                       [&](const Extent& candidate) { return candidate.end() <= from; });
    std::uint64_t covered = from;
    for (; extent != before->map.end() && covered < to; ++extent) {
        if (extent->file_offset > covered || !tools_.usable(extent->frame)) return false;
        const std::uint64_t end = std::min(extent->end(), to);
        extents.push_back({start + covered, end - covered, extent->frame,
                           extent->frame_offset + static_cast<std::uint32_t>(covered - extent->file_offset)});
        covered = end;
    }
    return covered == to;
}

// Refers to the bytes [begin, end) of the file where the earlier snapshot has them, if that is possible and
// they do not lie in a frame that is left behind.
bool SegmentedContentWriter::keep_pages(std::uint64_t begin, std::uint64_t end) {
    Extents extents;
    if (!previous_extents(begin, end - begin, extents)) return false;
    if (std::ranges::any_of(extents, [&](const Extent& extent) { return leave_behind(extent.frame); }))
        return false;
    end_run();
    for (const Extent& extent : extents) {
        segments_.add_extent(extent.file_offset, extent.length, extent.frame, extent.frame_offset);
    }
    placed_to_ = end;
    return true;
}

bool SegmentedContentWriter::leave_behind(const FrameAddress& frame) {
    if (left_behind_.contains(frame)) return true;
    const auto victim = victims_.find(frame);
    if (victim == victims_.end()) return false;
    const bool leave = tools_.rewrites.take(victim->second);
    if (leave) left_behind_.insert(frame);
    victims_.erase(victim);
    return leave;
}

void SegmentedContentWriter::store_chunk(std::uint64_t offset, ByteView chunk) {
    const BlobId id = tools_.writer.identify(chunk);
    const std::uint64_t stored_before = tools_.writer.totals().new_bytes;
    store_changed_chunk(offset, chunk, id);
    if (known_before_) tools_.rewrites.changed(tools_.writer.totals().new_bytes - stored_before);
}

void SegmentedContentWriter::store_changed_chunk(std::uint64_t offset, ByteView chunk, const BlobId& id) {
    if (shift_ == 0) return place(offset, tools_.writer.put_blob(id, chunk));
    if (const std::optional<Location> found = tools_.writer.find_blob(id, chunk))
        return place(offset, *found);
    if (!store_shifted(offset, chunk)) place(offset, tools_.writer.put_blob(id, chunk));
}

// A chunk that nobody knows, in a file whose length has changed: it may be an old stretch with some pages
// written in place. Those that are as they were, where they would be after one insertion, are referred to.
// False when there are none.
bool SegmentedContentWriter::store_shifted(std::uint64_t offset, ByteView chunk) {
    const auto old_offset = static_cast<std::int64_t>(offset) - shift_;
    const std::uint64_t first_page =
        old_offset <= 0 ? 0 : (static_cast<std::uint64_t>(old_offset) + page_bytes - 1) / page_bytes;
    std::uint64_t stored_to = offset;
    for (std::uint64_t page = first_page;; ++page) {
        const auto begin = static_cast<std::uint64_t>(static_cast<std::int64_t>(page * page_bytes) + shift_);
        if (begin + page_bytes > offset + chunk.size()) break;
        const std::shared_ptr<const PreviousSegment> before = previous_.segment(page / pages_per_segment);
        const std::size_t index = page % pages_per_segment;
        if (!before || index >= before->signatures.size()) break;
        const ByteView bytes = chunk.subspan(begin - offset, page_bytes);
        PageSignature signature;
        tools_.signer.sign(bytes, std::span(&signature, 1));
        Extents extents;
        if (signature != before->signatures[index] ||
            !previous_extents(page * page_bytes, page_bytes, extents)) {
            continue;
        }
        if (begin > stored_to)
            store_anonymous(stored_to, chunk.subspan(stored_to - offset, begin - stored_to));
        for (const Extent& extent : extents) {
            segments_.add_extent(begin + (extent.file_offset - page * page_bytes), extent.length,
                                 extent.frame, extent.frame_offset);
        }
        placed_to_ = stored_to = begin + page_bytes;
    }
    if (stored_to == offset) return false;
    if (stored_to < offset + chunk.size()) store_anonymous(stored_to, chunk.subspan(stored_to - offset));
    return true;
}

void SegmentedContentWriter::store_anonymous(std::uint64_t offset, ByteView bytes) {
    anonymous_bytes_ += bytes.size();
    anonymous_in_all_ += bytes.size();
    const bool little = static_cast<double>(anonymous_in_all_) <=
                        block_bytes + thorough_part * static_cast<double>(result_.read_bytes);
    place(offset,
          tools_.writer.put_anonymous(bytes, known_before_ && little ? Effort::thorough : Effort::usual));
}

void SegmentedContentWriter::append_changed(std::uint64_t offset, ByteView bytes, Run kind) {
    if (run_kind_ != kind) end_run();
    if (run_kind_ == Run::none) {
        run_kind_ = kind;
        placed_to_ = offset;
        // What is rewritten is never looked up: it would be found in the frame that it is to leave.
        chunking_ = kind == Run::changed && (options_.mode == SplitMode::content_defined ||
                                             (options_.mode == SplitMode::automatic && !known_before_));
        if (chunking_) chunker_.begin(offset);
    }
    if (chunking_) {
        chunker_.append(bytes);
        return;
    }
    run_.insert(run_.end(), bytes.begin(), bytes.end());
    if (options_.mode == SplitMode::automatic && kind == Run::changed &&
        run_.size() > longest_page_run_bytes) {
        chunking_ = true;
        chunker_.begin(placed_to_);
        chunker_.append(run_);
        run_.clear();
    } else if (run_.size() >= longest_chunk_bytes) {
        store_run();
    }
}

void SegmentedContentWriter::store_run() {
    for (std::size_t at = 0; at < run_.size(); at += longest_chunk_bytes) {
        const ByteView part = ByteView(run_).subspan(at, std::min(longest_chunk_bytes, run_.size() - at));
        store_anonymous(placed_to_, part);
    }
    if (known_before_ && run_kind_ == Run::changed) tools_.rewrites.changed(run_.size());
    run_.clear();
}

void SegmentedContentWriter::end_run() {
    if (run_kind_ == Run::none) return;
    if (chunking_) {
        chunker_.end();
    } else {
        store_run();
    }
    run_kind_ = Run::none;
    chunking_ = false;
}

void SegmentedContentWriter::place(std::uint64_t offset, const Location& location) {
    segments_.add_extent(offset, location.length, location.frame, location.offset);
    placed_to_ = offset + location.length;
}

void SegmentedContentWriter::choose_victims(std::uint64_t group) {
    victims_of_group_ = group;
    DeadFrames frames(tools_.packs);
    const std::uint64_t end = std::min<std::uint64_t>((group + 1) * segments_per_group, previous_.segments());
    for (std::uint64_t number = group * segments_per_group; number < end; ++number) {
        if (const std::shared_ptr<const PreviousSegment> segment = previous_.segment(number))
            frames.add(segment->map);
    }
    victims_ = frames.choose(tools_.settings.tolerated_dead_part);
    left_behind_.clear();
}

} // namespace holdfast
