#include "service/frame_needs.h"

#include "repository/pack/pack_format.h"

#include <algorithm>

namespace holdfast {

namespace {

// A tail spends four bytes on a frame at least.
constexpr std::uint32_t most_frames = max_tail_bytes / 4;

} // namespace

bool FrameNeeds::need(std::span<const FrameNeed> needs) {
    const bool possible =
        std::ranges::all_of(needs, [](const FrameNeed& need) { return need.frame.frame < most_frames; });
    if (!possible) return false;
    const std::scoped_lock lock(mutex_);
    for (const auto& [frame, end] : needs) {
        Pack& pack = packs_[frame.pack];
        if (pack.ends.size() <= frame.frame) {
            pack.ends.resize(frame.frame + std::size_t{1});
            pack.states.resize(frame.frame + std::size_t{1});
        }
        pack.ends[frame.frame] = std::max(pack.ends[frame.frame], end);
    }
    return true;
}

FrameNeeds::State* FrameNeeds::state_of(const FrameAddress& frame) {
    const auto pack = packs_.find(frame.pack);
    if (pack == packs_.end() || frame.frame >= pack->second.ends.size()) return nullptr;
    if (pack->second.ends[frame.frame] == 0) return nullptr;
    return &pack->second.states[frame.frame];
}

FrameNeeds::Finding FrameNeeds::found(const FrameAddress& frame, std::uint32_t raw_length) {
    const std::scoped_lock lock(mutex_);
    State* state = state_of(frame);
    if (state == nullptr) return Finding::not_needed;
    const bool long_enough = packs_[frame.pack].ends[frame.frame] <= raw_length;
    if (*state != State::bad) *state = State::found;
    return long_enough ? Finding::right : Finding::too_short;
}

bool FrameNeeds::is_needed(const FrameAddress& frame) const {
    const std::scoped_lock lock(mutex_);
    const auto pack = packs_.find(frame.pack);
    return pack != packs_.end() && frame.frame < pack->second.ends.size() &&
           pack->second.ends[frame.frame] != 0;
}

void FrameNeeds::mark_bad(const FrameAddress& frame) {
    const std::scoped_lock lock(mutex_);
    State* state = state_of(frame);
    if (state == nullptr || *state == State::bad) return;
    *state = State::bad;
    ++bad_;
}

bool FrameNeeds::is_bad(const FrameAddress& frame) const {
    const std::scoped_lock lock(mutex_);
    const auto pack = packs_.find(frame.pack);
    return pack != packs_.end() && frame.frame < pack->second.states.size() &&
           pack->second.states[frame.frame] == State::bad;
}

bool FrameNeeds::any_bad() const {
    const std::scoped_lock lock(mutex_);
    return bad_ > 0;
}

void FrameNeeds::for_each_missing(const std::function<void(const FrameAddress&)>& visit) const {
    std::vector<FrameAddress> missing;
    {
        const std::scoped_lock lock(mutex_);
        for (const auto& [id, pack] : packs_) {
            for (std::uint32_t frame = 0; frame < pack.ends.size(); ++frame) {
                if (pack.ends[frame] > 0 && pack.states[frame] == State::unknown)
                    missing.push_back({id, frame});
            }
        }
    }
    for (const FrameAddress& frame : missing) visit(frame);
}

} // namespace holdfast
