#include "repository/content/segmented_content.h"

#include "base/error.h"
#include "repository/content/bit_runs.h"
#include "repository/content/dead_frames.h"

#include <algorithm>

namespace holdfast {

namespace {

constexpr std::uint64_t block_bytes = 1u << 20;
// Scattered pages of one segment share frames that end with the segment, unless they would be so small that
// they compress badly.
constexpr std::uint64_t least_page_frame_bytes = 512u << 10;

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
    if (options.changed == nullptr) return;
    if (known_before_) {
        changes_.emplace(*options.changed, previous->size, source.size_bytes());
    } else {
        result_.map_missing = true;
    }
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
        const std::uint64_t number = offset / segment_bytes;
        if (known_before_ && number / segments_per_group != victims_of_group_)
            choose_victims(number / segments_per_group);
        const std::uint64_t segment_end = (number + 1) * segment_bytes;
        if (keep_segment(offset, end)) {
            offset = segment_end;
        } else {
            const std::uint64_t length = std::min({block_bytes, end - offset, segment_end - offset});
            read_block(offset, length);
            ended_ = block_.bytes.size() < length;
            offset += block_.bytes.size();
            if (!block_.bytes.empty()) write_block(offset - block_.bytes.size());
        }
        result_.size_bytes = offset;
        if (offset == segment_end) end_anonymous_frames();
        segments_.complete_to(placed_to_);
        tell_completed();
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

void SegmentedContentWriter::write_block(std::uint64_t offset) {
    sign_block(offset);
    digest_.update({signatures_.front().bytes.data(), signatures_.size() * sizeof(PageSignature)});
    segments_.add_signatures(signatures_);

    const std::shared_ptr<const PreviousSegment> before = previous_.segment(offset / segment_bytes);
    const std::size_t first_page = offset % segment_bytes / page_bytes;
    std::vector<bool> same(signatures_.size(), false);
    for (std::size_t page = 0; before && page < same.size(); ++page) {
        same[page] = first_page + page < before->signatures.size() &&
                     before->signatures[first_page + page] == signatures_[page] &&
                     signatures_[page] != hole_signature;
    }
    if (before && options_.page_differs) tell_differences(offset, same, before->signatures.size());
    const std::uint64_t size = block_.bytes.size();
    for_each_run(same, [&](std::size_t page, std::size_t end, bool keep) {
        const std::uint64_t from = page * page_bytes;
        const std::uint64_t to = std::min<std::uint64_t>(end * page_bytes, size);
        if (keep) {
            keep_or_rewrite(offset, from, to);
        } else if (to - from < size || !hand_over_block(offset)) {
            append_changed(offset + from, ByteView(block_.bytes).subspan(from, to - from), Run::changed);
        }
    });
}

// `same` is said of the pages of the block at `offset`; the earlier segment has `known` pages.
void SegmentedContentWriter::tell_differences(std::uint64_t offset, const std::vector<bool>& same,
                                              std::size_t known) {
    const std::size_t first_page = offset % segment_bytes / page_bytes;
    for (std::size_t page = 0; page < same.size() && first_page + page < known; ++page) {
        if (same[page]) continue;
        const std::size_t from = page * page_bytes;
        const std::size_t length = std::min(page_bytes, block_.bytes.size() - from);
        options_.page_differs(offset + from, ByteView(block_.bytes).subspan(from, length));
    }
}

// The bytes [from, to) of the block at `offset`, which are as they were.
void SegmentedContentWriter::keep_or_rewrite(std::uint64_t offset, std::uint64_t from, std::uint64_t to) {
    const bool nothing_to_leave = victims_.empty() && left_behind_.empty();
    if (nothing_to_leave && keep_pages(offset + from, offset + to)) return;
    // Page by page: some of them lie in frames that are to be left behind.
    for (std::uint64_t at = from; at < to; at += page_bytes) {
        const std::uint64_t end = std::min<std::uint64_t>(at + page_bytes, to);
        if (keep_pages(offset + at, offset + end)) continue;
        if (unread_[at / page_bytes])
            throw Error(ErrorCode::internal, "a page is to be stored anew that was not read");
        result_.rewritten_bytes += end - at;
        append_changed(offset + at, ByteView(block_.bytes).subspan(at, end - at), Run::rewritten);
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

void SegmentedContentWriter::choose_victims(std::uint64_t group) {
    victims_of_group_ = group;
    victims_.clear();
    left_behind_.clear();
    if (!may_leave_something(group)) return;
    DeadFrames frames(tools_.packs);
    const std::uint64_t end = std::min<std::uint64_t>((group + 1) * segments_per_group, previous_.segments());
    for (std::uint64_t number = group * segments_per_group; number < end; ++number)
        frames.add(previous_.map(number));
    victims_ = frames.choose(tools_.settings.tolerated_dead_part);
}

} // namespace holdfast
