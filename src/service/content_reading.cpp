#include "service/content_reading.h"

#include "base/error.h"

#include <algorithm>

namespace holdfast {

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

ContentReading::ContentReading(Verification& verification)
    : v_(verification), domains_(verification.domains_.size()) {}

ContentReading::Domain* ContentReading::domain(std::uint32_t number) {
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

bool ContentReading::is_known(const FrameAddress& frame) const {
    if (v_.needs_.is_bad(frame)) return false;
    if (v_.settings_.sample_part >= 1 || v_.whole_packs_.contains(frame.pack)) return true;
    const auto holders = v_.holders_.find(frame.pack);
    return holders != v_.holders_.end() && std::ranges::all_of(holders->second, [&](const PackId& pack) {
               return v_.whole_packs_.contains(pack);
           });
}

bool ContentReading::is_blob(const Extent& extent, const ContentDigest& digest) {
    at_ = extent.frame;
    const std::shared_ptr<const LoadedPack> pack = v_.pack_reader_.holder_of(extent.frame);
    if (!v_.whole_packs_.contains(pack->id)) return false;
    const FrameRecord& frame = pack->tail.frames[*pack->find(extent.frame)];
    return std::ranges::any_of(frame.blobs, [&](const BlobRecord& blob) {
        return blob.type == BlobType::data && blob.offset == extent.frame_offset &&
               blob.length == extent.length &&
               std::equal(digest.bytes.begin(), digest.bytes.end(), blob.id.bytes.begin());
    });
}

Bytes ContentReading::node(const NodeRef& reference) {
    at_ = reference.location.frame;
    return v_.node_reader_.read(reference);
}

ByteView ContentReading::assemble(std::vector<Extent> extents, std::uint64_t begin, std::uint64_t end) {
    block_.assign(end - begin, 0);
    std::ranges::stable_sort(extents, {}, &Extent::frame);
    std::vector<FramePart> frames;
    for (const Extent& extent : extents) {
        if (frames.empty() || frames.back().frame != extent.frame) frames.push_back({extent.frame});
    }
    if (!frames.empty()) at_ = frames.front().frame;
    std::size_t next = 0;
    std::size_t taken = 0;
    v_.pack_reader_.read_frames(frames, [&](const FrameAddress& frame, ByteView raw) {
        at_ = frame;
        for (; next < extents.size() && extents[next].frame == frame; ++next) {
            const Extent& extent = extents[next];
            if (extent.frame_offset > raw.size() || extent.length > raw.size() - extent.frame_offset)
                throw Error(ErrorCode::corrupt, "a file refers to bytes behind the end of a frame");
            std::copy_n(raw.data() + extent.frame_offset, extent.length,
                        block_.data() + (extent.file_offset - begin));
        }
        if (++taken < frames.size()) at_ = frames[taken].frame;
    });
    v_.progress_.add_done(block_.size());
    return block_;
}

std::string ContentReading::holder_name(const FrameAddress& frame) const {
    const auto holders = v_.holders_.find(frame.pack);
    if (holders == v_.holders_.end() || holders->second.empty()) return frame.pack.name();
    if (holders->second.size() > 1) {
        try {
            return v_.pack_reader_.holder_of(frame)->name;
        } catch (const Error&) {
            // What is wrong with its table has been told; here it only serves to name a pack.
        }
    }
    return holders->second.begin()->name();
}

} // namespace holdfast
