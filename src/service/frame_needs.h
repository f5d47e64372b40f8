// Which frames snapshots need, how much of each, and what became of them.
#pragma once

#include "repository/node/location.h"

#include <functional>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

namespace holdfast {

// The bytes of a frame up to `end` are needed.
struct FrameNeed {
    FrameAddress frame;
    std::uint32_t end = 0;
};

// Thread-safe. Five bytes a frame, by pack.
class FrameNeeds {
  public:
    // False, and nothing is noted, when a number is above that of any frame a pack can hold.
    bool need(std::span<const FrameNeed> needs);
    enum class Finding { not_needed, right, too_short };
    // The frame is in the table of the pack that holds it, with this raw length.
    Finding found(const FrameAddress& frame, std::uint32_t raw_length);
    // Without noting anything.
    bool is_needed(const FrameAddress& frame) const;
    // The content of the frame cannot be had.
    void mark_bad(const FrameAddress& frame);
    bool is_bad(const FrameAddress& frame) const;
    bool any_bad() const;
    // Frames that are needed and were neither found nor marked, ascending within a pack.
    void for_each_missing(const std::function<void(const FrameAddress&)>& visit) const;

  private:
    enum class State : std::uint8_t { unknown, found, bad };
    struct Pack {
        std::vector<std::uint32_t> ends; // 0: not needed
        std::vector<State> states;
    };
    // Null when nothing of that frame is needed.
    State* state_of(const FrameAddress& frame);

    mutable std::mutex mutex_;
    std::unordered_map<PackId, Pack, PackIdHash> packs_;
    std::uint64_t bad_ = 0;
};

} // namespace holdfast
