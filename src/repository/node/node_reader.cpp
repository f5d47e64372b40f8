#include "repository/node/node_reader.h"

#include "base/error.h"
#include "repository/node/node.h"

#include <fmt/format.h>

namespace holdfast {

NodeReader::NodeReader(PackReader& packs, std::size_t cache_bytes) : packs_(packs), frames_(cache_bytes) {}

Bytes NodeReader::read(const NodeRef& reference) {
    const FrameAddress& address = reference.location.frame;
    std::shared_ptr<const Bytes> frame;
    {
        const std::scoped_lock lock(mutex_);
        if (auto* known = frames_.find(address)) frame = *known;
    }
    if (!frame) {
        frame = std::make_shared<const Bytes>(packs_.read_frame(address));
        const std::scoped_lock lock(mutex_);
        frames_.put(address, frame, frame->size() + 128);
    }
    const auto& [_, offset, length] = reference.location;
    if (offset > frame->size() || length > frame->size() - offset) {
        throw Error(ErrorCode::corrupt, fmt::format("{}: frame {} is shorter than a reference to it says",
                                                    address.pack.name(), address.frame));
    }
    const ByteView bytes = ByteView(*frame).subspan(offset, length);
    if (node_id(bytes) != reference.id) {
        throw Error(ErrorCode::corrupt,
                    fmt::format("{}: the node at byte {} of frame {} is not the one that was referred to",
                                address.pack.name(), offset, address.frame),
                    "somebody with the key put another in its place; do not trust snapshots that need it");
    }
    return {bytes.begin(), bytes.end()};
}

} // namespace holdfast
