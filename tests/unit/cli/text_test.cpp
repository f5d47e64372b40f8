#include "cli/text.h"

#include <gtest/gtest.h>

namespace holdfast::test {
namespace {

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

} // namespace
} // namespace holdfast::test
