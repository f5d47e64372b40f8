#include "repository/content/dead_frames.h"

#include "base/error.h"

#include <algorithm>

namespace holdfast {

namespace {

// A frame with more live bytes than this is not worth looking its length up.
constexpr std::uint64_t surely_live_bytes = max_frame_bytes / 8 * 7;

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

FrameAddressSet DeadFrames::choose(double tolerated_part, double most_part) {
    std::uint64_t live = 0;
    std::uint64_t raw = 0;
    std::vector<Candidate> candidates;
    for (const auto& [frame, live_bytes] : live_bytes_) {
        Candidate candidate{frame, live_bytes, live_bytes};
        if (live_bytes < surely_live_bytes) {
            try {
                const std::shared_ptr<const LoadedPack> pack = packs_.holder_of(frame);
                candidate.raw_bytes = std::max<std::uint64_t>(live_bytes, pack->tail.frames[*pack->find(frame)].raw_length);
            } catch (const Error& error) {
                // A table that is damaged or that this key may not read: the frame stays where it is.
                if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::wrong_key) throw;
            }
        }
        live += candidate.live_bytes;
        raw += candidate.raw_bytes;
        if (candidate.raw_bytes > candidate.live_bytes) candidates.push_back(candidate);
    }
    std::sort(candidates.begin(), candidates.end(), deader);

    FrameAddressSet victims;
    auto budget = static_cast<double>(live) * most_part;
    for (const Candidate& candidate : candidates) {
        if (static_cast<double>(raw - live) <= static_cast<double>(raw) * tolerated_part) break;
        budget -= static_cast<double>(candidate.live_bytes);
        if (budget < 0) break;
        victims.insert(candidate.frame);
        raw -= candidate.raw_bytes - candidate.live_bytes;
    }
    return victims;
}

} // namespace holdfast
