// The choice of the level, on synthetic measurements: a machine and a store with given speeds.
#include "base/error.h"
#include "base/random.h"
#include "repository/level_chooser.h"

#include <cmath>
#include <functional>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using std::chrono::microseconds;

constexpr std::uint64_t frame_bytes = 1 << 20;

// One worker, one uploader, and data on which each level has its size and time.
struct World {
    double upload_bytes_a_microsecond = 100;
    // Of the raw size.
    std::function<double(int)> size = [](int level) { return 0.5 - 0.01 * level; };
    std::function<double(int)> microseconds_a_frame = [](int level) {
        return 3000.0 * std::pow(1.3, level - 3);
    };

    FrameMeasurement at(int level) const {
        return {.level = level,
                .raw_bytes = frame_bytes,
                .stored_bytes = static_cast<std::uint64_t>(size(level) * frame_bytes),
                .time = microseconds(static_cast<long>(microseconds_a_frame(level)))};
    }

    void run(LevelChooser& chooser, int frames) const {
        for (int i = 0; i < frames; ++i) {
            const FrameMeasurement frame = at(chooser.level());
            if (const auto trial = chooser.next_trial()) {
                chooser.compared(frame, at(*trial));
            } else {
                chooser.compressed(frame);
            }
            const Duration upload = microseconds(
                static_cast<long>(static_cast<double>(frame.stored_bytes) / upload_bytes_a_microsecond));
            chooser.waited(std::max(upload - frame.time, Duration{}),
                           std::max(frame.time - upload, Duration{}));
        }
    }
};

const World slow_store{.upload_bytes_a_microsecond = 10};
const World fast_store{.upload_bytes_a_microsecond = 5000};

TEST(LevelChooser, a_slow_store_raises_the_level_as_far_as_time_is_left) {
    LevelChooser chooser({});
    slow_store.run(chooser, 3000);
    // One more level would take longer than the upload of what it leaves.
    const int level = chooser.level();
    EXPECT_GT(level, 5);
    EXPECT_LT(slow_store.at(level).time, microseconds(slow_store.at(level).stored_bytes / 10));
    const CompressionReport report = chooser.report();
    EXPECT_EQ(report.levels.back().level, level);
    EXPECT_EQ(report.level_changes, static_cast<std::uint64_t>(level - 3));
    EXPECT_EQ(report.raw_bytes(), 3000 * frame_bytes);
    EXPECT_LT(report.ratio(), slow_store.size(3));
}

TEST(LevelChooser, a_very_slow_store_ends_at_the_highest_level) {
    LevelChooser chooser({.lowest = 1, .highest = 12, .start = 3});
    World{.upload_bytes_a_microsecond = 0.5}.run(chooser, 3000);
    EXPECT_EQ(chooser.level(), 12);
}

TEST(LevelChooser, levels_that_gain_nothing_are_not_taken) {
    World flat{.upload_bytes_a_microsecond = 10};
    flat.size = [](int level) { return level < 5 ? 0.5 : 0.48; };
    LevelChooser chooser({});
    flat.run(chooser, 3000);
    // From 3, 4 gains nothing, and what lies behind it is not looked for.
    EXPECT_EQ(chooser.level(), 3);
    EXPECT_EQ(chooser.report().level_changes, 0u);
    // Asking again and again is bounded: each refusal doubles the pause.
    const auto trials = chooser.report().trial_time / flat.at(4).time;
    EXPECT_GE(trials, 8);
    EXPECT_LE(trials, 8 * 8);
}

TEST(LevelChooser, a_busy_processor_lowers_the_level_only_where_that_costs_little) {
    World cheap = fast_store;
    cheap.size = [](int level) { return 0.5 - 0.002 * level; };
    LevelChooser down({});
    cheap.run(down, 2000);
    EXPECT_EQ(down.level(), 1);
    EXPECT_LT(down.report().ratio(), cheap.size(3) * 1.03);

    LevelChooser stays({});
    fast_store.run(stays, 2000); // two percent a level
    EXPECT_EQ(stays.level(), 3);
}

TEST(LevelChooser, what_was_raised_comes_down_when_the_store_gets_fast) {
    LevelChooser chooser({});
    slow_store.run(chooser, 3000);
    ASSERT_GT(chooser.level(), 5);
    fast_store.run(chooser, 3000);
    EXPECT_EQ(chooser.level(), 3);
}

TEST(LevelChooser, a_fixed_level_stays) {
    for (const World& world : {slow_store, fast_store}) {
        LevelChooser chooser(LevelSettings::fixed(7));
        world.run(chooser, 2000);
        EXPECT_EQ(chooser.level(), 7);
        EXPECT_EQ(chooser.report().trial_time, Duration{});
    }
}

TEST(LevelChooser, more_effort_stays_within_the_limits) {
    EXPECT_EQ(LevelChooser({.lowest = 1, .highest = 12, .start = 3, .thorough = 9}).thorough_level(), 9);
    EXPECT_EQ(LevelChooser({.lowest = 1, .highest = 6, .start = 3, .thorough = 9}).thorough_level(), 6);
    EXPECT_EQ(LevelChooser({.lowest = 1, .highest = 12, .start = 11, .thorough = 9}).thorough_level(), 11);
    EXPECT_EQ(LevelChooser(LevelSettings::fixed(2)).thorough_level(), 2);
}

TEST(LevelChooser, never_leaves_its_limits) {
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
        SeededRandom random(seed);
        const int lowest = 1 + static_cast<int>(random.below(5));
        const int highest = lowest + static_cast<int>(random.below(8));
        const int start =
            lowest + static_cast<int>(random.below(static_cast<std::uint64_t>(highest - lowest + 1)));
        LevelChooser chooser({.lowest = lowest, .highest = highest, .start = start});
        for (int i = 0; i < 60; ++i) {
            World world{.upload_bytes_a_microsecond = static_cast<double>(1 + random.below(2000))};
            const double gain = static_cast<double>(random.below(20)) / 1000;
            world.size = [gain](int level) { return 0.7 - gain * level; };
            world.run(chooser, 64);
            ASSERT_GE(chooser.level(), lowest) << "seed " << seed;
            ASSERT_LE(chooser.level(), highest) << "seed " << seed;
        }
    }
}

TEST(LevelChooser, equal_measurements_have_equal_results) {
    LevelChooser first({});
    LevelChooser second({});
    slow_store.run(first, 777);
    slow_store.run(second, 777);
    EXPECT_EQ(first.level(), second.level());
    EXPECT_EQ(first.report().stored_bytes(), second.report().stored_bytes());
}

TEST(LevelChooser, without_waiting_nothing_changes) {
    LevelChooser chooser({});
    for (int i = 0; i < 1000; ++i) chooser.compressed(slow_store.at(3));
    EXPECT_EQ(chooser.level(), 3);
    EXPECT_EQ(chooser.next_trial(), std::nullopt);
}

TEST(LevelChooser, refuses_limits_that_make_no_sense) {
    EXPECT_THROW(LevelChooser({.lowest = 4, .highest = 3, .start = 3}), Error);
    EXPECT_THROW(LevelChooser({.lowest = 1, .highest = 12, .start = 13}), Error);
    EXPECT_THROW(LevelChooser(LevelSettings::fixed(0)), Error);
    EXPECT_THROW(LevelChooser(LevelSettings::fixed(20)), Error);
}

} // namespace
} // namespace holdfast
