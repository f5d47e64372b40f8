#include "repository/adaptive_compressor.h"

namespace holdfast {

namespace {

// Levels differ little on less, and measuring it is mostly noise.
constexpr std::size_t least_trial_bytes = std::size_t{32} << 10;

} // namespace

FrameMeasurement AdaptiveCompressor::measure(Compressor& compressor, ByteView raw, int level,
                                             CompressedFrame& frame) {
    const Duration start = clock_.steady();
    frame = compressor.compress(raw, level);
    return {.level = level,
            .raw_bytes = raw.size(),
            .stored_bytes = frame.bytes.size(),
            .time = clock_.steady() - start};
}

CompressedFrame AdaptiveCompressor::compress(ByteView raw, Effort effort) {
    if (effort == Effort::none || detector_.looks_incompressible(raw)) {
        chooser_.skipped(raw.size());
        return {.codec = Codec::stored, .bytes = raw};
    }
    CompressedFrame frame;
    if (effort == Effort::thorough) {
        chooser_.compressed(measure(compressor_, raw, chooser_.thorough_level(), frame));
        return frame;
    }
    const FrameMeasurement used = measure(compressor_, raw, chooser_.level(), frame);
    const std::optional<int> level =
        raw.size() >= least_trial_bytes ? chooser_.next_trial() : std::optional<int>();
    if (level) {
        CompressedFrame dropped;
        chooser_.compared(used, measure(trial_compressor_, raw, *level, dropped));
    } else {
        chooser_.compressed(used);
    }
    return frame;
}

} // namespace holdfast
