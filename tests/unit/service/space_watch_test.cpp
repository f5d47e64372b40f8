// Room on the repository's disk.
#include "base/clock.h"
#include "base/error.h"
#include "service/space_watch.h"
#include "support/error_matchers.h"
#include "support/scratch_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20;

TEST(SpaceWatch, ASpaceThatIsShortIsRefusedBeforeAnythingIsStored) {
    const auto error = test::error_of([] {
        const SpaceWatch watch([] { return SpaceLeft{"/backup", 15 * mebibyte, 1000 * mebibyte}; }, {});
    });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), ErrorCode::no_space);
    EXPECT_THAT(error->message(), HasSubstr("15 MiB are free on the disk of /backup, and 16 MiB"));
    EXPECT_THAT(error->hint(), HasSubstr("holdfast prune"));
}

TEST(SpaceWatch, StopsWhenTheSpaceBecomesShort) {
    std::atomic<std::uint64_t> free_bytes = 100 * mebibyte;
    const SpaceWatch watch([&] { return SpaceLeft{"/backup", free_bytes, 1000 * mebibyte}; }, {});
    EXPECT_FALSE(watch.stop_token().stop_requested());
    const Error cancelled(ErrorCode::cancelled, "stopped before it was done");
    EXPECT_EQ(watch.explain(cancelled).code(), ErrorCode::cancelled) << "somebody else has stopped it";
    free_bytes = mebibyte;
    while (!watch.stop_token().stop_requested()) system_clock().sleep_for(std::chrono::milliseconds(10));
    const Error said = watch.explain(cancelled);
    EXPECT_EQ(said.code(), ErrorCode::no_space);
    EXPECT_THAT(said.message(), HasSubstr("1 MiB are free"));
    EXPECT_THAT(watch.explain(Error(ErrorCode::no_space, "writing x: No space left on device")).hint(),
                HasSubstr("holdfast forget"));
    EXPECT_EQ(watch.explain(Error(ErrorCode::corrupt, "x")).code(), ErrorCode::corrupt);
}

TEST(SpaceWatch, PassesAStopOn) {
    std::stop_source stop;
    const SpaceWatch unknown([]() -> std::optional<SpaceLeft> { return std::nullopt; }, stop.get_token());
    EXPECT_FALSE(unknown.stop_token().stop_requested());
    stop.request_stop();
    EXPECT_TRUE(unknown.stop_token().stop_requested());
}

TEST(SpaceWatch, TheReserveGrowsWithTheDisk) {
    EXPECT_EQ((SpaceLeft{"", 0, 10 * mebibyte}).reserve_bytes(), 16 * mebibyte);
    EXPECT_EQ((SpaceLeft{"", 0, 10'000 * mebibyte}).reserve_bytes(), 100 * mebibyte);
    EXPECT_EQ((SpaceLeft{"", 0, 10'000'000 * mebibyte}).reserve_bytes(), 1024 * mebibyte);
}

TEST(SpaceWatch, SpaceIsThatOfTheDiskOfWhatIsNotThereYet) {
    const test::ScratchDirectory scratch;
    const auto there = space_at(scratch.path().string());
    const auto below = space_of_repository("file://" + scratch.file("not/there/yet"));
    ASSERT_TRUE(there);
    ASSERT_TRUE(below);
    EXPECT_GT(there->capacity_bytes, 0U);
    EXPECT_EQ(below->capacity_bytes, there->capacity_bytes);
    EXPECT_FALSE(space_of_repository("s3://bucket/prefix"));
}

} // namespace
} // namespace holdfast
