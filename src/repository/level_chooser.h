// Chooses the compression level from what is measured while a run goes on.
//
// Where the store is slower than the processor, workers wait and a higher level costs nothing; where the
// processor is the limit, a lower one may. The chooser sees which it is from who waits for whom, and before
// it takes a step it has a few frames compressed at both levels, so that it compares levels and not data.
#pragma once

#include "base/clock.h"

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

namespace holdfast {

struct LevelSettings {
    int lowest = 1;
    int highest = 12;
    int start = 3;
    // For frames that are worth more time, within the others.
    int thorough = 9;

    // A level that the user has fixed.
    static LevelSettings fixed(int level) { return {.lowest = level, .highest = level, .start = level}; }
};

// One frame at one level. `time` is that of one worker.
struct FrameMeasurement {
    int level = 0;
    std::uint64_t raw_bytes = 0;
    std::uint64_t stored_bytes = 0;
    Duration time{};
};

struct LevelUse {
    int level = 0;
    std::uint64_t frames = 0;
    std::uint64_t raw_bytes = 0;
    std::uint64_t stored_bytes = 0;
    Duration time{};
};

// What was chosen and what it gained.
struct CompressionReport {
    std::vector<LevelUse> levels; // ascending; only those that were used
    std::uint64_t level_changes = 0;
    // Frames recognised as incompressible and stored unseen.
    std::uint64_t skipped_frames = 0;
    std::uint64_t skipped_bytes = 0;
    // What comparing levels has cost.
    Duration trial_time{};

    std::uint64_t raw_bytes() const;
    std::uint64_t stored_bytes() const;
    // Stored by raw, 1 when there was nothing.
    double ratio() const;
};

// Decides only from what it is told, so equal calls have equal results. Thread-safe.
class LevelChooser {
  public:
    // Throws Error(usage) unless lowest <= start <= highest and zstd has them all.
    explicit LevelChooser(LevelSettings settings);

    int level() const;
    // At least that.
    int thorough_level() const;
    // A level that the next frame should be compressed at too, in a trial; mostly none. Each answer asks for
    // one trial, so ask only for a frame that is to be compressed.
    std::optional<int> next_trial();
    void compressed(const FrameMeasurement& frame);
    // The same frame at level() and at the level of a trial. The first is not given to compressed() as well.
    void compared(const FrameMeasurement& used, const FrameMeasurement& trial);
    void skipped(std::uint64_t raw_bytes);
    // Time that workers spent waiting for room in front of the uploaders, and uploaders waiting for workers;
    // sums over all threads since the last call.
    void waited(Duration workers, Duration uploaders);

    CompressionReport report() const;

  private:
    enum class Direction { down, up };
    // What is known of one direction: how long it is left alone after a step turned out bad.
    struct Hold {
        std::uint32_t windows_left = 0;
        std::uint32_t next_hold = 1;
    };
    struct Trial {
        Direction direction = Direction::up;
        std::uint32_t asked = 0;
        std::uint32_t answered = 0;
        std::uint64_t used_stored = 0;
        std::uint64_t trial_stored = 0;
        Duration used_time{};
        Duration trial_time{};
        // Workers' idle time for each unit of their work, when the trial was called for.
        double idle = 0;
    };
    struct Window {
        std::uint64_t raw_bytes = 0;
        Duration work{};
        Duration workers_waited{};
        Duration uploaders_waited{};
    };

    void count(const FrameMeasurement& frame);
    void end_window();
    void end_trial();
    void step(Direction direction);
    int towards(Direction direction) const { return level_ + (direction == Direction::up ? 1 : -1); }
    Hold& hold(Direction direction) { return direction == Direction::up ? hold_up_ : hold_down_; }
    void reject(Direction direction);

    const LevelSettings settings_;
    mutable std::mutex mutex_;
    int level_;
    Window window_;
    std::optional<Trial> trial_;
    Hold hold_up_;
    Hold hold_down_;
    std::map<int, LevelUse> uses_;
    CompressionReport totals_; // all but its levels
};

} // namespace holdfast
