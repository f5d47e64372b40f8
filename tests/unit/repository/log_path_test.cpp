#include "repository/log/log_path.h"

#include <random>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

LogSliceId slice(std::uint32_t branch, std::uint64_t begin, std::uint64_t end, std::uint32_t number = 0) {
    LogSliceId id;
    id.range = {branch, begin, end};
    id.number = number;
    return id;
}

std::vector<LogRange> stretches(const std::vector<PathStep>& path) {
    std::vector<LogRange> out;
    for (const PathStep& step : path) out.push_back({step.slice.range.branch, step.begin, step.end});
    return out;
}

TEST(LogPath, LeadsThroughNeighbours) {
    const std::vector<LogSliceId> slices{slice(1, 0, 10), slice(1, 10, 20), slice(1, 20, 30)};
    EXPECT_THAT(stretches(find_path(slices, {1, 5, 25})),
                ElementsAre(LogRange{1, 5, 10}, LogRange{1, 10, 20}, LogRange{1, 20, 25}));
    EXPECT_THAT(stretches(find_path(slices, {1, 10, 20})), ElementsAre(LogRange{1, 10, 20}));
    EXPECT_THAT(find_path(slices, {1, 10, 10}), IsEmpty());
    EXPECT_THAT(find_path(slices, {2, 0, 10}), IsEmpty());
}

TEST(LogPath, EndsAtAGap) {
    const std::vector<LogSliceId> slices{slice(1, 0, 10), slice(1, 11, 20)};
    EXPECT_THAT(stretches(find_path(slices, {1, 0, 20})), ElementsAre(LogRange{1, 0, 10}));
    EXPECT_THAT(find_path(slices, {1, 10, 20}), IsEmpty());
    EXPECT_THAT(find_path({}, {1, 0, 20}), IsEmpty());
}

TEST(LogPath, TakesTheLongestOfWhatOverlaps) {
    const std::vector<LogSliceId> slices{slice(1, 0, 3), slice(1, 0, 16), slice(1, 3, 5), slice(1, 5, 9),
                                         slice(1, 12, 40)};
    EXPECT_THAT(stretches(find_path(slices, {1, 1, 40})),
                ElementsAre(LogRange{1, 1, 16}, LogRange{1, 16, 40}));
}

// Whatever the slices, the path goes as far as bytes are there without a gap, and no step can be left out.
TEST(LogPath, IsRightForAnySlices) {
    std::mt19937_64 random(5);
    for (int round = 0; round < 3000; ++round) {
        std::set<LogSliceId> sorted;
        std::set<std::uint64_t> there;
        for (std::uint64_t count = random() % 12; count > 0; --count) {
            const std::uint64_t begin = random() % 40, end = begin + random() % 9;
            sorted.insert(slice(1, begin, end, static_cast<std::uint32_t>(count)));
            for (std::uint64_t at = begin; at < end; ++at) there.insert(at);
        }
        sorted.insert(slice(0, 0, 60));
        sorted.insert(slice(2, 0, 60));
        const std::vector<LogSliceId> slices(sorted.begin(), sorted.end());
        const std::uint64_t begin = random() % 45, end = begin + random() % 20;
        std::uint64_t reached = begin;
        while (reached < end && there.contains(reached)) ++reached;

        const std::vector<PathStep> path = find_path(slices, {1, begin, end});
        std::uint64_t position = begin;
        for (const PathStep& step : path) {
            ASSERT_EQ(step.begin, position);
            ASSERT_GT(step.end, step.begin);
            ASSERT_LE(step.slice.range.begin, step.begin);
            ASSERT_GE(step.slice.range.end, step.end);
            position = step.end;
        }
        ASSERT_EQ(position, reached);
        for (std::size_t i = 0; i + 2 < path.size(); ++i)
            ASSERT_GT(path[i + 2].slice.range.begin, path[i].end) << "a step too many";
    }
}

} // namespace
} // namespace holdfast
