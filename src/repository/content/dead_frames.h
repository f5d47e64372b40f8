// Which frames of a file hold mostly bytes that the file no longer has.
#pragma once

#include "repository/content/previous_segments.h"
#include "repository/pack/pack_reader.h"

#include <unordered_map>

namespace holdfast {

// Not thread-safe. Memory grows with the frames added.
class DeadFrames {
  public:
    explicit DeadFrames(PackReader& packs) : packs_(packs) {}

    // Counts the bytes that live in each frame of a map.
    void add(const std::vector<Extent>& map);
    // The deadest frames, with the bytes that live in them: none when no more than `tolerated_part` of all
    // that is in frames is dead, and the more the deader they are on the whole.
    std::unordered_map<FrameAddress, std::uint64_t, FrameAddressHash> choose(double tolerated_part);

  private:
    std::uint64_t raw_length(const FrameAddress& frame);

    PackReader& packs_;
    std::unordered_map<FrameAddress, std::uint64_t, FrameAddressHash> live_bytes_;
};

} // namespace holdfast
