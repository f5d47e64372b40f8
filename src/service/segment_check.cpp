#include "service/segment_check.h"

#include "base/error.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::uint64_t block_pages = (std::uint64_t{4} << 20) / page_bytes;

std::uint64_t page_end(std::uint64_t page, std::uint64_t length) {
    return std::min((page + 1) * page_bytes, length);
}

} // namespace

void SegmentCheck::check(std::span<const SegmentUse> uses) {
    State proven;
    for (const SegmentUse& use : uses) {
        bool content = false; // a restore reads it, unlike signatures
        try {
            State state{{}, signatures_of(reading_.nodes(), use.segment, pages_of(use.length)), use.length};
            content = true;
            state.extents = extents_of(reading_.nodes(), use.segment, use.length);
            if (check_pages(state, proven, use)) proven = std::move(state);
        } catch (const Error& error) {
            if (v_.findings_.take(error, reading_.holder_name()) && content) mark_bad(use);
        }
    }
}

// Whether a page has the same bytes, by place, and the same signature in both.
bool SegmentCheck::same_page(const State& a, const State& b, std::uint64_t page) {
    return page < a.pages.size() && page < b.pages.size() && a.pages[page] == b.pages[page] &&
           page_end(page, a.length) == page_end(page, b.length) &&
           cut(a.extents, page * page_bytes, page_end(page, a.length)) ==
               cut(b.extents, page * page_bytes, page_end(page, b.length));
}

// All pages but those that are as they were `proven`. False when one of them is wrong.
bool SegmentCheck::check_pages(const State& state, const State& proven, const SegmentUse& use) {
    ContentReading::Domain* tools = reading_.domain(use.domain);
    if (tools == nullptr) return false;
    bool right = true;
    for (std::uint64_t page = 0; page < state.pages.size();) {
        if (same_page(state, proven, page)) {
            ++page;
            continue;
        }
        std::uint64_t end = page + 1;
        while (end < state.pages.size() && end - page < block_pages && !same_page(state, proven, end)) ++end;
        right = check_run(state, page, end, *tools, use) && right;
        page = end;
    }
    return right;
}

bool SegmentCheck::check_run(const State& state, std::uint64_t first, std::uint64_t last,
                             ContentReading::Domain& tools, const SegmentUse& use) {
    if (v_.stop_.stop_requested()) throw Error(ErrorCode::cancelled, "verifying was stopped");
    const std::uint64_t begin = first * page_bytes;
    const std::uint64_t end = page_end(last - 1, state.length);
    std::vector<Extent> extents = cut(state.extents, begin, end);
    // Of each page: the extent that lies in it, or none; and whether all that lies in it is known.
    std::vector<const Extent*> filled(last - first);
    std::vector<bool> known(last - first, true);
    std::vector<Extent> readable;
    for (const Extent& extent : extents) {
        const bool may_read = reading_.is_known(extent.frame);
        if (may_read) readable.push_back(extent);
        for (std::uint64_t page = extent.file_offset / page_bytes; page * page_bytes < extent.end(); ++page) {
            filled[page - first] = &extent;
            if (!may_read) known[page - first] = false;
        }
    }
    signatures_.resize(last - first);
    tools.signer.sign(reading_.assemble(std::move(readable), begin, end), signatures_);
    for (std::uint64_t i = 0; i < last - first; ++i) {
        if (!known[i]) continue;
        const PageSignature expected = filled[i] != nullptr ? signatures_[i] : PageSignature{};
        if (state.pages[first + i] == expected) continue;
        const FrameAddress& place =
            filled[i] != nullptr ? filled[i]->frame : use.segment.signatures.location.frame;
        v_.findings_.damage(
            reading_.holder_name(place),
            fmt::format("page {} of a segment of a large file is not what its signature says", first + i),
            std::string(exchanged_hint));
        mark_bad(use);
        return false;
    }
    return true;
}

void SegmentCheck::mark_bad(const SegmentUse& use) {
    const std::scoped_lock lock(v_.mutex_);
    v_.bad_segments_.insert(use.key);
}

} // namespace holdfast
