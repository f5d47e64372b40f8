// What a recovering server is given to get at the repository, and what not.
#include "base/file_descriptor.h"
#include "postgres/recovery/access_file.h"
#include "support/run_program.h"
#include "support/temporary_directory.h"

#include <filesystem>

#include <gtest/gtest.h>
#include <sys/stat.h>

namespace holdfast::postgres {
namespace {

class AccessFileTest : public testing::Test {
  protected:
    // As PostgreSQL runs it, in its data directory.
    std::string said_by(const std::string& command) const {
        const test::ProgramRun run = test::run_program(
            {"/bin/sh", "-c", "cd '" + directory.path().string() + "'; " + with_access_file(command)}, {});
        EXPECT_EQ(run.exit_code, 0) << run.error;
        return run.out;
    }
    test::TemporaryDirectory directory;
};

TEST_F(AccessFileTest, IsReadByTheCommandThatNeedsIt) {
    const std::string passphrase = "it's a $HOME \"of\" `odd` \\ signs\nand lines % f";
    const std::string text = access_file_text(
        {"PATH=/bin", "HOLDFAST_PASSPHRASE=" + passphrase, "AWS_SECRET_ACCESS_KEY=s", "EDITOR=vi", "odd"});
    write_access_file(directory.path(), text);
    struct stat status{};
    ASSERT_EQ(::stat((directory / std::string(access_file_name)).c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
    EXPECT_EQ(said_by("printenv HOLDFAST_PASSPHRASE"), passphrase + "\n");
    EXPECT_EQ(said_by("printenv AWS_SECRET_ACCESS_KEY"), "s\n");
    EXPECT_EQ(said_by("sh -c 'echo \"<$EDITOR>\"'"), "<>\n");
    remove_access_file(directory.path());
    EXPECT_EQ(said_by("sh -c 'echo \"<$AWS_SECRET_ACCESS_KEY>\"'"), "<>\n")
        << "without it the command is run too";
    EXPECT_EQ(access_file_text({"PATH=/bin", "HOME=/"}), "");
}

TEST_F(AccessFileTest, AServerGetsNothingOfIt) {
    for (const char* name : {"HOLDFAST_PASSPHRASE", "HOLDFAST_KEY_FILE", "AWS_SESSION_TOKEN", "https_proxy",
                             "PGPASSWORD", "SSH_AUTH_SOCK", "MY_TOKEN"})
        EXPECT_FALSE(is_server_variable(name)) << name;
    for (const char* name : {"PATH", "HOME", "LC_ALL", "TZ"}) {
        EXPECT_TRUE(is_server_variable(name)) << name;
        EXPECT_FALSE(is_access_variable(name)) << name;
    }
}

} // namespace
} // namespace holdfast::postgres
