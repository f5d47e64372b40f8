#include "cli/text.h"

#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Text, OneOfAThingIsNotSeveral) {
    EXPECT_EQ(counted(0, "file"), "0 files");
    EXPECT_EQ(counted(1, "file"), "1 file");
    EXPECT_EQ(counted(2, "file"), "2 files");
    EXPECT_EQ(counted(1, "directory", "directories"), "1 directory");
    EXPECT_EQ(counted(3, "directory", "directories"), "3 directories");
}

TEST(Text, AShellTakesAQuotedWordAsItIs) {
    EXPECT_EQ(shell_word("/mnt/backup-1/a.b"), "/mnt/backup-1/a.b");
    EXPECT_EQ(shell_word(""), "''");
    EXPECT_EQ(shell_word("a b"), "'a b'");
    EXPECT_EQ(shell_word("s3://b/p?endpoint=x&region=y"), "'s3://b/p?endpoint=x&region=y'");
    EXPECT_EQ(shell_word("it's"), "'it'\\''s'");
    EXPECT_EQ(shell_word("~/x"), "'~/x'");
    EXPECT_EQ(shell_word("$HOME"), "'$HOME'");
}

TEST(Text, ClosestNamesComeFirst) {
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
} // namespace holdfast::test
