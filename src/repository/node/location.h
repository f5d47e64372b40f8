// Where bytes lie in packs (docs/format.md, sections 5 and 7). Plain values: copyable, comparable, no owner.
#pragma once

#include "repository/ids.h"

#include <compare>
#include <cstdint>

namespace holdfast {

// The longest frame, in bytes before compression; nothing that lies in a frame is longer.
inline constexpr std::uint32_t max_frame_bytes = 2U << 20;

// A frame by the pack that it was encrypted for. It may have been copied to another pack since; its address
// stays.
struct FrameAddress {
    PackId pack;
    std::uint32_t frame = 0; // number within the pack, from 0
    auto operator<=>(const FrameAddress&) const = default;
};

// A stretch of bytes in a frame.
struct Location {
    FrameAddress frame;
    std::uint32_t offset = 0; // bytes from the start of the uncompressed frame
    std::uint32_t length = 0; // bytes, at least 1 and not beyond the end of the frame
    bool operator==(const Location&) const = default;
};

// A node: what it must hash to, and where it lies (in a metadata pack).
struct NodeRef {
    NodeId id;
    Location location;
    bool operator==(const NodeRef&) const = default;
};

// A stretch of a file and the bytes that fill it (in a data or log pack). Between extents a file has holes.
struct Extent {
    std::uint64_t file_offset = 0; // from the start of the file, or of the segment in a map
    std::uint64_t length = 0;      // bytes, at least 1
    FrameAddress frame;
    std::uint32_t frame_offset = 0; // bytes from the start of the uncompressed frame

    // The frame number that no frame has: it marks a hole over former data in a map overlay.
    static constexpr std::uint32_t hole_frame = 0xffffffff;

    static Extent hole(std::uint64_t file_offset, std::uint64_t length) {
        return {file_offset, length, {PackId{}, hole_frame}, 0};
    }
    bool is_hole() const { return frame.frame == hole_frame; }
    std::uint64_t end() const { return file_offset + length; }
    bool operator==(const Extent&) const = default;
};

} // namespace holdfast
