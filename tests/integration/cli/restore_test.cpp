// What comes back: every kind of entry, all of it or a part, into an empty place or over what is there.
#include "base/bytes.h"
#include "support/holdfast_user.h"

#include <filesystem>
#include <fstream>
#include <set>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using testing::HasSubstr;

class Restore : public HoldfastUser {
  protected:
    Restore() { init(); }
    Json json_of_restore() { return json({"restore", "latest", "--to", target()}); }
    std::string target() const { return scratch.file("target"); }
    std::string restored(const std::string& path) const { return target() + place(path); }
};

TEST_F(Restore, CountsWhatTheBackupCounted) {
    write("a", "one");
    write("deep/er/b", "two");
    fs::create_symlink("a", place("link"));
    const Json made = back_up();
    const Json result = json_of_restore();
    EXPECT_EQ(result["files"], 2);
    EXPECT_EQ(result["directories"], made["directories"]);
    EXPECT_EQ(result["others"], 1);
    EXPECT_EQ(result["bytes"], made["size_bytes"]);
}

// Large files go to the disk while they are written, small ones at the end.
TEST_F(Restore, IsTheSameWithSync) {
    std::string large(17u << 20, 'a');
    for (std::size_t i = 0; i < large.size(); i += 97) large[i] = static_cast<char>(i % 251);
    write("large", large);
    write("small", "text");
    back_up();
    const Json result = json({"restore", "latest", "--to", target(), "--sync"});
    EXPECT_EQ(result["bytes"], large.size() + 4);
    EXPECT_TRUE(content_of(restored("large")) == large);
    EXPECT_EQ(content_of(restored("small")), "text");
}

TEST_F(Restore, BringsBackEveryKindOfEntry) {
    write("plain", "text");
    write("empty", "");
    write("owned", "text");
    ASSERT_EQ(::chown(place("owned").c_str(), 1234, 5678), 0);
    ASSERT_EQ(::chmod(place("owned").c_str(), 06751), 0);
    fs::create_hard_link(place("plain"), place("other name"));
    fs::create_symlink("plain", place("link"));
    fs::create_symlink("nowhere/at all", place("dangling"));
    ASSERT_EQ(::mkfifo(place("pipe").c_str(), 0640), 0);
    ASSERT_EQ(::mknod(place("null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
    fs::create_directories(place("sticky/inner"));
    ASSERT_EQ(::chmod(place("sticky").c_str(), 01777), 0);
    write("tagged", "text");
    ASSERT_EQ(::setxattr(place("tagged").c_str(), "user.colour", "blue\0green", 10, 0), 0);
    ASSERT_EQ(::setxattr(place("sticky").c_str(), "user.empty", "", 0, 0), 0);
    ASSERT_EQ(run_program({"/usr/bin/setfacl", "-m", "u:1234:rw,g:99:r", place("tagged")}, {}).exit_code, 0);
    ASSERT_EQ(run_program({"/usr/bin/setfacl", "-d", "-m", "u:1234:rx", place("sticky/inner")}, {}).exit_code,
              0);
    const timespec times[2] = {{1'000'000'000, 1}, {-86'400, 999'999'999}};
    ASSERT_EQ(::utimensat(AT_FDCWD, place("plain").c_str(), times, 0), 0);
    ASSERT_EQ(::utimensat(AT_FDCWD, place("link").c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
    ASSERT_EQ(::utimensat(AT_FDCWD, place("sticky").c_str(), times, 0), 0);
    const Json made = back_up();
    EXPECT_EQ(made["state"], "complete");
    expect_restore_equals_source();
    const TreeListing before = list_tree(source());
    EXPECT_THAT(before.at("tagged"), HasSubstr("system.posix_acl_access"));
    EXPECT_THAT(before.at("plain"), HasSubstr("same as other name"));
}

TEST_F(Restore, BringsBackNamesOfAnyBytesAndDeepPaths) {
    write("caf\xe9", "latin 1");
    write("new\nline", "text");
    write("\xff\xfe", "no encoding at all");
    write(std::string(255, 'n'), "long");
    // A path of more than 4,096 bytes can only be made step by step.
    int directory = ::open(source().c_str(), O_RDONLY | O_DIRECTORY);
    const std::string step(200, 'd');
    for (int level = 0; level < 30; ++level) {
        ASSERT_EQ(::mkdirat(directory, step.c_str(), 0755), 0);
        const int below = ::openat(directory, step.c_str(), O_RDONLY | O_DIRECTORY);
        ::close(directory);
        directory = below;
    }
    const int deep = ::openat(directory, "deep", O_WRONLY | O_CREAT, 0644);
    ASSERT_EQ(::write(deep, "down here", 9), 9);
    ::close(deep);
    ::close(directory);

    EXPECT_EQ(back_up()["state"], "complete");
    ASSERT_EQ(json_of_restore()["failed"], 0);
    EXPECT_EQ(content_of(restored("caf\xe9")), "latin 1");
    EXPECT_EQ(content_of(restored("new\nline")), "text");
    EXPECT_EQ(content_of(restored("\xff\xfe")), "no encoding at all");
    EXPECT_EQ(content_of(restored(std::string(255, 'n'))), "long");
    directory = ::open(restored("").c_str(), O_RDONLY | O_DIRECTORY);
    for (int level = 0; level < 30; ++level) {
        const int below = ::openat(directory, step.c_str(), O_RDONLY | O_DIRECTORY);
        ASSERT_GE(below, 0) << level;
        ::close(directory);
        directory = below;
    }
    char text[16] = {};
    const int file = ::openat(directory, "deep", O_RDONLY);
    EXPECT_EQ(::read(file, text, sizeof text), 9);
    EXPECT_STREQ(text, "down here");
    ::close(file);
    ::close(directory);
    // Shown with every byte that is no text made printable, in JSON that stays JSON.
    EXPECT_EQ(json({"ls", "latest", source()}).size(), 5U);
    EXPECT_EQ(run({"cat", "latest", place("caf\xe9")}).out, "latin 1");
    for (const std::string& tree : {source(), target()}) run_program({"/bin/rm", "-rf", tree}, {});
}

TEST_F(Restore, KeepsHolesAsHoles) {
    const int file = ::open(place("sparse").c_str(), O_WRONLY | O_CREAT, 0644);
    ASSERT_EQ(::ftruncate(file, 4LL << 30), 0);
    ASSERT_EQ(::pwrite(file, "begin", 5, 0), 5);
    ASSERT_EQ(::pwrite(file, "middle", 6, 2LL << 30), 6);
    ::close(file);
    settle();
    const Json made = back_up();
    EXPECT_EQ(made["size_bytes"], 4LL << 30);
    EXPECT_LT(made["read_bytes"], 16 << 20);
    ASSERT_EQ(json_of_restore()["failed"], 0);
    struct stat status{};
    ASSERT_EQ(::stat(restored("sparse").c_str(), &status), 0);
    EXPECT_EQ(status.st_size, 4LL << 30);
    EXPECT_LT(status.st_blocks * 512, 16 << 20);
    std::ifstream in(restored("sparse"), std::ios::binary);
    in.seekg(2LL << 30);
    std::string text(6, ' ');
    in.read(text.data(), 6);
    EXPECT_EQ(text, "middle");
}

TEST_F(Restore, TakesOnePathOrWhatMatches) {
    write("docs/a.txt", "a");
    write("docs/b.bin", "b");
    write("docs/deeper/c.txt", "c");
    write("other/d.txt", "d");
    back_up();
    const auto restored_files = [&](Words words) {
        fs::remove_all(target());
        words.insert(words.begin(), {"restore", "latest", "--to", target()});
        json(words);
        std::set<std::string> found;
        for (const auto& entry : fs::recursive_directory_iterator(target())) {
            if (entry.is_regular_file()) found.insert(entry.path().filename());
        }
        return found;
    };
    using Names = std::set<std::string>;
    EXPECT_EQ(restored_files({}), (Names{"a.txt", "b.bin", "c.txt", "d.txt"}));
    EXPECT_EQ(restored_files({"--path", place("docs")}), (Names{"a.txt", "b.bin", "c.txt"}));
    EXPECT_EQ(restored_files({"--path", place("docs/a.txt")}), (Names{"a.txt"}));
    EXPECT_EQ(restored_files({"--path", place("docs/deeper"), "--path", place("other")}),
              (Names{"c.txt", "d.txt"}));
    EXPECT_EQ(restored_files({"--include", "*.txt"}), (Names{"a.txt", "c.txt", "d.txt"}));
    EXPECT_EQ(restored_files({"--exclude", "*.txt"}), (Names{"b.bin"}));
    EXPECT_EQ(restored_files({"--path", place("docs"), "--include", "*.txt"}), (Names{"a.txt", "c.txt"}));
    fs::remove_all(target());
    EXPECT_THAT(failure({"restore", "latest", "--to", target(), "--path", "/no/such"}, 2),
                HasSubstr("'/no/such'"));
    EXPECT_THAT(failure({"restore", "latest", "--to", target(), "--include", "*.zzz"}, 2),
                HasSubstr("nothing in the snapshot matches --include"));
    EXPECT_THAT(failure({"restore", "12345678", "--to", target()}, 2), HasSubstr("12345678"));
}

TEST_F(Restore, SaysWhatADryRunWouldWrite) {
    write("docs/a.txt", "text");
    write("docs/b.bin", "more");
    back_up();
    const Json made = json({"restore", "latest", "--to", target(), "--dry-run"});
    EXPECT_EQ(made["files"], 2);
    EXPECT_EQ(made["written_bytes"], 8);
    std::set<std::string> named;
    for (const Json& change : made["changes"]) {
        EXPECT_EQ(change["action"], "create");
        named.insert(change["path"]);
    }
    EXPECT_TRUE(named.contains(place("docs")));
    EXPECT_TRUE(named.contains(place("docs/a.txt")));
    EXPECT_FALSE(fs::exists(target()));
    const std::string some =
        run({"restore", "latest", "--to", target(), "--dry-run", "--in-place", "--include", "*.txt"}).out;
    EXPECT_THAT(some, HasSubstr("+ " + place("docs/a.txt") + "\n"));
    EXPECT_THAT(some, testing::Not(HasSubstr("b.bin")));
    EXPECT_FALSE(fs::exists(target()));
    // Empty, and then not.
    fs::create_directory(target());
    EXPECT_THAT(run({"restore", "latest", "--to", target(), "--dry-run"}).out,
                HasSubstr("+ " + place("docs/b.bin") + "\n"));
    EXPECT_TRUE(fs::is_empty(target()));
    std::ofstream(target() + "/mine") << "text";
    failure({"restore", "latest", "--to", target(), "--dry-run"}, 2);
}

TEST_F(Restore, SaysThatThereIsNoSuchSnapshot) {
    write("a", "text");
    back_up();
    EXPECT_THAT(failure({"restore", "mistyped", "--to", target()}, 2),
                HasSubstr("there is no snapshot 'mistyped'"));
    EXPECT_THAT(failure({"restore", "home", "--to", target()}, 2),
                HasSubstr("'home' is a source of documents"));
    EXPECT_FALSE(fs::exists(target()));
}

// What JSON says can be given back.
TEST_F(Restore, JsonHasNamesAsTheyAre) {
    write("new\nline", "text");
    write("back\\slash", "more");
    write("caf\xe9", "latin 1");
    back_up();
    std::set<std::string> contents;
    for (const Json& entry : json({"ls", "latest", source()})) {
        std::string path = entry["path"];
        if (entry.contains("path_hex")) {
            EXPECT_THAT(path, testing::EndsWith("caf\\xe9"));
            path = place("caf\xe9");
            EXPECT_EQ(entry["path_hex"], to_hex(as_bytes(path)));
        }
        contents.insert(run({"cat", "latest", path}).out);
    }
    EXPECT_EQ(contents, (std::set<std::string>{"text", "more", "latin 1"}));
    EXPECT_EQ(json({"find", "new*"})[0]["path"], place("new\nline"));
    EXPECT_EQ(run({"find", "new*"}).out.find("\nline"), std::string::npos);
}

TEST_F(Restore, RefusesAPlaceThatIsNotEmpty) {
    write("a", "text");
    back_up();
    fs::create_directory(target());
    std::ofstream(target() + "/mine") << "do not touch";
    EXPECT_THAT(failure({"restore", "latest", "--to", target()}, 2), HasSubstr("--in-place"));
    EXPECT_EQ(fs::exists(restored("a")), false);
    EXPECT_EQ(content_of(target() + "/mine"), "do not touch");
}

TEST_F(Restore, InPlaceWritesOnlyWhatDiffers) {
    write("same", "text");
    write("changed", "text");
    write_random("large", 20'000'000, 1);
    write("gone", "text");
    settle();
    back_up();
    const TreeListing wanted = list_tree(source());
    ASSERT_EQ(json_of_restore()["failed"], 0);

    std::ofstream(restored("changed")) << "something else";
    fs::remove(restored("gone"));
    std::ofstream(restored("extra")) << "not in the snapshot";
    {
        std::fstream large(restored("large"), std::ios::in | std::ios::out | std::ios::binary);
        large.seekp(10'000'000);
        large << "changed in the middle";
    }
    const TreeListing spoilt = list_tree(restored(""));
    const Json planned = json({"restore", "latest", "--to", target(), "--in-place", "--delete", "--dry-run"});
    EXPECT_EQ(planned["deleted"], 1);
    EXPECT_EQ(difference(spoilt, list_tree(restored(""))), "");

    const Json done = json({"restore", "latest", "--to", target(), "--in-place"});
    EXPECT_EQ(done["same_files"], 1);
    EXPECT_LT(done["written_bytes"], 1'000'000);
    EXPECT_EQ(done["written_bytes"], planned["written_bytes"]);
    EXPECT_TRUE(fs::exists(restored("extra")));
    const Json cleared = json({"restore", "latest", "--to", target(), "--in-place", "--delete"});
    EXPECT_EQ(cleared["deleted"], 1);
    EXPECT_EQ(cleared["written_bytes"], 0);
    EXPECT_EQ(difference(wanted, list_tree(target() + source())), "");
}

} // namespace
} // namespace holdfast::test
