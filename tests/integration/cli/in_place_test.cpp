// Restoring over what is there: what would be done is told by name, and only what differs is done.
#include "support/holdfast_user.h"

#include <filesystem>
#include <fstream>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr uid_t nobody = 65534;

class InPlace : public HoldfastUser {
  protected:
    InPlace() { init(); }
    std::string target() const { return scratch.file("target"); }
    std::string restored(const std::string& path) const { return target() + place(path); }
    void back_up_and_restore() {
        settle();
        back_up();
        EXPECT_EQ(json({"restore", "latest", "--to", target()})["failed"], 0);
    }
    Words in_place(const Words& more) const {
        Words words{"restore", "latest", "--to", target(), "--in-place"};
        words.insert(words.end(), more.begin(), more.end());
        return words;
    }
    // "action path" of all changes of a dry run, below the source. The dry run must change nothing.
    std::vector<std::string> planned(Words more = {}) {
        const TreeListing before = list_tree(target());
        more.emplace_back("--dry-run");
        const Json result = json(in_place(more));
        std::vector<std::string> found;
        for (const Json& change : result["changes"]) {
            const std::string path = change["path"];
            EXPECT_TRUE(path.starts_with(source())) << path;
            found.push_back(change["action"].get<std::string>() + " " +
                            (path.size() > source().size() ? path.substr(source().size() + 1) : "."));
        }
        EXPECT_EQ(difference(before, list_tree(target())), "");
        return found;
    }
    static ino_t inode(const std::string& path) {
        struct stat status{};
        EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
        return status.st_ino;
    }
};

TEST_F(InPlace, ADryRunNamesWhatWouldBeDoneAndThenNothingIsLeftToDo) {
    write("changed", "text");
    write("gone", "text");
    write("gone too/deep/file", "text");
    write("linked", "one file");
    fs::create_hard_link(place("linked"), place("other name"));
    fs::create_symlink("changed", place("symlink"));
    write("same", "text");
    write("shut", "text");
    write("unlinked", "another file");
    fs::create_hard_link(place("unlinked"), place("unlinked too"));
    back_up_and_restore();
    EXPECT_THAT(planned(), IsEmpty());
    EXPECT_THAT(planned({"--delete"}), IsEmpty());

    std::ofstream(restored("changed")) << "something else";
    fs::remove(restored("gone"));
    fs::remove_all(restored("gone too"));
    fs::remove(restored("other name"));
    fs::remove(restored("symlink"));
    fs::create_symlink("same", restored("symlink"));
    ASSERT_EQ(::chmod(restored("shut").c_str(), 0600), 0);
    fs::remove(restored("unlinked too"));
    fs::copy_file(restored("unlinked"), restored("unlinked too"));
    std::ofstream(restored("extra")) << "not in the snapshot";
    fs::create_directories(restored("extra directory/with more"));
    settle();

    const std::vector<std::string> changes = {"metadata .",           "write changed",
                                              "create gone",          "create gone too",
                                              "create gone too/deep", "create gone too/deep/file",
                                              "link other name",      "metadata shut",
                                              "write symlink",        "link unlinked too"};
    EXPECT_THAT(planned(), testing::ElementsAreArray(changes));
    std::vector<std::string> with_removals = changes;
    with_removals.insert(with_removals.end(), {"remove extra", "remove extra directory"});
    EXPECT_THAT(planned({"--delete"}), testing::ElementsAreArray(with_removals));
    // People get the same as lines.
    const std::string text = run(in_place({"--delete", "--dry-run"})).out;
    EXPECT_THAT(text, HasSubstr("M " + place("changed") + "\n"));
    EXPECT_THAT(text, HasSubstr("+ " + place("gone too/deep") + "/\n"));
    EXPECT_THAT(text, HasSubstr("L " + place("other name") + "\n"));
    EXPECT_THAT(text, HasSubstr("m " + place("shut") + "\n"));
    EXPECT_THAT(text, HasSubstr("- " + place("extra directory") + "/\n"));
    EXPECT_THAT(text, HasSubstr("would delete 2 entries"));

    const Json done = json(in_place({"--delete"}));
    EXPECT_EQ(done["deleted"], 2);
    EXPECT_EQ(done["same_files"], 4); // linked, same, shut, unlinked
    EXPECT_EQ(done["written_bytes"], 12);
    EXPECT_EQ(difference(list_tree(source()), list_tree(target() + source())), "");
    EXPECT_THAT(planned({"--delete"}), IsEmpty());
}

TEST_F(InPlace, WhatIsRightIsNotWritten) {
    write("same", "text");
    write("changed", "text");
    write("linked", "one file");
    fs::create_hard_link(place("linked"), place("other name"));
    write_random("large", 20'000'000, 1);
    back_up_and_restore();
    std::ofstream(restored("changed")) << "TEXT";
    std::map<std::string, std::pair<ino_t, fs::file_time_type>> before;
    for (const std::string name : {"same", "linked", "other name", "large"})
        before[name] = {inode(restored(name)), fs::last_write_time(restored(name))};
    const Json done = json(in_place({}));
    EXPECT_EQ(done["written_bytes"], 4);
    for (const auto& [name, seen] : before) {
        EXPECT_EQ(inode(restored(name)), seen.first) << name;
        EXPECT_EQ(fs::last_write_time(restored(name)), seen.second) << name;
    }
    EXPECT_EQ(content_of(restored("changed")), "text");
}

TEST_F(InPlace, AFileWithNamesThatTheSnapshotDoesNotHaveIsLeftToThem) {
    write("a", "as it was");
    back_up_and_restore();
    // Somebody's own link to the same file, and then a change that both show.
    fs::create_hard_link(restored("a"), scratch.file("mine"));
    std::ofstream(restored("a")) << "as it is now";
    json(in_place({}));
    EXPECT_EQ(content_of(restored("a")), "as it was");
    EXPECT_EQ(content_of(scratch.file("mine")), "as it is now");
}

TEST_F(InPlace, DeletesOnlyInsideWhatIsRestored) {
    write("docs/a", "text");
    write("other/b", "text");
    back_up_and_restore();
    std::ofstream(restored("docs/extra.tmp")) << "x";
    std::ofstream(restored("docs/extra")) << "x";
    std::ofstream(restored("other/extra")) << "x";
    std::ofstream(target() + "/extra") << "x";
    fs::create_directory_symlink(scratch.path(), restored("docs/way out"));
    EXPECT_EQ(json(in_place({"--delete", "--path", place("docs"), "--exclude", "*.tmp"}))["deleted"], 2);
    EXPECT_FALSE(fs::exists(restored("docs/extra")));
    EXPECT_FALSE(fs::is_symlink(restored("docs/way out")));
    EXPECT_TRUE(fs::exists(scratch.file("key"))) << "a link was followed";
    EXPECT_TRUE(fs::exists(restored("docs/extra.tmp")));
    EXPECT_TRUE(fs::exists(restored("other/extra")));
    EXPECT_TRUE(fs::exists(target() + "/extra"));
    json(in_place({"--delete"}));
    EXPECT_FALSE(fs::exists(restored("other/extra")));
    EXPECT_FALSE(fs::exists(restored("docs/extra.tmp")));
    // Above what was backed up nothing is the snapshot's.
    EXPECT_TRUE(fs::exists(target() + "/extra"));
}

TEST_F(InPlace, ADirectoryGivesWayToAFileOnlyWithDelete) {
    write("thing", "a file");
    write("place/inside", "text");
    back_up_and_restore();
    fs::remove(restored("thing"));
    fs::create_directories(restored("thing/full of/work"));
    fs::remove_all(restored("place"));
    std::ofstream(restored("place")) << "a file now";
    for (const Words& words : {Words{}, Words{"--dry-run"}}) {
        const Json refused = json(in_place(words), 3);
        EXPECT_EQ(refused["failed"], 2);
        EXPECT_TRUE(fs::exists(restored("thing/full of/work")));
        EXPECT_EQ(content_of(restored("place")), "a file now");
    }
    json(in_place({"--delete"}));
    EXPECT_EQ(content_of(restored("thing")), "a file");
    EXPECT_EQ(content_of(restored("place/inside")), "text");
}

TEST_F(InPlace, OnlyDirectoriesWithSomethingWantedAreMade) {
    write("docs/a.txt", "a");
    write("docs/deep/er/b.txt", "b");
    write("docs/none/c.bin", "c");
    fs::create_directories(place("docs/empty"));
    fs::create_directories(place("pictures.txt/inside"));
    write("other/d.bin", "d");
    settle();
    back_up();
    const auto directories = [&](Words more) {
        fs::remove_all(target());
        more.insert(more.begin(), {"restore", "latest", "--to", target()});
        const Json result = json(more);
        std::set<std::string> found;
        for (const auto& entry : fs::recursive_directory_iterator(target())) {
            if (!entry.is_directory()) continue;
            const std::string path = entry.path().string().substr(target().size());
            if (path.size() > source().size()) found.insert(path.substr(source().size() + 1));
        }
        // Those above the source are counted, too.
        EXPECT_GE(result["directories"], found.size());
        return found;
    };
    EXPECT_THAT(directories({"--include", "*.txt"}),
                ElementsAre("docs", "docs/deep", "docs/deep/er", "pictures.txt", "pictures.txt/inside"));
    EXPECT_THAT(directories({"--include", "empty/"}), ElementsAre("docs", "docs/empty"));
    fs::remove_all(target());
    failure({"restore", "latest", "--to", target(), "--include", "d.bin", "--path", place("docs")}, 2);
    EXPECT_TRUE(fs::is_empty(target()));
    EXPECT_THAT(directories({"--exclude", "docs/", "--exclude", "pictures.txt"}), ElementsAre("other"));
    // Directories above get the metadata that they had.
    ASSERT_EQ(::chmod(place("docs").c_str(), 0710), 0);
    settle();
    back_up();
    directories({"--include", "b.txt"});
    EXPECT_EQ(fs::status(restored("docs")).permissions(), fs::perms(0710));
    // In place they are not made either, and those that are there stay as they are.
    ASSERT_EQ(::chmod(restored("docs").c_str(), 0700), 0);
    json(in_place({"--include", "a.txt"}));
    EXPECT_EQ(content_of(restored("docs/a.txt")), "a");
    EXPECT_FALSE(fs::exists(restored("other")));
    EXPECT_FALSE(fs::exists(restored("docs/none")));
    EXPECT_EQ(fs::status(restored("docs")).permissions(), fs::perms(0700));
    EXPECT_THAT(planned({"--include", "c.bin"}), ElementsAre("create docs/none", "create docs/none/c.bin"));
}

// Content of a file with several names lies in a damaged pack: no name of it is made, or changed by halves.
TEST_F(InPlace, NoNameOfAFileThatCannotBeProvenIsMade) {
    write_random("a", 1'500'000, 1);
    fs::create_hard_link(place("a"), place("b"));
    fs::create_directory(place("sub"));
    fs::create_hard_link(place("a"), place("sub/c"));
    write("fine", "text");
    settle();
    back_up();
    std::string pack;
    for (const auto& entry : fs::recursive_directory_iterator(repository() + "/packs")) {
        if (entry.is_regular_file() && entry.file_size() > 1'000'000) pack = entry.path();
    }
    ASSERT_NE(pack, "");
    fs::permissions(pack, fs::perms(0600));
    {
        std::fstream bytes(pack, std::ios::in | std::ios::out | std::ios::binary);
        bytes.seekg(500'000);
        const char byte = static_cast<char>(bytes.get());
        bytes.seekp(500'000);
        bytes.put(static_cast<char>(byte ^ 1));
    }
    const Json result = json({"restore", "latest", "--to", target()}, 3);
    std::set<std::string> failed;
    for (const Json& problem : result["problems"]) failed.insert(problem["path"]);
    EXPECT_EQ(failed, (std::set<std::string>{place("a"), place("b"), place("sub/c")}));
    for (const std::string name : {"a", "b", "sub/c"}) EXPECT_FALSE(fs::exists(restored(name))) << name;
    EXPECT_EQ(content_of(restored("fine")), "text");

    // Over an older tree: what is there under these names stays what it was.
    std::ofstream(restored("b")) << "mine";
    const Json again = json(in_place({}), 3);
    EXPECT_EQ(again["failed"], 3);
    EXPECT_EQ(content_of(restored("b")), "mine");
    EXPECT_FALSE(fs::exists(restored("a")));
}

TEST_F(InPlace, WhoIsNotRootGetsFilesOfHisOwnAndIsTold) {
    ASSERT_EQ(::geteuid(), 0U) << "this test must run as root";
    write("of root", "text");
    write("of another", "text");
    ASSERT_EQ(::chown(place("of another").c_str(), 1234, 1234), 0);
    ASSERT_EQ(::chmod(place("of another").c_str(), 0755), 0);
    settle();
    back_up();
    // A user without privileges, with copies where he can reach them.
    const std::string program = scratch.file("program");
    fs::copy_file(HOLDFAST_PROGRAM, program);
    fs::permissions(program, fs::perms(0755));
    fs::create_directory(scratch.file("his"));
    ASSERT_EQ(::chown(scratch.file("his").c_str(), nobody, nobody), 0);
    ASSERT_EQ(
        run_program(
            {"/bin/chown", "-R", "65534:65534", repository(), scratch.file("key"), scratch.file("home")}, {})
            .exit_code,
        0);
    RunOptions as = options;
    as.user = nobody;
    const auto restore_to = [&](const std::string& name, const Words& more) {
        Words words{program, "restore", "latest", "--to", scratch.file("his/" + name)};
        words.insert(words.end(), more.begin(), more.end());
        return run_program(words, as);
    };
    const ProgramRun told = restore_to("one", {"--json"});
    EXPECT_EQ(told.exit_code, 0) << told.out << told.error;
    const Json result = Json::parse(told.out);
    EXPECT_EQ(result["failed"], 0);
    EXPECT_GE(result["owner_failures"], 2);
    EXPECT_THAT(told.error, HasSubstr(fmt::format("entries={}", result["owner_failures"].get<int>())));
    EXPECT_THAT(told.error, HasSubstr("--no-owner"));
    EXPECT_EQ(std::ranges::count(told.error, '\n'), 1) << told.error;
    EXPECT_EQ(content_of(scratch.file("his/one") + place("of another")), "text");
    EXPECT_EQ(fs::status(scratch.file("his/one") + place("of another")).permissions(), fs::perms(0755));

    const ProgramRun silent = restore_to("two", {"--no-owner"});
    EXPECT_EQ(silent.exit_code, 0);
    EXPECT_THAT(silent.error, Not(HasSubstr("owner")));

    // A program that would run with another's rights does not keep them: that differs, and is said.
    ASSERT_EQ(::chmod(place("of another").c_str(), 04755), 0);
    settle();
    ASSERT_EQ(
        run_program({"/bin/chown", "-R", "0:0", repository(), scratch.file("key"), scratch.file("home")}, {})
            .exit_code,
        0);
    back_up();
    ASSERT_EQ(
        run_program(
            {"/bin/chown", "-R", "65534:65534", repository(), scratch.file("key"), scratch.file("home")}, {})
            .exit_code,
        0);
    const ProgramRun dropped = restore_to("three", {});
    EXPECT_EQ(dropped.exit_code, 3);
    EXPECT_THAT(dropped.out, HasSubstr("set-user-id"));
    EXPECT_EQ(fs::status(scratch.file("his/three") + place("of another")).permissions(), fs::perms(0755));
}

} // namespace
} // namespace holdfast::test
