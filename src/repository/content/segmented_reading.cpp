// What SegmentedContentWriter reads of a file: everything, or where its source knows what has changed, as
// little as can be.
#include "base/error.h"
#include "repository/content/bit_runs.h"
#include "repository/content/segmented_content.h"

#include <algorithm>

namespace holdfast {

// Takes a segment over in which nothing may have changed, without looking at its map. Its signatures are
// needed for the digest.
bool SegmentedContentWriter::keep_segment(std::uint64_t offset, std::uint64_t end) {
    if (!changes_ || offset % segment_bytes != 0 || end - offset < segment_bytes || !victims_.empty() ||
        !left_behind_.empty() || changes_->any(offset / page_bytes, pages_per_segment)) {
        return false;
    }
    const std::optional<KeptSegment> kept = previous_.kept(offset / segment_bytes, segment_bytes);
    if (!kept || std::ranges::find(kept->signatures, hole_signature) != kept->signatures.end()) return false;
    end_run();
    segments_.complete_to(offset);
    segments_.keep_segment(kept->references);
    digest_.update({kept->signatures.front().bytes.data(), kept->signatures.size() * sizeof(PageSignature)});
    placed_to_ = offset + segment_bytes;
    return true;
}

// When the run is stopped here, what has been read is placed, so that a segment that was read to its end
// counts.
void SegmentedContentWriter::read_block(std::uint64_t offset, std::size_t length) {
    try {
        if (changes_) return read_wanted_pages(offset, length);
        if (block_.bytes.empty()) block_.bytes = tools_.writer.spare_buffer();
        source_.read_block(offset, length, block_);
        result_.read_bytes += block_.bytes.size();
        unread_.assign(pages_of(block_.bytes.size()), false);
    } catch (const Error& error) {
        if (error.code() == ErrorCode::cancelled && options_.stopped) {
            end_run();
            segments_.complete_to(placed_to_);
        }
        throw;
    }
}

// Reads the pages of a block that may have changed or may have to be stored anew.
void SegmentedContentWriter::read_wanted_pages(std::uint64_t offset, std::size_t length) {
    choose_pages(offset, length);
    block_.signatures.clear();
    if (block_.bytes.empty()) block_.bytes = tools_.writer.spare_buffer();
    block_.bytes.resize(length);
    std::size_t end_of_file = length;
    for_each_run(unread_, [&](std::size_t page, std::size_t end, bool unread) {
        if (unread || end_of_file < length) return;
        const std::size_t from = page * page_bytes;
        const std::size_t to = std::min(end * page_bytes, length);
        const std::size_t got =
            source_.read(offset + from, MutableByteView(block_.bytes).subspan(from, to - from));
        result_.read_bytes += got;
        if (got < to - from) end_of_file = from + got;
    });
    block_.bytes.resize(end_of_file);
    unread_.resize(pages_of(end_of_file));
}

// A page stays unread when it has not changed, and will surely keep its place.
void SegmentedContentWriter::choose_pages(std::uint64_t offset, std::size_t length) {
    std::vector<bool> wanted(pages_of(length), false);
    changes_->mark(offset / page_bytes, wanted);
    const std::uint64_t number = offset / segment_bytes;
    const std::shared_ptr<const PreviousSegment> before = previous_.segment(number);
    if (!before && number < previous_.segments()) result_.map_missing = true;
    const bool may_take =
        tools_.rewrites.any() || run_kind_ != Run::none || std::ranges::find(wanted, true) != wanted.end();
    const Extent* asked = nullptr;
    bool stays = false;
    const auto will_stay = [&](const Extent& extent) {
        if (asked == nullptr || asked->frame != extent.frame) {
            stays = tools_.usable(extent.frame) && !left_behind_.contains(extent.frame) &&
                    !(may_take && victims_.contains(extent.frame));
        }
        asked = &extent;
        return stays;
    };
    const std::uint64_t start = offset % segment_bytes;
    std::size_t next = 0; // extent of the earlier map
    for (std::size_t page = 0; page < wanted.size(); ++page) {
        if (wanted[page]) continue;
        const std::size_t index = start / page_bytes + page;
        wanted[page] = true;
        if (!before || index >= before->signatures.size() || before->signatures[index] == hole_signature)
            continue;
        std::uint64_t covered = start + page * page_bytes;
        const std::uint64_t end = std::min(covered + page_bytes, start + length);
        while (next < before->map.size() && before->map[next].end() <= covered) ++next;
        for (std::size_t i = next; i < before->map.size() && covered < end; ++i) {
            if (before->map[i].file_offset > covered || !will_stay(before->map[i])) break;
            covered = before->map[i].end();
        }
        wanted[page] = covered < end;
    }
    wanted.flip();
    unread_ = std::move(wanted);
}

void SegmentedContentWriter::sign_block(std::uint64_t offset) {
    const std::size_t pages = unread_.size();
    if (block_.signatures.size() == pages) {
        signatures_.swap(block_.signatures);
        block_.signatures.clear();
        return;
    }
    signatures_.resize(pages);
    const std::size_t first = offset % segment_bytes / page_bytes;
    for_each_run(unread_, [&](std::size_t page, std::size_t end, bool unread) {
        const auto signatures = std::span(signatures_).subspan(page, end - page);
        if (unread) {
            const std::shared_ptr<const PreviousSegment> before = previous_.segment(offset / segment_bytes);
            std::copy_n(before->signatures.begin() + static_cast<std::ptrdiff_t>(first + page), end - page,
                        signatures.begin());
        } else {
            const std::size_t from = page * page_bytes;
            const std::size_t to = std::min(end * page_bytes, block_.bytes.size());
            tools_.signer.sign(ByteView(block_.bytes).subspan(from, to - from), signatures);
        }
    });
}

// Where nothing was earned and nothing can be, no frame will be left behind.
bool SegmentedContentWriter::may_leave_something(std::uint64_t group) const {
    constexpr std::uint64_t pages = std::uint64_t{segments_per_group} * pages_per_segment;
    return !changes_ || tools_.rewrites.any() || run_kind_ != Run::none ||
           changes_->any(group * pages, std::min(pages, pages_of(source_.size_bytes()) - group * pages));
}

} // namespace holdfast
