#include "repository/content/dead_frames.h"

#include "base/error.h"

#include <algorithm>

namespace holdfast {

namespace {

// A frame with more live bytes than this is not worth looking its length up.
constexpr std::uint64_t surely_live_bytes = max_frame_bytes / 8 * 7;
// Each look-up may read the table of a pack; those with the fewest live bytes are looked up, the others taken
// for live.
constexpr std::size_t most_lookups = 4096;
// How much of what lives is to be stored anew, times the square of the part that is dead. A file that changes
// more becomes deader, and then has more victims to spend its budget on (RewriteBudget); early on, when
// frames are still mostly alive, little is spent.
constexpr double eagerness = 0.5;

struct Candidate {
    FrameAddress frame;
    std::uint64_t live_bytes;
    std::uint64_t raw_bytes;
};

bool deader(const Candidate& a, const Candidate& b) {
    return a.live_bytes * b.raw_bytes < b.live_bytes * a.raw_bytes;
}

} // namespace

void DeadFrames::add(const std::vector<Extent>& map) {
    for (const Extent& extent : map) live_bytes_[extent.frame] += extent.length;
}

// 0 when the table is damaged or this key may not read it: the frame then stays where it is.
std::uint64_t DeadFrames::raw_length(const FrameAddress& frame) {
    try {
        const std::shared_ptr<const LoadedPack> pack = packs_.holder_of(frame);
        return pack->tail.frames[*pack->find(frame)].raw_length;
    } catch (const Error& error) {
        if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::wrong_key) throw;
        return 0;
    }
}

std::unordered_map<FrameAddress, std::uint64_t, FrameAddressHash> DeadFrames::choose(double tolerated_part) {
    std::uint64_t live = 0;
    std::vector<Candidate> candidates;
    for (const auto& [frame, live_bytes] : live_bytes_) {
        live += live_bytes;
        if (live_bytes < surely_live_bytes) candidates.push_back({frame, live_bytes, live_bytes});
    }
    if (candidates.size() > most_lookups) {
        const auto end = candidates.begin() + most_lookups;
        std::nth_element(candidates.begin(), end, candidates.end(),
                         [](const Candidate& a, const Candidate& b) { return a.live_bytes < b.live_bytes; });
        candidates.erase(end, candidates.end());
    }
    std::uint64_t raw = live;
    for (Candidate& candidate : candidates) {
        candidate.raw_bytes = std::max(candidate.live_bytes, raw_length(candidate.frame));
        raw += candidate.raw_bytes - candidate.live_bytes;
    }
    std::erase_if(candidates, [](const Candidate& c) { return c.raw_bytes == c.live_bytes; });
    std::sort(candidates.begin(), candidates.end(), deader);

    std::unordered_map<FrameAddress, std::uint64_t, FrameAddressHash> victims;
    const double dead_part = raw == 0 ? 0 : static_cast<double>(raw - live) / static_cast<double>(raw);
    if (dead_part <= tolerated_part) return victims;
    auto wanted = static_cast<double>(live) * eagerness * dead_part * dead_part;
    for (auto candidate = candidates.begin(); candidate != candidates.end() && wanted > 0; ++candidate) {
        victims.emplace(candidate->frame, candidate->live_bytes);
        wanted -= static_cast<double>(candidate->live_bytes);
    }
    return victims;
}

} // namespace holdfast
