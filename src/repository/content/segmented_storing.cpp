// How SegmentedContentWriter stores what has changed: as pages, or as chunks that are looked up.
#include "repository/content/segmented_content.h"

#include <algorithm>

namespace holdfast {

namespace {

constexpr std::uint64_t block_bytes = 1u << 20;
// A longer run of changed pages is more than pages written in place: it may be moved content.
constexpr std::size_t longest_page_run_bytes = 128u << 10;

// So much of what is read may be compressed with more effort, which takes about twenty times as long for each
// byte as reading does, on threads that would wait for the reader.
constexpr double thorough_part = 0.05;

} // namespace

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

// Counts bytes that are stored as pages.
Effort SegmentedContentWriter::effort_for(std::size_t bytes) {
    anonymous_bytes_ += bytes;
    anonymous_in_all_ += bytes;
    const bool little = static_cast<double>(anonymous_in_all_) <=
                        block_bytes + thorough_part * static_cast<double>(result_.read_bytes);
    return known_before_ && little ? Effort::thorough : Effort::usual;
}

void SegmentedContentWriter::store_anonymous(std::uint64_t offset, ByteView bytes) {
    const Effort effort = effort_for(bytes.size());
    place(offset, tools_.writer.put_anonymous(bytes, effort));
}

void SegmentedContentWriter::begin_run(std::uint64_t offset, Run kind) {
    if (run_kind_ == kind) return;
    end_run();
    run_kind_ = kind;
    placed_to_ = offset;
    // What is rewritten is never looked up: it would be found in the frame that it is to leave.
    chunking_ = kind == Run::changed && (options_.mode == SplitMode::content_defined ||
                                         (options_.mode == SplitMode::automatic && !known_before_));
    if (chunking_) chunker_.begin(offset);
}

// A whole block of changed pages becomes a frame as it is, without a copy, where append_changed() would make
// the same of it.
bool SegmentedContentWriter::hand_over_block(std::uint64_t offset) {
    if (options_.mode != SplitMode::pages || block_.bytes.size() != longest_chunk_bytes) return false;
    begin_run(offset, Run::changed);
    if (!run_.empty()) return false;
    const Effort effort = effort_for(block_.bytes.size());
    if (known_before_) tools_.rewrites.changed(block_.bytes.size());
    place(offset, tools_.writer.put_anonymous(std::move(block_.bytes), effort));
    block_.bytes.clear();
    return true;
}

void SegmentedContentWriter::append_changed(std::uint64_t offset, ByteView bytes, Run kind) {
    begin_run(offset, kind);
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

} // namespace holdfast
