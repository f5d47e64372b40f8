// Whole files: the digests that snapshots hold, computed again from content.
//
// Frames and blobs were proven when packs were read. That does not tell whether a file still is made of what
// it was made of: whoever holds the keys of a run can seal other content at the same place. The digest of a
// file tells it, and so do the signatures of its pages.
//
// A file of one blob is not read again: its digest is the beginning of the blob's id. Of larger files each
// content is read once more, in the order of the file. A segment that several snapshots share is read once,
// and of one that has changed between them the pages that have.

#include "base/error.h"
#include "crypto/hash.h"
#include "documents/entry_name.h"
#include "repository/node/directory_node.h"
#include "repository/split/page_signatures.h"
#include "service/verification.h"

#include <algorithm>
#include <array>
#include <tuple>

#include <fmt/format.h>

namespace holdfast {

namespace {

constexpr std::uint64_t block_bytes = std::uint64_t{4} << 20;
constexpr std::uint64_t block_pages = block_bytes / page_bytes;
// Files of 16 MiB and more have segments; one that grew while it was read may be a little larger.
constexpr std::uint64_t largest_plain_file_bytes = std::uint64_t{64} << 20;
constexpr std::string_view wrong_hint = "somebody with the keys exchanged content, or the writer is broken; "
                                        "do not trust what that key slot wrote";

void add_place(ByteWriter& out, const NodeRef& reference) { out.fixed_bytes(place_of(reference)); }

// A segment as one file has it.
struct SegmentUse {
    Segment segment;
    std::uint64_t length = 0; // bytes of the file in it
    std::uint32_t domain = 0;
    FixedBytes<16> key; // of bad_segments_

    // Those that differ only in their overlays follow one another.
    auto order() const { return std::tie(segment.map.id, segment.signatures.id, domain, length, key); }
};

// What a segment consists of.
struct SegmentState {
    std::vector<Extent> extents;
    std::vector<PageSignature> pages;
    std::uint64_t length = 0;
};

// The extents within [begin, end), cut to it.
std::vector<Extent> cut(const std::vector<Extent>& extents, std::uint64_t begin, std::uint64_t end) {
    std::vector<Extent> part;
    auto extent = std::partition_point(extents.begin(), extents.end(),
                                       [&](const Extent& candidate) { return candidate.end() <= begin; });
    for (; extent != extents.end() && extent->file_offset < end; ++extent) {
        if (extent->is_hole()) continue;
        const std::uint64_t from = std::max(extent->file_offset, begin);
        const std::uint64_t to = std::min(extent->end(), end);
        part.push_back({from, to - from, extent->frame,
                        extent->frame_offset + static_cast<std::uint32_t>(from - extent->file_offset)});
    }
    return part;
}

std::uint64_t page_end(std::uint64_t page, std::uint64_t length) {
    return std::min((page + 1) * page_bytes, length);
}

// Whether a page has the same bytes, by place, and the same signature in both.
bool same_page(const SegmentState& a, const SegmentState& b, std::uint64_t page) {
    return page < a.pages.size() && page < b.pages.size() && a.pages[page] == b.pages[page] &&
           page_end(page, a.length) == page_end(page, b.length) &&
           cut(a.extents, page * page_bytes, page_end(page, a.length)) ==
               cut(b.extents, page * page_bytes, page_end(page, b.length));
}

} // namespace

FixedBytes<16> key_of_file(const TreeEntry& file) {
    ByteWriter out;
    out.fixed_bytes(file.digest);
    out.u64(file.size);
    if (const auto* extents = std::get_if<Extents>(&file.content)) {
        for (const Extent& extent : *extents) {
            out.u64(extent.file_offset);
            out.u64(extent.length);
            out.fixed_bytes(extent.frame.pack.to_bytes());
            out.u32(extent.frame.frame);
            out.u32(extent.frame_offset);
        }
    }
    if (const auto* groups = std::get_if<SegmentGroups>(&file.content)) {
        for (const NodeRef& group : *groups) add_place(out, group);
    }
    return derive_hash<16>("holdfast content of a file", out.bytes());
}

FixedBytes<16> key_of_segment(const Segment& segment) {
    ByteWriter out;
    add_place(out, segment.map);
    add_place(out, segment.signatures);
    out.u8(segment.map_overlay ? 1 : 0);
    if (segment.map_overlay) add_place(out, *segment.map_overlay);
    if (segment.signature_overlay) add_place(out, *segment.signature_overlay);
    return derive_hash<16>("holdfast content of a segment", out.bytes());
}

// What the threads share.
class FileWork {
  public:
    // True for whoever comes first with this file.
    bool claim(const FixedBytes<16>& file, std::uint32_t domain) {
        FixedBytes<16> key = file;
        key.bytes[0] = static_cast<Byte>(key.bytes[0] + domain);
        const std::scoped_lock lock(mutex_);
        return seen_.insert(key).second;
    }
    void add(std::vector<SegmentUse> uses) {
        const std::scoped_lock lock(mutex_);
        std::move(uses.begin(), uses.end(), std::back_inserter(uses_));
    }
    // Each segment once, in groups that share their base.
    std::vector<std::span<const SegmentUse>> groups() {
        std::ranges::sort(uses_, {}, &SegmentUse::order);
        const auto same = std::ranges::unique(uses_, {}, &SegmentUse::order);
        uses_.erase(same.begin(), same.end());
        std::vector<std::span<const SegmentUse>> groups;
        for (std::size_t first = 0; first < uses_.size();) {
            std::size_t end = first + 1;
            while (end < uses_.size() && shares_base(uses_[first], uses_[end])) ++end;
            groups.push_back(std::span(uses_).subspan(first, end - first));
            first = end;
        }
        return groups;
    }

  private:
    static bool shares_base(const SegmentUse& a, const SegmentUse& b) {
        return a.segment.map.id == b.segment.map.id && a.segment.signatures.id == b.segment.signatures.id &&
               a.domain == b.domain;
    }

    std::mutex mutex_;
    NodePlaces seen_;
    std::vector<SegmentUse> uses_;
};

// One a thread.
class FileContentCheck {
  public:
    FileContentCheck(Verification& verification, FileWork& work)
        : v_(verification), work_(work), domains_(verification.domains_.size()) {}

    void check_leaf(const Verification::ListedLeaf& listed) {
        const std::string pack = listed.node.location.frame.pack.name();
        try {
            const Bytes node = v_.node_reader_.read(listed.node);
            DirectoryLeafReader leaf(node);
            TreeEntry entry;
            while (leaf.next(entry)) {
                if (v_.stop_.stop_requested()) throw Error(ErrorCode::cancelled, "verifying was stopped");
                if (entry.type == EntryType::file) check_file(entry, listed.domain);
            }
        } catch (const Error& error) {
            v_.findings_.take(error, pack);
        }
    }

    void check_segments(std::span<const SegmentUse> uses) {
        SegmentState proven;
        for (const SegmentUse& use : uses) {
            try {
                SegmentState state = state_of(use.segment, use.length);
                if (check_pages(state, proven, use)) proven = std::move(state);
            } catch (const Error& error) {
                v_.findings_.take(error, use.segment.map.location.frame.pack.name());
            }
        }
    }

  private:
    struct Domain {
        Hasher digest;
        PageSigner signer;
    };

    // Null when the keys are not those of this domain.
    Domain* domain(std::uint32_t number) {
        std::unique_ptr<Domain>& tools = domains_[number];
        if (tools) return tools.get();
        try {
            const Secret key = v_.repository_.keys().identity_key_of(v_.domains_[number]);
            tools = std::make_unique<Domain>(Hasher::keyed(key.view()), PageSigner(key.view()));
        } catch (const Error& error) {
            if (error.code() != ErrorCode::wrong_key) throw;
        }
        return tools.get();
    }

    void check_file(const TreeEntry& file, std::uint32_t domain_number) {
        // What was not read whole has no digest of the whole.
        if ((file.flags & (entry_flag::incomplete | entry_flag::unreadable)) != 0) return;
        const auto* extents = std::get_if<Extents>(&file.content);
        const auto* groups = std::get_if<SegmentGroups>(&file.content);
        if (extents == nullptr && groups == nullptr) return;
        Domain* tools = domain(domain_number);
        if (tools == nullptr) return;
        if (extents != nullptr) {
            if (!std::ranges::all_of(*extents, [&](const Extent& extent) { return is_known(extent.frame); }))
                return;
            if (!is_blob(file, *extents)) {
                if (!work_.claim(key_of_file(file), domain_number)) return;
                check_extents(file, *extents, *tools);
            }
        } else {
            if (!work_.claim(key_of_file(file), domain_number)) return;
            check_signatures(file, *groups, domain_number, *tools);
        }
        ++v_.files_;
    }

    // Whether what lies in this frame was read and found right: else there is nothing to compare, or it has
    // been told.
    bool is_known(const FrameAddress& frame) const {
        if (v_.needs_.is_bad(frame)) return false;
        if (v_.settings_.sample_part >= 1 || v_.whole_packs_.contains(frame.pack)) return true;
        const auto holders = v_.holders_.find(frame.pack);
        return holders != v_.holders_.end() && std::ranges::all_of(holders->second, [&](const PackId& pack) {
                   return v_.whole_packs_.contains(pack);
               });
    }

    bool is_blob(const TreeEntry& file, const Extents& extents) {
        if (extents.size() != 1 || extents[0].file_offset != 0 || extents[0].length != file.size)
            return false;
        const Extent& extent = extents[0];
        const std::shared_ptr<const LoadedPack> pack = v_.pack_reader_.holder_of(extent.frame);
        if (!v_.whole_packs_.contains(pack->id)) return false;
        const FrameRecord& frame = pack->tail.frames[*pack->find(extent.frame)];
        return std::ranges::any_of(frame.blobs, [&](const BlobRecord& blob) {
            return blob.type == BlobType::data && blob.offset == extent.frame_offset &&
                   blob.length == extent.length &&
                   std::equal(file.digest.bytes.begin(), file.digest.bytes.end(), blob.id.bytes.begin());
        });
    }

    void check_extents(const TreeEntry& file, const Extents& extents, Domain& tools) {
        if (file.size > largest_plain_file_bytes) {
            return wrong_file(file, extents.empty() ? FrameAddress{} : extents[0].frame,
                              "is too large to have no page signatures");
        }
        tools.digest.reset();
        for (std::uint64_t begin = 0; begin < file.size; begin += block_bytes) {
            const std::uint64_t end = std::min(begin + block_bytes, file.size);
            tools.digest.update(assemble(cut(extents, begin, end), begin, end));
        }
        if (tools.digest.finish<16>() == file.digest) return;
        wrong_file(file, extents.empty() ? FrameAddress{} : extents[0].frame,
                   "does not have the digest that its snapshot says");
    }

    // The digest of such a file is one of its page signatures. Whether they fit the content is seen when its
    // segments are checked.
    void check_signatures(const TreeEntry& file, const SegmentGroups& groups, std::uint32_t domain_number,
                          Domain& tools) {
        tools.digest.reset();
        std::uint64_t begin = 0;
        for (const NodeRef& group : groups) {
            std::vector<SegmentUse> uses;
            for (const Segment& segment : decode_segment_group(v_.node_reader_.read(group))) {
                if (begin >= file.size) break;
                const std::uint64_t length = std::min(segment_bytes, file.size - begin);
                const std::vector<PageSignature> pages = signatures_of(segment, length);
                tools.digest.update({pages.front().bytes.data(), pages.size() * sizeof(PageSignature)});
                uses.push_back({segment, length, domain_number, key_of_segment(segment)});
                begin += segment_bytes;
            }
            work_.add(std::move(uses));
        }
        if (tools.digest.finish<16>() == file.digest) return;
        wrong_file(file, groups.empty() ? FrameAddress{} : groups[0].location.frame,
                   "has page signatures that do not have the digest that its snapshot says");
    }

    std::vector<PageSignature> signatures_of(const Segment& segment, std::uint64_t length) {
        std::vector<PageChange> overlay;
        if (segment.signature_overlay)
            overlay = decode_signature_overlay(v_.node_reader_.read(*segment.signature_overlay));
        return resolve_signatures(decode_signatures(v_.node_reader_.read(segment.signatures)), overlay,
                                  pages_of(length));
    }

    SegmentState state_of(const Segment& segment, std::uint64_t length) {
        std::vector<Extent> overlay;
        if (segment.map_overlay) overlay = decode_map_overlay(v_.node_reader_.read(*segment.map_overlay));
        return {resolve(decode_map(v_.node_reader_.read(segment.map)), overlay, length),
                signatures_of(segment, length), length};
    }

    // All pages but those that are as they were `proven`. False when one of them is wrong.
    bool check_pages(const SegmentState& state, const SegmentState& proven, const SegmentUse& use) {
        Domain* tools = domain(use.domain);
        if (tools == nullptr) return false;
        bool right = true;
        for (std::uint64_t page = 0; page < state.pages.size();) {
            if (same_page(state, proven, page)) {
                ++page;
                continue;
            }
            std::uint64_t end = page + 1;
            while (end < state.pages.size() && end - page < block_pages && !same_page(state, proven, end))
                ++end;
            right = check_run(state, page, end, *tools, use) && right;
            page = end;
        }
        return right;
    }

    bool check_run(const SegmentState& state, std::uint64_t first, std::uint64_t last, Domain& tools,
                   const SegmentUse& use) {
        if (v_.stop_.stop_requested()) throw Error(ErrorCode::cancelled, "verifying was stopped");
        const std::uint64_t begin = first * page_bytes;
        const std::uint64_t end = page_end(last - 1, state.length);
        std::vector<Extent> extents = cut(state.extents, begin, end);
        // Of each page: the extent that lies in it, or none; and whether all that lies in it is known.
        std::vector<const Extent*> filled(last - first);
        std::vector<bool> known(last - first, true);
        std::vector<Extent> readable;
        for (const Extent& extent : extents) {
            const bool may_read = is_known(extent.frame);
            if (may_read) readable.push_back(extent);
            for (std::uint64_t page = extent.file_offset / page_bytes; page * page_bytes < extent.end();
                 ++page) {
                filled[page - first] = &extent;
                if (!may_read) known[page - first] = false;
            }
        }
        signatures_.resize(last - first);
        tools.signer.sign(assemble(std::move(readable), begin, end), signatures_);
        for (std::uint64_t i = 0; i < last - first; ++i) {
            if (!known[i]) continue;
            const PageSignature expected = filled[i] != nullptr ? signatures_[i] : PageSignature{};
            if (state.pages[first + i] == expected) continue;
            const FrameAddress& place =
                filled[i] != nullptr ? filled[i]->frame : use.segment.signatures.location.frame;
            v_.findings_.damage(holder_name(place),
                                fmt::format("page {} of a segment of a large file is not what its signature "
                                            "says",
                                            first + i),
                                std::string(wrong_hint));
            const std::scoped_lock lock(v_.mutex_);
            v_.bad_segments_.insert(use.key);
            return false;
        }
        return true;
    }

    // The bytes from `begin` to `end`, holes as zeros, valid until the next call. Each frame is read once.
    ByteView assemble(std::vector<Extent> extents, std::uint64_t begin, std::uint64_t end) {
        block_.assign(end - begin, 0);
        std::ranges::stable_sort(extents, {}, &Extent::frame);
        std::vector<FrameAddress> frames;
        for (const Extent& extent : extents) {
            if (frames.empty() || frames.back() != extent.frame) frames.push_back(extent.frame);
        }
        std::size_t next = 0;
        v_.pack_reader_.read_frames(frames, [&](const FrameAddress& frame, const Bytes& raw) {
            for (; next < extents.size() && extents[next].frame == frame; ++next) {
                const Extent& extent = extents[next];
                if (extent.frame_offset > raw.size() || extent.length > raw.size() - extent.frame_offset)
                    throw Error(ErrorCode::corrupt, "a file refers to bytes behind the end of a frame");
                std::copy_n(raw.data() + extent.frame_offset, extent.length,
                            block_.data() + (extent.file_offset - begin));
            }
        });
        v_.progress_.add_done(block_.size());
        return block_;
    }

    // The pack where the frame lies now.
    std::string holder_name(const FrameAddress& frame) const {
        const auto holders = v_.holders_.find(frame.pack);
        if (holders == v_.holders_.end() || holders->second.empty()) return frame.pack.name();
        return holders->second.begin()->name();
    }

    void wrong_file(const TreeEntry& file, const FrameAddress& place, std::string_view what) {
        v_.findings_.damage(holder_name(place),
                            fmt::format("the content of '{}' {}", printable(file.name), what),
                            std::string(wrong_hint));
        const std::scoped_lock lock(v_.mutex_);
        v_.bad_files_.insert(key_of_file(file));
    }

    Verification& v_;
    FileWork& work_;
    std::vector<std::unique_ptr<Domain>> domains_;
    Bytes block_;
    std::vector<PageSignature> signatures_;
};

void Verification::check_files() {
    if (report_.content != ContentCheck::decrypted) return;
    FileWork work;
    const auto check_all = [&](std::size_t count, const auto& check_one) {
        progress_.set_total(0, count);
        std::atomic<std::size_t> next{0};
        TaskGroup group(stop_);
        for (unsigned i = 0; i < std::max(settings_.workers, 1U); ++i) {
            group.start([&](std::stop_token stop) {
                FileContentCheck check(*this, work);
                for (std::size_t index = next++; index < count && !stop.stop_requested(); index = next++) {
                    check_one(check, index);
                    progress_.add_done(0, 1);
                }
            });
        }
        group.wait();
    };
    next_phase("checking files");
    check_all(leaves_.size(), [&](FileContentCheck& check, std::size_t i) { check.check_leaf(leaves_[i]); });
    leaves_ = {};
    next_phase("checking pages of large files");
    const std::vector<std::span<const SegmentUse>> groups = work.groups();
    check_all(groups.size(),
              [&](FileContentCheck& check, std::size_t i) { check.check_segments(groups[i]); });
}

} // namespace holdfast
