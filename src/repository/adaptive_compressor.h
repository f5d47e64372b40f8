// What a worker of the pipeline compresses with: recognises early what does not compress, asks the
// LevelChooser for the level, and tells it what came of it.
#pragma once

#include "base/clock.h"
#include "repository/compression.h"
#include "repository/incompressible.h"
#include "repository/level_chooser.h"

namespace holdfast {

// One per worker. Not thread-safe; the chooser, shared by all workers, is, and lives longer.
class AdaptiveCompressor {
  public:
    AdaptiveCompressor(LevelChooser& chooser, Clock& clock) : chooser_(chooser), clock_(clock) {}

    // The result is valid until the next call, and as long as `raw` is.
    CompressedFrame compress(ByteView raw, Effort effort);

  private:
    FrameMeasurement measure(Compressor& compressor, ByteView raw, int level, CompressedFrame& frame);

    LevelChooser& chooser_;
    Clock& clock_;
    IncompressibleDetector detector_;
    Compressor compressor_;
    Compressor trial_compressor_;
};

} // namespace holdfast
