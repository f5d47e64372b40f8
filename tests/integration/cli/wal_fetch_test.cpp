// What `wal fetch` exits with decides whether PostgreSQL ends its recovery, and opens.
#include "base/file_descriptor.h"
#include "support/holdfast_user.h"
#include "support/wal_segments.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

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

// From a directory as PostgreSQL's: its signal file is there as long as the recovery goes on.
class FetchedAhead : public WalFetchCommand {
  protected:
    FetchedAhead() {
        configure(spool("spool"));
        std::filesystem::create_directories(scratch.file("pg_wal/archive_status"));
        for (std::size_t i = 0; i < 12; ++i) {
            std::ofstream(scratch.file("pg_wal/" + log.name(i)), std::ios::binary)
                << holdfast::as_text(log.segment(i));
            std::ofstream(scratch.file("pg_wal/archive_status/" + log.name(i) + ".ready")).close();
        }
        command({"push", "orders", scratch.file("pg_wal/" + log.name(0))}, options);
        std::filesystem::create_directories(scratch.file("data/pg_wal"));
        std::ofstream(signal).close();
        as.directory = scratch.file("data");
    }
    std::string spool(const std::string& name) const {
        return "[source.orders]\nkind = \"postgresql\"\nspool_directory = \"" + scratch.file(name) + "\"\n";
    }
    void command(Words words, const RunOptions& how) {
        words.insert(words.begin(), {"--config", scratch.file("holdfast.toml"), "wal"});
        const ProgramRun done = run(words, how);
        EXPECT_EQ(done.exit_code, 0) << done.error;
    }
    void expect_fetched(std::size_t number) {
        command({"fetch", "orders", log.name(number), "pg_wal/RECOVERYXLOG", "--ahead", "3"}, as);
        EXPECT_TRUE(std::ranges::equal(
            holdfast::read_file(scratch.file("data/pg_wal/RECOVERYXLOG"), 1u << 26), log.segment(number)))
            << number;
    }
    // Names of segments that wait.
    std::set<std::string> waiting() const {
        std::set<std::string> names;
        std::error_code gone;
        for (auto entry = std::filesystem::recursive_directory_iterator(scratch.file("spool"), gone);
             entry != std::filesystem::recursive_directory_iterator(); entry.increment(gone)) {
            const std::string name = entry->path().filename().string();
            if (name.size() == 24) names.insert(name);
        }
        return names;
    }
    void wait_for(const std::set<std::string>& names) const {
        while (waiting() != names) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }

    const MadeLog log{holdfast::postgres::Lsn{5 * small_segment_bytes}, 12};
    const std::string signal = scratch.file("data/recovery.signal");
    RunOptions as = options;
};

TEST_F(FetchedAhead, SegmentsWaitWhileTheServerRecoversAndNoLonger) {
    expect_fetched(0);
    wait_for({log.name(1), log.name(2), log.name(3)});
    expect_fetched(1);
    wait_for({log.name(2), log.name(3), log.name(4)});
    std::filesystem::remove(signal);
    wait_for({});
}

TEST_F(FetchedAhead, WhatIsThereNeedsNoRepository) {
    expect_fetched(0);
    wait_for({log.name(1), log.name(2), log.name(3)});
    std::filesystem::rename(repository(), repository() + ".away");
    expect_fetched(1);
}

TEST_F(FetchedAhead, IsNotWhatAFetchFailsBy) {
    configure(spool(std::string(300, 'x'))); // no file system has such a name
    for (std::size_t i = 0; i < 3; ++i) expect_fetched(i);
}
