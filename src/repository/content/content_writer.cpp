#include "repository/content/content_writer.h"

#include "base/error.h"
#include "crypto/hash.h"
#include "repository/node/node.h"

namespace holdfast {

namespace {

// Pages that changed here and there are read again here and there.
constexpr std::size_t page_frame_bytes = 1u << 20;
// Nodes are read a few at a time, so their frames are kept small.
constexpr std::size_t node_frame_bytes = 256u << 10;
constexpr std::size_t remembered_bytes = 4u << 20;
constexpr std::size_t remembered_node_bytes = 200; // with what the cache spends on it

} // namespace

ContentWriter::ContentWriter(PackPipeline& pipeline, KnownBlobs& known, ByteView domain_key, std::uint8_t cls)
    : pipeline_(pipeline),
      known_(known),
      domain_key_(Secret::copy_of(domain_key)),
      compressible_{data_pack, cls, Effort::usual, false, {}, {}, {}},
      incompressible_{data_pack, cls, Effort::none, false, {}, {}, {}},
      pages_{data_pack, cls, Effort::usual, false, {}, {}, {}},
      nodes_{metadata_pack, cls, Effort::usual, false, {}, {}, {}},
      remembered_nodes_(remembered_bytes) {}

ContentWriter::~ContentWriter() = default;

BlobId ContentWriter::identify(ByteView data) const { return keyed_hash<24>(domain_key_.view(), data); }

ContentWriter::OpenFrame& ContentWriter::data_frame_for(ByteView data) {
    return detector_.looks_incompressible(data) ? incompressible_ : compressible_;
}

Location ContentWriter::put_blob(const BlobId& id, ByteView data, std::size_t frame_bytes) {
    if (const std::optional<Location> found = known_.find(id, static_cast<std::uint32_t>(data.size()))) {
        totals_.known_bytes += data.size();
        return *found;
    }
    OpenFrame& frame = data_frame_for(data);
    const Location location = append(frame, data, frame_bytes);
    frame.blobs.push_back({BlobType::data, id, location.offset, location.length});
    known_.add(id, location);
    totals_.new_bytes += data.size();
    return location;
}

std::optional<Location> ContentWriter::find_blob(const BlobId& id, ByteView data) {
    const std::optional<Location> found = known_.find(id, static_cast<std::uint32_t>(data.size()));
    if (found) {
        totals_.known_bytes += data.size();
    } else {
        known_.abandon(id);
    }
    return found;
}

Location ContentWriter::put_anonymous(ByteView data, Effort effort) {
    return append_anonymous(data, effort, nullptr);
}

Location ContentWriter::put_anonymous(Bytes&& data, Effort effort) {
    return append_anonymous(data, effort, &data);
}

Location ContentWriter::append_anonymous(ByteView data, Effort effort, Bytes* owned) {
    totals_.new_bytes += data.size();
    if (detector_.looks_incompressible(data)) return append(incompressible_, data, page_frame_bytes, owned);
    const Location location = append(pages_, data, page_frame_bytes, owned);
    if (effort == Effort::thorough) pages_.effort = effort;
    return location;
}

NodeRef ContentWriter::put_node(Bytes node, const NodeRef* before) {
    NodeRef reference;
    reference.id = node_id(node);
    if (before != nullptr && before->id == reference.id) return *before;
    if (const Location* remembered = remembered_nodes_.find(reference.id)) {
        reference.location = *remembered;
        return reference;
    }
    if (const std::optional<Location> found =
            known_.find(reference.id, static_cast<std::uint32_t>(node.size()))) {
        reference.location = *found;
        return reference;
    }
    reference.location = append(nodes_, node, std::max(node_frame_bytes, node.size()));
    nodes_.blobs.push_back(
        {BlobType::node, reference.id, reference.location.offset, reference.location.length});
    known_.add(reference.id, reference.location);
    return reference;
}

void ContentWriter::remember_node(const NodeRef& node) {
    remembered_nodes_.put(node.id, node.location, remembered_node_bytes);
}

// `owned`, if there is one, holds `data` and may be taken.
Location ContentWriter::append(OpenFrame& frame, ByteView data, std::size_t frame_bytes, Bytes* owned) {
    if (data.empty() || data.size() > max_frame_bytes) {
        throw Error(ErrorCode::internal, "a blob is empty or larger than a frame");
    }
    const auto length = static_cast<std::uint32_t>(data.size());
    if (frame.begun && frame.raw.size() + length > frame_bytes) end_frame(frame);
    const bool take = !frame.begun && owned != nullptr && length >= frame_bytes;
    if (!frame.begun) {
        frame.address = pipeline_.reserve(frame.kind, frame.cls);
        frame.begun = true;
        if (take) {
            frame.raw = std::move(*owned);
        } else {
            frame.raw = pipeline_.spare_buffer();
            frame.raw.clear();
            frame.raw.reserve(std::max<std::size_t>(frame_bytes, length));
        }
    }
    if (take) return {frame.address, 0, length};
    const auto offset = static_cast<std::uint32_t>(frame.raw.size());
    frame.raw.insert(frame.raw.end(), data.begin(), data.end());
    return {frame.address, offset, length};
}

void ContentWriter::end_frame(OpenFrame& frame) {
    if (!frame.begun) return;
    frame.begun = false;
    pipeline_.submit(frame.address, std::exchange(frame.raw, {}), std::exchange(frame.blobs, {}),
                     frame.effort);
    if (frame.effort == Effort::thorough) frame.effort = Effort::usual;
}

void ContentWriter::end_data_frames() {
    end_frame(compressible_);
    end_frame(incompressible_);
    end_frame(pages_);
}

void ContentWriter::end_all_frames() {
    end_data_frames();
    end_frame(nodes_);
}

} // namespace holdfast
