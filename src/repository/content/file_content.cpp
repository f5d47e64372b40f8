#include "repository/content/file_content.h"

#include "crypto/hash.h"
#include "repository/content/run_chunker.h"
#include "repository/content/segmented_content.h"
#include "repository/node/file_map_node.h"

#include <algorithm>

namespace holdfast {

namespace {

// Small files share frames up to this size: large enough to compress well, small enough to fetch one file of.
constexpr std::size_t shared_frame_bytes = 512u << 10;
constexpr std::size_t read_bytes = 1u << 20;
// The extents of a small file stand in its entry, which must fit a node (docs/format.md, section 7).
constexpr std::size_t most_extents = 4096;

ContentDigest digest_of(const BlobId& id) {
    ContentDigest digest;
    std::copy_n(id.bytes.begin(), digest.size(), digest.bytes.begin());
    return digest;
}

} // namespace

void append_extent(Extents& extents, std::uint64_t file_offset, std::uint64_t length,
                   const FrameAddress& frame, std::uint32_t frame_offset) {
    if (!extents.empty()) {
        Extent& last = extents.back();
        if (last.end() == file_offset && last.frame == frame &&
            last.frame_offset + last.length == frame_offset) {
            last.length += length;
            return;
        }
    }
    extents.push_back({file_offset, length, frame, frame_offset});
}

FileContentWriter::FileContentWriter(ContentWriter& writer, NodeReader& nodes, PackReader& packs,
                                     ByteView domain_key, Usable usable, FileContentSettings settings)
    : writer_(writer),
      nodes_(nodes),
      packs_(packs),
      domain_key_(Secret::copy_of(domain_key)),
      gear_(gear_table(domain_key)),
      signer_(domain_key),
      usable_(std::move(usable)),
      settings_(settings),
      rewrites_(settings.rewrite_per_changed_byte) {}

FileContentWriter::~FileContentWriter() = default;

FileContentResult FileContentWriter::write(ContentSource& source, const TreeEntry* previous,
                                           const FileWriteOptions& options) {
    if (source.size_bytes() >= segmented_file_bytes) {
        SegmentedContentWriter segmented(
            {writer_, nodes_, packs_, gear_, signer_, usable_, settings_, rewrites_}, domain_key_.view(),
            source, previous, options);
        return segmented.write();
    }
    if (source.size_bytes() <= whole_file_bytes) {
        const std::optional<SourceExtent> extent = source.next_extent();
        if (!extent) return {};
        if (!extent->hole && extent->length == source.size_bytes()) {
            buffer_.resize(extent->length);
            buffer_.resize(source.read(0, buffer_));
            return write_whole(std::move(buffer_), previous);
        }
        return write_chunked(source, extent);
    }
    return write_chunked(source, source.next_extent());
}

FileContentResult FileContentWriter::write_whole(Bytes data, const TreeEntry* previous) {
    FileContentResult result;
    result.size_bytes = result.read_bytes = data.size();
    if (!data.empty()) {
        const BlobId id = writer_.identify(data);
        result.digest = digest_of(id);
        // What is known from the file itself need not be looked up.
        const Extents* before = previous == nullptr ? nullptr : std::get_if<Extents>(&previous->content);
        if (before != nullptr && before->size() == 1 && previous->digest == result.digest &&
            previous->size == data.size() && before->front().length == data.size() &&
            usable_(before->front().frame)) {
            result.content = *before;
            buffer_ = std::move(data);
            return result;
        }
        const Location location = writer_.put_blob(id, data, shared_frame_bytes);
        result.content = Extents{{0, data.size(), location.frame, location.offset}};
    }
    buffer_ = std::move(data);
    return result;
}

FileContentResult FileContentWriter::write_chunked(ContentSource& source,
                                                   std::optional<SourceExtent> extent) {
    FileContentResult result;
    Extents extents;
    RunChunker chunker(gear_, [&](std::uint64_t offset, ByteView chunk) {
        const Location location = writer_.put_blob(writer_.identify(chunk), chunk);
        append_extent(extents, offset, location.length, location.frame, location.offset);
    });
    Hasher digest = Hasher::keyed(domain_key_.view());
    bool ended = false;
    bool joined = false; // what is left is one run, its holes stored as zeros
    for (; extent && !ended; extent = source.next_extent()) {
        const bool data = joined || !extent->hole;
        if (data && !joined) chunker.begin(extent->offset);
        for (std::uint64_t done = 0; done < extent->length && !ended;) {
            buffer_.assign(std::min<std::uint64_t>(read_bytes, extent->length - done), 0);
            if (data) {
                const std::size_t got = source.read(extent->offset + done, buffer_);
                ended = got < buffer_.size();
                buffer_.resize(got);
                chunker.append(buffer_);
                result.read_bytes += got;
            }
            digest.update(buffer_);
            done += buffer_.size();
            result.size_bytes = extent->offset + done;
        }
        if (data && !joined) {
            chunker.end();
            joined = extents.size() >= most_extents;
            if (joined) chunker.begin(extent->offset + extent->length);
        }
    }
    if (joined) chunker.end();
    result.digest = digest.finish<16>();
    // Without extents it is all hole, which is not the same as having no content.
    if (result.size_bytes > 0) result.content = std::move(extents);
    return result;
}

} // namespace holdfast
