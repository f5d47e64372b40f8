#include "base/close_names.h"

#include <gmock/gmock.h>

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(CloseNames, TheClosestComeFirst) {
    const std::vector<std::string> names = {"init", "backup", "snapshots", "stats", "restore", "ls"};
    EXPECT_THAT(close_names("snapshot", names), ElementsAre("snapshots"));
    EXPECT_THAT(close_names("bakcup", names), ElementsAre("backup"));
    EXPECT_THAT(close_names("resotre", names), ElementsAre("restore"));
    EXPECT_THAT(close_names("restores", names), ElementsAre("restore"));
    EXPECT_THAT(close_names("s", names), ElementsAre("snapshots", "stats"));
    EXPECT_THAT(close_names("frobnicate", names), IsEmpty());
    EXPECT_THAT(close_names("", names), IsEmpty());
    EXPECT_THAT(close_names(std::string(100'000, 'x'), names), IsEmpty());
}

} // namespace
} // namespace holdfast
