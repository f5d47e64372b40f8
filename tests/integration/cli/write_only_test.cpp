// A machine with a write-only key: it backs up and deduplicates within its domain, and can read no content at
// all.
#include "support/holdfast_user.h"

#include <filesystem>

#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using testing::HasSubstr;

constexpr std::uint64_t megabyte = 1'000'000;

class WriteOnly : public HoldfastUser {
  protected:
    WriteOnly() {
        init();
        first = machine("first", "laptops");
    }
    // A machine with a write-only key, of a domain: its key, its home and its cache.
    RunOptions machine(const std::string& name, const std::string& domain) {
        json({"key", "add", "--label", name, "--role", "write", "--domain", domain, "--new-key-file",
              scratch.file(name + ".key")});
        fs::create_directory(scratch.file(name + " home"));
        RunOptions as = options;
        as.environment["HOLDFAST_KEY_FILE"] = scratch.file(name + ".key");
        as.environment["HOME"] = scratch.file(name + " home");
        return as;
    }
    Json back_up_as(const RunOptions& as, const std::string& source_name, const Words& more = {}) {
        Words words{"backup", "--source", source_name, source()};
        words.insert(words.end(), more.begin(), more.end());
        return json(words, 0, as);
    }
    void expect_reads_nothing(const RunOptions& as, const std::string& snapshot, const std::string& secret) {
        for (const Words& words :
             std::vector<Words>{{"cat", snapshot, place("large")},
                                {"cat", snapshot, place("small")},
                                {"cat", "latest", place("small")},
                                {"restore", snapshot, "--to", scratch.file("loot")},
                                {"restore", "latest", "--to", scratch.file("loot")},
                                {"restore", snapshot, "--in-place", "--to", scratch.file("loot")}}) {
            const ProgramRun tried = run(words, as);
            EXPECT_NE(tried.exit_code, 0) << tried.out;
            EXPECT_EQ(tried.out.find(secret), std::string::npos);
            EXPECT_NE(tried.error + tried.out, "");
        }
        std::error_code ignored;
        for (fs::recursive_directory_iterator at(scratch.file("loot"), ignored), end; at != end;
             at.increment(ignored)) {
            if (at->is_regular_file()) ADD_FAILURE() << at->path() << " was restored";
        }
        fs::remove_all(scratch.file("loot"));
        EXPECT_NE(run({"forget", "--even-the-last", snapshot}, as).exit_code, 0);
        EXPECT_NE(
            run({"key", "add", "--label", "mine", "--role", "full", "--new-key-file", scratch.file("mine")},
                as)
                .exit_code,
            0);
        EXPECT_NE(run({"key", "rotate"}, as).exit_code, 0);
    }

    RunOptions first;
};

TEST_F(WriteOnly, BacksUpAndCannotRead) {
    write_random("large", 3 * megabyte, 1);
    write("small", "the secret of the house");
    settle();
    const Json made = back_up_as(first, "laptop");
    EXPECT_EQ(made["domain"], "laptops");
    expect_reads_nothing(first, made["id"], "the secret of the house");
    // With the cache as it was before, behind other backups.
    const Json again = back_up_as(first, "laptop");
    EXPECT_EQ(again["unchanged_files"], 2);
    EXPECT_EQ(again["read_bytes"], 0);
    expect_reads_nothing(first, made["id"], "the secret of the house");
    expect_reads_nothing(first, again["id"], "the secret of the house");
    // Who holds all keys can.
    EXPECT_EQ(run({"cat", again["id"], place("small")}).out, "the secret of the house");
    expect_restore_equals_source("laptop");
    EXPECT_EQ(json({"verify", "--read-data"})["intact"], true);
}

TEST_F(WriteOnly, VerifyCountsInOneLineWhatItCannotRead) {
    write_random("large", 3 * megabyte, 1);
    settle();
    back_up();
    back_up();
    back_up_as(first, "laptop");
    const Json found = json({"verify", "--read-data"}, 3, first);
    EXPECT_EQ(found["intact"], true);
    EXPECT_EQ(found["unchecked"].size(), 0U);
    EXPECT_EQ(found["closed"]["commit"], 2);
    EXPECT_GE(found["closed"]["pack"], 2);
    std::uint64_t sum = 0;
    for (const Json& objects : found["closed"]) sum += objects.get<std::uint64_t>();
    EXPECT_EQ(found["closed_objects"], sum);

    const ProgramRun told = run({"verify"}, first);
    EXPECT_EQ(told.exit_code, 3);
    const std::size_t line = told.out.find("Not checked: 2 commits, ");
    ASSERT_NE(line, std::string::npos) << told.out;
    EXPECT_EQ(told.out.find("Not checked", line + 1), std::string::npos) << told.out;
    EXPECT_THAT(told.out.substr(line, told.out.find('\n', line) - line), HasSubstr("role full or read"));
    EXPECT_EQ(json({"verify", "--read-data"})["closed_objects"], 0) << "with all keys";
}

TEST_F(WriteOnly, TakesOverUnchangedPartsOfAFileThroughItsCache) {
    write_random("large", 40 * megabyte, 1);
    settle();
    back_up_as(first, "laptop");
    std::string content = content_of(place("large"));
    content.replace(20 * megabyte, 5, "CHANGE");
    write("large", content);
    settle();
    EXPECT_LT(back_up_as(first, "laptop")["added_bytes"], 3 * megabyte);
    expect_restore_equals_source("laptop");
}

TEST_F(WriteOnly, DeduplicatesWithinItsDomainAndNotBeyond) {
    write_random("large", 5 * megabyte, 1);
    settle();
    EXPECT_GT(back_up_as(first, "laptop")["added_bytes"], 5 * megabyte);
    fs::copy_file(place("large"), place("copy"));
    settle();
    EXPECT_LT(back_up_as(first, "laptop")["added_bytes"], megabyte / 5);
    const RunOptions stranger = machine("third", "servers");
    EXPECT_GT(back_up_as(stranger, "server")["added_bytes"], 5 * megabyte);
    // Nor can one see of the other what it is.
    EXPECT_NE(run({"ls", "latest", source(), "--source", "laptop"}, stranger).exit_code, 0);
    expect_restore_equals_source("laptop");
    EXPECT_EQ(json({"verify", "--read-data"})["intact"], true);
}

TEST_F(WriteOnly, WithoutItsCacheItReadsAllAgainAndSaysSo) {
    write_random("large", 20 * megabyte, 1);
    write("small", "text");
    settle();
    const Json made = back_up_as(first, "laptop");
    fs::remove_all(scratch.file("first home"));
    fs::create_directory(scratch.file("first home"));
    const ProgramRun again = run({"backup", "--json", "--source", "laptop", source()}, first);
    ASSERT_EQ(again.exit_code, 0) << again.error;
    const Json result = Json::parse(again.out);
    EXPECT_EQ(result["read_bytes"], made["read_bytes"]);
    EXPECT_EQ(result["unchanged_files"], 0);
    EXPECT_THAT(again.error, HasSubstr("cache"));
    expect_reads_nothing(first, result["id"], "text");
    expect_restore_equals_source("laptop");
}

TEST_F(WriteOnly, APruneKeyCollectsAndReadsNoContent) {
    write("small", "the secret of the house");
    write_random("large", 3 * megabyte, 1);
    settle();
    const std::string gone = back_up()["id"];
    fs::remove(place("large"));
    settle();
    const std::string kept = back_up()["id"];
    json({"key", "add", "--label", "janitor", "--role", "prune", "--new-key-file",
          scratch.file("janitor.key")});
    RunOptions janitor = options;
    janitor.environment["HOLDFAST_KEY_FILE"] = scratch.file("janitor.key");
    json({"forget", gone}, 0, janitor);
    EXPECT_GT(json({"prune"}, 0, janitor)["deleted_bytes"], 2 * megabyte);
    const ProgramRun tried = run({"cat", kept, place("small")}, janitor);
    EXPECT_EQ(tried.exit_code, 1);
    EXPECT_EQ(tried.out, "");
    expect_restore_equals_source();
    EXPECT_EQ(json({"verify", "--read-data"})["intact"], true);
}

} // namespace
} // namespace holdfast::test
