// What `wal fetch` exits with decides whether PostgreSQL ends its recovery, and opens.
#include "base/file_descriptor.h"
#include "support/holdfast_user.h"
#include "support/wal_segments.h"

#include <filesystem>
#include <fstream>
#include <set>

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

namespace {

// A segment of a cluster, in whose log there is one record.
holdfast::Bytes segment_of(std::uint64_t system_identifier) {
    WalWriter writer(15, small_segment_bytes, holdfast::postgres::Lsn{7 * small_segment_bytes}, 1,
                     system_identifier);
    WalRecordSpec change;
    change.manager = holdfast::postgres::ResourceManager::heap;
    change.xid = 7;
    WalBlockSpec block;
    block.relation = {1663, 5, 16384};
    block.data = holdfast::Bytes(500, 1);
    change.blocks.push_back(block);
    writer.add(change);
    holdfast::Bytes bytes = writer.bytes();
    bytes.resize(small_segment_bytes);
    return bytes;
}

} // namespace

// A recovery goes on with the log that it began with, though another cluster has taken the source's place.
TEST_F(WalFetchCommand, TheArchiveThatIsNamedIsFetchedFrom) {
    const auto success = [&](const Words& words) {
        const ProgramRun done = run(words);
        EXPECT_EQ(done.exit_code, 0) << done.error;
    };
    const Words head{"--config", scratch.file("holdfast.toml"), "wal"};
    const auto push = [&](std::uint64_t system_identifier, const Words& more) {
        const std::string path = scratch.file(segment);
        std::ofstream(path, std::ios::binary) << holdfast::as_text(segment_of(system_identifier));
        Words words = head;
        words.insert(words.end(), {"push", "orders", path});
        words.insert(words.end(), more.begin(), more.end());
        success(words);
        std::filesystem::remove(path);
    };
    const auto archives = [&] {
        std::set<std::string> found;
        for (const auto& entry : std::filesystem::directory_iterator(repository() + "/logs"))
            found.insert(entry.path().filename().string());
        return found;
    };
    push(7001, {});
    const std::string first = *archives().begin();
    push(7002, {"--new-cluster"});
    ASSERT_EQ(archives().size(), 2U);
    EXPECT_THAT(failure(fetch(), must_end), HasSubstr("2 clusters"));
    success(fetch({"--archive", first, "--ahead", "0"}));
    EXPECT_EQ(holdfast::read_file(scratch.file("fetched"), 1u << 26), segment_of(7001));
    for (const std::string& archive : archives()) {
        if (archive == first) continue;
        success(fetch({"--archive", archive, "--ahead", "0"}));
        EXPECT_EQ(holdfast::read_file(scratch.file("fetched"), 1u << 26), segment_of(7002));
    }
    EXPECT_THAT(failure(fetch({"--archive", "../" + first}), must_end), HasSubstr("--archive"));
}
