// Which repository and which key: typed, from the environment, from a file; and when they are the wrong ones.
#include "support/holdfast_user.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class Credentials : public HoldfastUser {
  protected:
    static void write_private(const std::string& file, const std::string& content) {
        std::filesystem::create_directories(std::filesystem::path(file).parent_path());
        std::ofstream(file) << content;
        std::filesystem::permissions(file, std::filesystem::perms(0600));
    }
};

TEST_F(Credentials, AWrongKeyFileIsCalledOne) {
    init();
    write_private(scratch.file("wrong"), std::string(64, 'a') + "\n");
    options.environment["HOLDFAST_KEY_FILE"] = scratch.file("wrong");
    const nlohmann::json answer = json({"snapshots"}, 1);
    EXPECT_EQ(answer["error"]["code"], "wrong_key");
    EXPECT_NE(answer["error"]["hint"], "");
    write_private(scratch.file("wrong"), "not a key\n");
    EXPECT_THAT(failure({"snapshots"}, 2), HasSubstr(scratch.file("wrong")));
    options.environment["HOLDFAST_KEY_FILE"] = scratch.file("none");
    EXPECT_THAT(failure({"snapshots"}, 1), HasSubstr(scratch.file("none")));
}

TEST_F(Credentials, AKeyFileThatOthersCanReadIsWarnedOf) {
    init();
    EXPECT_THAT(run({"snapshots"}).error, Not(HasSubstr("chmod")));
    std::filesystem::permissions(scratch.file("key"), std::filesystem::perms(0644));
    const ProgramRun warned = run({"snapshots"});
    EXPECT_EQ(warned.exit_code, 0);
    EXPECT_THAT(warned.error, HasSubstr("chmod 600"));
}

TEST_F(Credentials, PassphrasesComeFromTheEnvironment) {
    options.environment.erase("HOLDFAST_KEY_FILE");
    options.environment["HOLDFAST_PASSPHRASE"] = "open sesame";
    init();
    write("a", "text");
    back_up();
    EXPECT_EQ(run({"cat", "latest", place("a")}).out, "text");
    options.environment["HOLDFAST_PASSPHRASE"] = "open barley";
    EXPECT_EQ(json({"snapshots"}, 1)["error"]["code"], "wrong_key");
    // No terminal to ask on.
    options.environment.erase("HOLDFAST_PASSPHRASE");
    EXPECT_THAT(failure({"snapshots"}, 2), HasSubstr("HOLDFAST_PASSPHRASE"));
}

TEST_F(Credentials, NoRepositoryIsSaidSo) {
    write_private(scratch.file("key"), std::string(64, 'a') + "\n");
    EXPECT_THAT(failure({"snapshots"}, 1), HasSubstr("no repository"));
    options.environment.erase("HOLDFAST_REPOSITORY");
    EXPECT_THAT(failure({"snapshots"}, 2), HasSubstr("HOLDFAST_REPOSITORY"));
}

TEST_F(Credentials, AConfigurationFileSuppliesWhatIsNotTyped) {
    init();
    write("a", "text");
    write("b.tmp", "passing");
    options.environment = {{"HOME", scratch.file("home")}};
    write_private(scratch.file("home/.config/holdfast/holdfast.toml"),
                  "repository = \"" + repository() + "\"\nkey_file = \"" + scratch.file("key") +
                      "\"\n[backup]\nsource = \"laptop\"\npaths = [\"" + source() +
                      "\"]\nexclude = [\"*.tmp\"]\ntags = { from = \"file\" }\n");
    const nlohmann::json made = json({"backup"});
    EXPECT_EQ(made["source"], "laptop");
    EXPECT_EQ(made["files"], 1);
    EXPECT_EQ(made["tags"]["from"], "file");
    EXPECT_EQ(json({"backup", "--source", "other"})["source"], "other");

    write_private(scratch.file("named.toml"), "repositry = \"x\"\n");
    EXPECT_THAT(failure({"--config", scratch.file("named.toml"), "snapshots"}, 2), HasSubstr("repositry"));
    write_private(scratch.file("named.toml"), "repository = \n");
    EXPECT_THAT(failure({"--config", scratch.file("named.toml"), "snapshots"}, 2), HasSubstr("line 1"));
    EXPECT_NE(failure({"--config", scratch.file("missing.toml"), "snapshots"}, 1), "");
    write_private(scratch.file("named.toml"), "[backup]\nlock_mode = \"forever\"\n");
    EXPECT_THAT(failure({"--config", scratch.file("named.toml"), "snapshots"}, 2),
                HasSubstr("backup.lock_mode"));
    EXPECT_THAT(failure({"backup", "--lock-mode", "compliance"}, 2), HasSubstr("--lock-days"));
}

TEST_F(Credentials, RelativePathsAreTakenFromHere) {
    init();
    write("a", "text");
    options.environment.erase("HOLDFAST_REPOSITORY");
    options.directory = scratch.path();
    EXPECT_EQ(json({"backup", "--repo", "repository", "--source", "home", "source"})["files"], 1);
    EXPECT_EQ(json({"snapshots", "--repo", "file://" + repository()}).size(), 1U);
}

} // namespace
} // namespace holdfast::test
