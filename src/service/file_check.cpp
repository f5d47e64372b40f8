#include "service/file_check.h"

#include "base/error.h"
#include "documents/entry_name.h"
#include "repository/node/directory_node.h"

#include <algorithm>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::uint64_t block_bytes = std::uint64_t{4} << 20;
// Files of 16 MiB and more have segments; one that grew while it was read may be a little larger.
constexpr std::uint64_t largest_plain_file_bytes = std::uint64_t{64} << 20;

FrameAddress first_frame(const Extents& extents) {
    return extents.empty() ? FrameAddress{} : extents.front().frame;
}

} // namespace

void FileCheck::check_leaf(const Verification::ListedLeaf& listed) {
    try {
        const Bytes node = reading_.node(listed.node);
        DirectoryLeafReader leaf(node);
        TreeEntry entry;
        while (leaf.next(entry)) {
            if (v_.stop_.stop_requested()) throw Error(ErrorCode::cancelled, "verifying was stopped");
            if (entry.type == EntryType::file) check_entry(entry, listed.domain);
        }
    } catch (const Error& error) {
        v_.findings_.take(error, listed.node.location.frame.pack.name());
    }
}

void FileCheck::check_entry(const TreeEntry& file, std::uint32_t domain_number) {
    try {
        if (check_file(file, domain_number)) ++v_.files_;
    } catch (const Error& error) {
        if (v_.findings_.take(error, reading_.holder_name())) mark_bad(file);
    }
}

bool FileCheck::check_file(const TreeEntry& file, std::uint32_t domain_number) {
    // What was not read whole has no digest of the whole.
    if ((file.flags & (entry_flag::incomplete | entry_flag::unreadable)) != 0) return false;
    ContentReading::Domain* tools = reading_.domain(domain_number);
    if (tools == nullptr) return false;
    if (const auto* extents = std::get_if<Extents>(&file.content)) {
        if (!std::ranges::all_of(*extents,
                                 [&](const Extent& extent) { return reading_.is_known(extent.frame); }))
            return false;
        if (is_one_blob(file, *extents)) return true;
        if (!uses_.claim(key_of_file(file), domain_number)) return false;
        check_extents(file, *extents, *tools);
        return true;
    }
    if (const auto* groups = std::get_if<SegmentGroups>(&file.content)) {
        if (!uses_.claim(key_of_file(file), domain_number)) return false;
        return check_signatures(file, *groups, domain_number, *tools);
    }
    return false;
}

bool FileCheck::is_one_blob(const TreeEntry& file, const Extents& extents) {
    return extents.size() == 1 && extents[0].file_offset == 0 && extents[0].length == file.size &&
           reading_.is_blob(extents[0], file.digest);
}

void FileCheck::check_extents(const TreeEntry& file, const Extents& extents, ContentReading::Domain& tools) {
    if (file.size > largest_plain_file_bytes)
        return wrong_file(file, first_frame(extents), "is too large to have no page signatures");
    tools.digest.reset();
    for (std::uint64_t begin = 0; begin < file.size; begin += block_bytes) {
        const std::uint64_t end = std::min(begin + block_bytes, file.size);
        tools.digest.update(reading_.assemble(cut(extents, begin, end), begin, end));
    }
    if (tools.digest.finish<16>() == file.digest) return;
    wrong_file(file, first_frame(extents), "does not have the digest that its snapshot says");
}

// The digest of such a file is one of its page signatures. Whether they fit the content is seen when its
// segments are checked. Signatures that cannot be read leave nothing to compare with, but a restore does not
// need them.
bool FileCheck::check_signatures(const TreeEntry& file, const SegmentGroups& groups,
                                 std::uint32_t domain_number, ContentReading::Domain& tools) {
    tools.digest.reset();
    bool all_read = true;
    std::uint64_t begin = 0;
    for (const NodeRef& group : groups) {
        std::vector<SegmentUse> uses;
        for (const Segment& segment : decode_segment_group(reading_.node(group))) {
            if (begin >= file.size) break;
            const std::uint64_t length = std::min(segment_bytes, file.size - begin);
            begin += segment_bytes;
            try {
                const std::vector<PageSignature> pages =
                    signatures_of(reading_.nodes(), segment, pages_of(length));
                tools.digest.update({pages.front().bytes.data(), pages.size() * sizeof(PageSignature)});
            } catch (const Error& error) {
                v_.findings_.take(error, reading_.holder_name());
                all_read = false;
                continue;
            }
            uses.push_back({segment, length, domain_number, key_of_segment(segment)});
        }
        uses_.add(std::move(uses));
    }
    if (!all_read) return false;
    if (tools.digest.finish<16>() != file.digest) {
        wrong_file(file, groups.empty() ? FrameAddress{} : groups[0].location.frame,
                   "has page signatures that do not have the digest that its snapshot says");
    }
    return true;
}

void FileCheck::wrong_file(const TreeEntry& file, const FrameAddress& place, std::string_view what) {
    v_.findings_.damage(reading_.holder_name(place),
                        fmt::format("the content of '{}' {}", printable(file.name), what),
                        std::string(exchanged_hint));
    mark_bad(file);
}

void FileCheck::mark_bad(const TreeEntry& file) {
    const std::scoped_lock lock(v_.mutex_);
    v_.bad_files_.insert(key_of_file(file));
}

} // namespace holdfast
