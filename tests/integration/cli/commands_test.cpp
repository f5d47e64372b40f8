// What each command answers, as a person and as a program reads it, and with which exit code it ends.
#include "support/holdfast_user.h"

#include <filesystem>
#include <fstream>
#include <set>

#include <gmock/gmock.h>

namespace holdfast::test {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class Commands : public HoldfastUser {
  protected:
    // Two snapshots of a small tree.
    void make_two_snapshots() {
        init();
        write("a.txt", "one\n");
        write("docs/b.txt", "two\n");
        write_random("docs/c.bin", 700'000, 1);
        std::filesystem::create_symlink("a.txt", place("link"));
        settle();
        first_ = back_up()["id"];
        write("a.txt", "changed\n");
        write("docs/new.txt", "new\n");
        std::filesystem::remove(place("docs/b.txt"));
        settle();
        second_ = back_up()["id"];
    }
    std::string first_, second_;
};

TEST_F(Commands, InitSaysWhatItMadeAndRefusesToDoItTwice) {
    const Json made = json({"init"});
    EXPECT_EQ(made["url"], repository());
    EXPECT_TRUE(made["capabilities"]["put_if_absent"].get<bool>());
    EXPECT_TRUE(made["can_prune"].get<bool>());
    EXPECT_EQ(made["key_file_made"], scratch.file("key"));
    EXPECT_GT(made["recovery_key"].get<std::string>().size(), 50U);
    EXPECT_EQ(std::filesystem::status(scratch.file("key")).permissions(), std::filesystem::perms(0600));

    EXPECT_THAT(failure({"init"}, 1), HasSubstr("there is a repository"));
    const Json again = json({"init"}, 1);
    EXPECT_EQ(again["error"]["code"], "already_exists");
    EXPECT_NE(again["error"]["hint"], "");
}

TEST_F(Commands, TheRecoveryKeyOpensTheRepository) {
    const std::string recovery = json({"init"})["recovery_key"];
    write("a", "text");
    back_up();
    std::filesystem::remove(scratch.file("key"));
    std::ofstream(scratch.file("paper")) << recovery;
    std::filesystem::permissions(scratch.file("paper"), std::filesystem::perms(0600));
    RunOptions other = options;
    other.environment["HOLDFAST_KEY_FILE"] = scratch.file("paper");
    EXPECT_EQ(run({"cat", "latest", place("a")}, other).out, "text");
}

TEST_F(Commands, ABackupCountsWhatItDid) {
    init();
    write("a.txt", "one\n");
    write_random("b.bin", 700'000, 1);
    settle();
    const Json first = back_up();
    EXPECT_EQ(first["state"], "complete");
    EXPECT_EQ(first["source"], "home");
    EXPECT_EQ(first["sequence"], 1);
    EXPECT_EQ(first["files"], 2);
    EXPECT_EQ(first["new_files"], 2);
    EXPECT_EQ(first["size_bytes"], 700'004);
    EXPECT_EQ(first["read_bytes"], 700'004);
    EXPECT_GT(first["added_bytes"], 700'000);
    EXPECT_EQ(first["failed"], 0);
    EXPECT_FALSE(first["resumed"].get<bool>());
    EXPECT_EQ(first["paths"], Json::array({source()}));

    const Json second = json({"backup", "--source", "home", "--tag", "why=again", source()});
    EXPECT_EQ(second["parent"], first["id"]);
    EXPECT_EQ(second["unchanged_files"], 2);
    EXPECT_EQ(second["read_bytes"], 0);
    EXPECT_LT(second["added_bytes"], 20'000);
    EXPECT_EQ(second["tags"]["why"], "again");

    const ProgramRun text = run({"backup", "--source", "home", source()});
    EXPECT_EQ(text.exit_code, 0);
    EXPECT_THAT(text.out, HasSubstr("2 files in"));
    EXPECT_THAT(text.out, HasSubstr("0 new, 0 changed, 2 unchanged"));
}

TEST_F(Commands, SnapshotsAreListedNewestFirst) {
    make_two_snapshots();
    const Json all = json({"snapshots"});
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0]["id"], second_);
    EXPECT_EQ(all[1]["id"], first_);
    EXPECT_EQ(json({"snapshots", "--source", "other"}).size(), 0U);
    EXPECT_THAT(run({"snapshots"}).out, HasSubstr(first_.substr(0, 8)));
}

TEST_F(Commands, LsFindAndCatShowWhatASnapshotHolds) {
    make_two_snapshots();
    const Json listed = json({"ls", first_, source(), "-R"});
    std::set<std::string> paths;
    for (const Json& entry : listed) paths.insert(entry["path"]);
    EXPECT_EQ(paths, (std::set<std::string>{place("a.txt"), place("docs"), place("docs/b.txt"),
                                            place("docs/c.bin"), place("link")}));
    EXPECT_EQ(run({"ls", second_, place("docs")}).out,
              place("docs/c.bin") + "\n" + place("docs/new.txt") + "\n");
    EXPECT_THAT(run({"ls", "-l", second_, place("link")}).out, HasSubstr(" -> a.txt"));

    const Json found = json({"find", "*.txt"});
    EXPECT_EQ(found.size(), 4U);
    const Json large = json({"find", "*", "--larger", "500k", "--type", "regular", "--snapshot", "latest"});
    ASSERT_EQ(large.size(), 1U);
    EXPECT_EQ(large[0]["path"], place("docs/c.bin"));
    EXPECT_EQ(large[0]["snapshot"], second_);
    EXPECT_EQ(run({"find", "b.txt"}).out, first_.substr(0, 8) + " " + place("docs/b.txt") + "\n");

    EXPECT_EQ(run({"cat", first_, place("a.txt")}).out, "one\n");
    EXPECT_EQ(run({"cat", "latest", place("a.txt")}).out, "changed\n");
    EXPECT_EQ(run({"cat", "latest", place("docs/c.bin")}).out, content_of(place("docs/c.bin")));
    EXPECT_THAT(failure({"cat", "latest", place("docs")}, 2), HasSubstr("is not a file"));
    EXPECT_THAT(failure({"cat", "latest", place("no such")}, 2), HasSubstr("no such"));
}

TEST_F(Commands, DiffNamesWhatChanged) {
    make_two_snapshots();
    const Json result = json({"diff", first_, second_});
    std::map<std::string, std::string> changes;
    for (const Json& change : result["changes"]) changes[change["path"]] = change["kind"];
    EXPECT_EQ(changes[place("a.txt")], "modified");
    EXPECT_EQ(changes[place("docs/new.txt")], "added");
    EXPECT_EQ(changes[place("docs/b.txt")], "removed");
    EXPECT_FALSE(changes.contains(place("docs/c.bin")));
    const std::string text = run({"diff", first_, second_}).out;
    EXPECT_THAT(text, HasSubstr("M " + place("a.txt") + "\n"));
    EXPECT_THAT(text, HasSubstr("+ " + place("docs/new.txt") + "\n"));
    EXPECT_THAT(text, HasSubstr("- " + place("docs/b.txt") + "\n"));
    EXPECT_THAT(run({"diff", second_, second_}).out, HasSubstr("no differences"));
}

TEST_F(Commands, VerifyStatsAndRepairSpeakJson) {
    make_two_snapshots();
    const Json verified = json({"verify", "--read-data", "--record"});
    EXPECT_TRUE(verified["intact"].get<bool>());
    EXPECT_EQ(verified["content"], "decrypted");
    EXPECT_EQ(verified["snapshots"].size(), 2U);
    EXPECT_EQ(json({"verify", first_})["snapshots"], Json::array({first_}));
    EXPECT_THAT(failure({"verify", "--sample", "200%"}, 2), HasSubstr("--sample"));

    const Json stats = json({"stats", "--detail"});
    EXPECT_EQ(stats["snapshots"], 2);
    EXPECT_EQ(stats["bytes"], repository_bytes());
    EXPECT_EQ(stats["sources"]["home"]["snapshots"], 2);

    std::filesystem::remove_all(repository() + "/index");
    EXPECT_GT(json({"repair", "index"})["blobs"], 0);
    EXPECT_GT(objects("index"), 0U);
    EXPECT_TRUE(json({"verify"})["intact"].get<bool>());
    EXPECT_TRUE(json({"version"}).contains("version"));
}

TEST_F(Commands, VerifyNamesDamageAndRestoreLeavesItOut) {
    init();
    for (int i = 0; i < 4; ++i)
        write_random("file-" + std::to_string(i), 900'000, static_cast<std::uint64_t>(i));
    settle();
    back_up();
    std::string damaged;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(repository() + "/packs")) {
        if (entry.is_regular_file() && entry.file_size() > 1'000'000) damaged = entry.path();
    }
    ASSERT_NE(damaged, "");
    std::filesystem::permissions(damaged, std::filesystem::perms(0600));
    std::fstream pack(damaged, std::ios::in | std::ios::out | std::ios::binary);
    pack.seekg(400'000);
    const char byte = static_cast<char>(pack.get());
    pack.seekp(400'000);
    pack.put(static_cast<char>(byte ^ 4));
    pack.close();

    const Json verified = json({"verify", "--read-data"}, 1);
    EXPECT_FALSE(verified["intact"].get<bool>());
    ASSERT_EQ(verified["damages"].size(), 1U);
    EXPECT_THAT(
        damaged,
        HasSubstr(
            std::filesystem::path(verified["damages"][0]["object"].get<std::string>()).filename().string()));
    // Files that have a part in the damaged frame, and no others.
    std::set<std::string> affected;
    for (const Json& path : verified["affected_paths"])
        affected.insert("/" + path["path"].get<std::string>());
    EXPECT_GE(affected.size(), 1U);
    EXPECT_LT(affected.size(), 4U);

    const Json restored = json({"restore", "latest", "--to", scratch.file("out")}, 3);
    EXPECT_EQ(restored["files"], 4);
    std::set<std::string> failed;
    for (const Json& problem : restored["problems"]) failed.insert(problem["path"]);
    EXPECT_EQ(failed, affected);
    EXPECT_EQ(restored["failed"], failed.size());
    for (int i = 0; i < 4; ++i) {
        const std::string file = place("file-" + std::to_string(i));
        const bool there = std::filesystem::exists(scratch.file("out") + file);
        EXPECT_EQ(there, !affected.contains(file)) << file;
        if (there) {
            EXPECT_EQ(content_of(scratch.file("out") + file), content_of(file));
        }
    }
}

TEST_F(Commands, ForgettingTheLastSnapshotMustBeSaid) {
    make_two_snapshots();
    EXPECT_EQ(json({"forget", first_})["forgotten"], Json::array({first_}));
    EXPECT_THAT(failure({"forget", second_}, 2), HasSubstr("--even-the-last"));
    EXPECT_EQ(json({"snapshots"}).size(), 1U);
    EXPECT_THAT(failure({"forget", "ffffffff"}, 2), HasSubstr("ffffffff"));
    // That it was forgotten is on record; of what was never there, nothing is.
    EXPECT_EQ(json({"forget", first_})["forgotten"], Json::array({first_}));
    EXPECT_THAT(run({"forget", first_}).out, HasSubstr("was forgotten before"));
    failure({"forget", first_.substr(0, 8)}, 2);
    failure({"forget", std::string(32, 'f')}, 2);
    EXPECT_EQ(json({"snapshots"}).size(), 1U);
    json({"forget", "--even-the-last", second_});
    EXPECT_EQ(json({"snapshots"}).size(), 0U);
}

TEST_F(Commands, PruneFreesWhatWasForgotten) {
    init();
    write_random("large", 5'000'000, 1);
    settle();
    const std::string first = back_up()["id"];
    std::filesystem::remove(place("large"));
    write("small", "text");
    settle();
    back_up();
    json({"forget", first});
    const std::uint64_t before = repository_bytes();
    const Json planned = json({"prune", "--dry-run"});
    EXPECT_GT(planned["deleted_bytes"], 4'900'000);
    EXPECT_EQ(repository_bytes(), before);
    const Json pruned = json({"prune"});
    EXPECT_GT(pruned["deleted_bytes"], 4'900'000);
    EXPECT_LT(repository_bytes(), before - 4'900'000);
    EXPECT_TRUE(json({"verify", "--read-data"})["intact"].get<bool>());
    expect_restore_equals_source();
}

TEST_F(Commands, KeysAreListedAddedRotatedAndRemoved) {
    init();
    write("a", "text");
    back_up();
    const std::string reader = scratch.file("reader");
    const Json added = json({"key", "add", "--label", "auditor", "--role", "read", "--new-key-file", reader});
    EXPECT_EQ(added["role"], "read");
    EXPECT_EQ(json({"key", "list"}).size(), 3U); // with the recovery key's
    RunOptions as_reader = options;
    as_reader.environment["HOLDFAST_KEY_FILE"] = reader;
    EXPECT_EQ(run({"cat", "latest", place("a")}, as_reader).out, "text");
    EXPECT_THAT(failure({"backup", "--source", "home", source()}, 1, as_reader), HasSubstr("role"));
    EXPECT_EQ(json({"key", "rotate"})["epoch"], 2);
    const Json removed = json({"key", "remove", "auditor"});
    EXPECT_NE(removed["remains_readable"], "");
    failure({"cat", "latest", place("a")}, 1, as_reader);
    const Json identity = json({"key", "identity", scratch.file("private")});
    json({"key", "add", "--label", "other", "--role", "read", "--identity", identity["identity"]});
    RunOptions as_other = options;
    as_other.environment.erase("HOLDFAST_KEY_FILE");
    as_other.environment["HOLDFAST_PRIVATE_KEY"] = scratch.file("private");
    EXPECT_EQ(run({"cat", "latest", place("a")}, as_other).out, "text");
}

TEST_F(Commands, WrongUsageEndsWithTwo) {
    init();
    for (const Words& words : std::vector<Words>{{},
                                                 {"no-such-command"},
                                                 {"backup", "--no-such-option"},
                                                 {"backup", source()},
                                                 {"backup", "--source", "home"},
                                                 {"backup", "--source", "home", "--tag", "x", source()},
                                                 {"restore", "latest"},
                                                 {"restore", "latest", "--to", "/tmp/x", "--delete"},
                                                 {"cat", "latest", "/x"},
                                                 {"key", "add", "--label", "x"},
                                                 {"snapshots", "--limit-upload", "fast"}}) {
        EXPECT_NE(failure(words, 2), "");
    }
    EXPECT_EQ(run({"--help"}).exit_code, 0);
    for (const std::string command : {"init", "backup", "snapshots", "ls", "find", "cat", "diff", "restore",
                                      "verify", "forget", "prune", "stats", "repair", "key", "version"}) {
        const ProgramRun help = run({command, "--help"});
        EXPECT_EQ(help.exit_code, 0);
        EXPECT_THAT(help.out, HasSubstr(command));
    }
}

} // namespace
} // namespace holdfast::test
