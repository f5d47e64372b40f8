#include "repository/key_file.h"
#include "support/repository_fixture.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace holdfast {
namespace {

class KeyFileTest : public testing::Test {
  protected:
    KeyFileTest() {
        std::string pattern = testing::TempDir() + "key_file_XXXXXX";
        EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
        directory = pattern;
    }
    ~KeyFileTest() override { std::filesystem::remove_all(directory); }

    std::string path(const std::string& name) const { return directory + "/" + name; }
    void write(const std::string& name, const std::string& text) { std::ofstream(path(name)) << text; }
    static bool equal(const Secret& a, const Secret& b) { return equal_constant_time(a.view(), b.view()); }

    std::string directory;
    Secret key =
        Secret::copy_of(from_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff"));
};

TEST_F(KeyFileTest, RecoveryTextIsGroupedAndComesBack) {
    const std::string text = to_recovery_text(key);
    EXPECT_EQ(text.size(), 56U + 12 + 1);
    EXPECT_EQ(text[34], '\n');
    EXPECT_EQ(text.substr(0, 10), "000G-40R4-");
    EXPECT_TRUE(equal(from_recovery_text(text), key));
}

TEST_F(KeyFileTest, RecoveryTextForgivesCaseBlanksAndLookalikes) {
    std::string text = to_recovery_text(key);
    for (char& c : text) {
        if (c == '0') c = 'o';
        if (c == '1') c = 'l';
        if (c == '-') c = ' ';
    }
    EXPECT_TRUE(equal(from_recovery_text("  " + text + "\r\n"), key));
}

TEST_F(KeyFileTest, EveryMistypedCharacterIsNoticed) {
    const std::string text = to_recovery_text(key);
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] == '-' || text[at] == '\n') continue;
        std::string wrong = text;
        wrong[at] = text[at] == '7' ? '8' : '7';
        EXPECT_EQ(code_of([&] { from_recovery_text(wrong); }), ErrorCode::usage) << at;
        wrong[at] = 'U';
        EXPECT_EQ(code_of([&] { from_recovery_text(wrong); }), ErrorCode::usage) << at;
        EXPECT_EQ(code_of([&] { from_recovery_text(text.substr(0, at)); }), ErrorCode::usage) << at;
    }
    EXPECT_EQ(code_of([&] { from_recovery_text(text + "0"); }), ErrorCode::usage);
}

TEST_F(KeyFileTest, WrittenFileIsPrivateAndNeverOverwritten) {
    write_key_file(path("key"), key);
    struct stat status{};
    ASSERT_EQ(::stat(path("key").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600U);
    const KeyFile file = read_key_file(path("key"));
    EXPECT_TRUE(equal(file.key, key));
    EXPECT_FALSE(file.exposed);
    EXPECT_EQ(code_of([&] { write_key_file(path("key"), filled_secret(1)); }), ErrorCode::already_exists);
    EXPECT_TRUE(equal(read_key_file(path("key")).key, key));
}

TEST_F(KeyFileTest, AcceptsHexRecoveryTextCommentsAndPinnedRoot) {
    write("hex",
          "# the key of the office\n\n" + to_hex(key.view()) + "\r\nroot " + std::string(64, 'a') + "\n");
    const KeyFile hex = read_key_file(path("hex"));
    EXPECT_TRUE(equal(hex.key, key));
    ASSERT_TRUE(hex.root);
    EXPECT_EQ(hex.root->hex(), std::string(64, 'a'));
    write("paper", "# recovery key\n" + to_recovery_text(key) + "\n");
    EXPECT_TRUE(equal(read_key_file(path("paper")).key, key));
}

TEST_F(KeyFileTest, FileThatOthersCanReadIsReported) {
    write("key", to_hex(key.view()));
    ::chmod(path("key").c_str(), 0644);
    EXPECT_TRUE(read_key_file(path("key")).exposed);
    ::chmod(path("key").c_str(), 0640);
    EXPECT_TRUE(read_key_file(path("key")).exposed);
}

TEST_F(KeyFileTest, WhatIsNoKeyIsRefused) {
    const std::string hex = to_hex(key.view());
    for (const std::string& text : {std::string(), std::string("# nothing\n"), hex.substr(1), hex + "0",
                                    hex + "\n" + hex, "root " + hex, hex + "\nroot xyz",
                                    hex + "\nroot " + hex + "\nroot " + hex, std::string("secret")}) {
        EXPECT_EQ(code_of([&] { parse_key_file(text, "file"); }), ErrorCode::usage) << text;
    }
    EXPECT_EQ(code_of([&] { read_key_file(path("absent")); }), ErrorCode::not_found);
}

TEST_F(KeyFileTest, IdentityTextComesBackAndNoticesEveryChange) {
    const std::string text = to_identity_text(key);
    const PublicIdentity identity = from_identity_text(text + "\n");
    EXPECT_EQ(identity.signing_public, slot_signing_key(key).public_key());
    EXPECT_EQ(identity.box_public, slot_box_key(key).public_key());
    for (std::size_t at = 0; at < text.size(); ++at) {
        std::string wrong = text;
        wrong[at] = text[at] == 'a' ? 'b' : 'a';
        EXPECT_EQ(code_of([&] { from_identity_text(wrong); }), ErrorCode::usage) << at;
    }
    EXPECT_EQ(code_of([&] { from_identity_text(text + " more"); }), ErrorCode::usage);
}

TEST_F(KeyFileTest, RunSecretCacheKeepsPrivateFiles) {
    DirectoryRunSecretCache cache(path("a/b"));
    const RunId run = system_random().id<16>();
    EXPECT_FALSE(cache.get(run));
    EXPECT_TRUE(cache.runs().empty());
    cache.put(run, as_bytes("sealed"));
    EXPECT_EQ(as_text(*cache.get(run)), "sealed");
    EXPECT_EQ(cache.runs(), std::vector{run});
    struct stat status{};
    ASSERT_EQ(::stat(path("a/b/" + run.hex()).c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600U);
    ASSERT_EQ(::stat(path("a/b").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700U);
    cache.remove(run);
    cache.remove(run);
    EXPECT_FALSE(cache.get(run));
}

} // namespace
} // namespace holdfast
