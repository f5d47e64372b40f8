// What `wal fetch` exits with decides whether PostgreSQL ends its recovery, and opens.
#include "support/holdfast_user.h"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>

using namespace holdfast::test;
using testing::HasSubstr;

namespace {

constexpr int asks_again = 1;
constexpr int must_end = 200; // more than 125

class WalFetchCommand : public HoldfastUser {
  protected:
    WalFetchCommand() {
        init();
        configure("[source.orders]\nkind = \"postgresql\"\nconnection = \"host=/nowhere\"\n");
    }
    void configure(const std::string& text) const { std::ofstream(scratch.file("holdfast.toml")) << text; }
    Words fetch(Words more = {}) const {
        Words words{"--config", scratch.file("holdfast.toml"), "wal", "fetch", "orders",
                    segment,    scratch.file("fetched")};
        words.insert(words.end(), more.begin(), more.end());
        return words;
    }
    const std::string segment = "000000010000000000000007";
};

} // namespace

// That a file is not in an archive that there is, is what every recovery to the end of the log sees: those
// tests are with the servers.
TEST_F(WalFetchCommand, NoArchiveIsNoEndOfTheLog) {
    EXPECT_THAT(failure(fetch(), must_end), HasSubstr("orders"));
    std::filesystem::rename(repository(), repository() + ".away");
    EXPECT_THAT(failure(fetch(), must_end), HasSubstr(repository()));
    EXPECT_FALSE(std::filesystem::exists(scratch.file("fetched")));
}

TEST_F(WalFetchCommand, WrongUsageIsNoEndOfTheLog) {
    EXPECT_THAT(failure(fetch({"--no-such-option"}), must_end), HasSubstr("--no-such-option"));
    EXPECT_THAT(failure({"--config", scratch.file("holdfast.toml"), "wal", "fetch", "orders"}, must_end),
                HasSubstr("FILE"));
    EXPECT_THAT(failure({"--config", scratch.file("holdfast.toml"), "wal", "fetch", "bills", segment, "to"},
                        must_end),
                HasSubstr("bills"));
    configure("[source.orders\n");
    EXPECT_NE(failure(fetch(), must_end), "");
    // Other commands are as they are.
    EXPECT_NE(failure({"wal", "push", "orders"}, 2), "");
    EXPECT_NE(failure({"wal"}, 2), "");
}

TEST_F(WalFetchCommand, AStandbyWillAskAgain) {
    std::filesystem::rename(repository(), repository() + ".away");
    std::filesystem::create_directory(scratch.file("standby"));
    std::ofstream(scratch.file("standby/standby.signal")).close();
    RunOptions as = options;
    as.directory = scratch.file("standby");
    EXPECT_NE(failure(fetch(), asks_again, as), "");
}
