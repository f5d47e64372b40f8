#include "documents/entry_writer.h"
#include "documents/remove_tree.h"
#include "temporary_tree.h"

#include <stop_token>
#include <thread>

#include <sys/mount.h>
#include <sys/sysmacros.h>

namespace holdfast {
namespace {

std::string link_target(const TemporaryTree& tree, const std::string& name) {
    std::string target(5000, '\0');
    const ssize_t got = ::readlinkat(tree.fd(), name.c_str(), target.data(), target.size());
    EXPECT_GE(got, 0) << errno;
    target.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return target;
}

TEST(EntryWriter, MakesDirectories) {
    const TemporaryTree tree;
    const FileDescriptor directory = make_directory(tree.fd(), "d", Existing::refuse);
    EXPECT_TRUE(directory);
    EXPECT_EQ(tree.status("d").st_mode & 07777U, 0700U);
    EXPECT_EQ(thrown_code([&] { make_directory(tree.fd(), "d", Existing::refuse); }),
              ErrorCode::already_exists);
    tree.file("d/kept");
    EXPECT_TRUE(make_directory(tree.fd(), "d", Existing::update));
    EXPECT_TRUE(make_directory(tree.fd(), "d", Existing::replace));
    EXPECT_TRUE(tree.exists("d/kept"));
}

TEST(EntryWriter, ADirectoryNeverLeadsThroughALink) {
    const TemporaryTree outside;
    const TemporaryTree tree;
    tree.link("d", outside.path());
    EXPECT_EQ(thrown_code([&] { make_directory(tree.fd(), "d", Existing::refuse); }),
              ErrorCode::already_exists);
    const FileDescriptor directory = make_directory(tree.fd(), "d", Existing::update);
    ASSERT_EQ(::mkdirat(directory.get(), "inside", 0700), 0);
    EXPECT_TRUE(S_ISDIR(tree.status("d").st_mode));
    EXPECT_FALSE(outside.exists("inside"));
}

TEST(EntryWriter, MakesLinks) {
    const TemporaryTree tree;
    EXPECT_EQ(make_symlink(tree.fd(), "l", "../\xff where\n", Existing::refuse), CreateOutcome::created);
    EXPECT_EQ(link_target(tree, "l"), "../\xff where\n");
    const ino_t inode = tree.status("l").st_ino;
    EXPECT_EQ(make_symlink(tree.fd(), "l", "../\xff where\n", Existing::update), CreateOutcome::kept);
    EXPECT_EQ(tree.status("l").st_ino, inode);
    EXPECT_EQ(make_symlink(tree.fd(), "l", "../\xff wher", Existing::update), CreateOutcome::created);
    EXPECT_EQ(link_target(tree, "l"), "../\xff wher");
    EXPECT_EQ(thrown_code([&] { make_symlink(tree.fd(), "l", "x", Existing::refuse); }),
              ErrorCode::already_exists);
    for (const std::string& bad : {std::string(), std::string("a\0b", 3), std::string(4096, 'x')}) {
        EXPECT_EQ(thrown_code([&] { make_symlink(tree.fd(), "m", bad, Existing::update); }),
                  ErrorCode::corrupt);
    }
    EXPECT_EQ(thrown_code([&] { make_symlink(tree.fd(), "../m", "x", Existing::update); }),
              ErrorCode::corrupt);
}

TEST(EntryWriter, MakesHardLinks) {
    const TemporaryTree tree;
    tree.file("a");
    tree.file("b", "other");
    tree.link("l", "a");
    EXPECT_EQ(make_hard_link(tree.fd(), "a", tree.fd(), "c", Existing::refuse), CreateOutcome::created);
    EXPECT_EQ(tree.status("a").st_ino, tree.status("c").st_ino);
    EXPECT_EQ(make_hard_link(tree.fd(), "a", tree.fd(), "c", Existing::update), CreateOutcome::kept);
    EXPECT_EQ(thrown_code([&] { make_hard_link(tree.fd(), "a", tree.fd(), "b", Existing::refuse); }),
              ErrorCode::already_exists);
    EXPECT_EQ(make_hard_link(tree.fd(), "a", tree.fd(), "b", Existing::update), CreateOutcome::created);
    EXPECT_EQ(tree.status("a").st_nlink, 3U);
    EXPECT_EQ(make_hard_link(tree.fd(), "l", tree.fd(), "m", Existing::refuse), CreateOutcome::created);
    EXPECT_TRUE(S_ISLNK(tree.status("m").st_mode));
    EXPECT_EQ(thrown_code([&] { make_hard_link(tree.fd(), "gone", tree.fd(), "b", Existing::update); }),
              ErrorCode::not_found);
    EXPECT_TRUE(tree.exists("b"));
    EXPECT_EQ(thrown_code([&] { make_hard_link(tree.fd(), "../x", tree.fd(), "n", Existing::update); }),
              ErrorCode::corrupt);
}

TEST(EntryWriter, MakesFifosAndDevices) {
    const TemporaryTree tree;
    FileMetadata metadata;
    metadata.type = FileType::fifo;
    EXPECT_EQ(make_special(tree.fd(), "fifo", metadata, Existing::refuse), CreateOutcome::created);
    EXPECT_TRUE(S_ISFIFO(tree.status("fifo").st_mode));
    EXPECT_EQ(make_special(tree.fd(), "fifo", metadata, Existing::update), CreateOutcome::kept);
    metadata.type = FileType::char_device;
    metadata.rdev_major = 1;
    metadata.rdev_minor = 3;
    EXPECT_EQ(make_special(tree.fd(), "null", metadata, Existing::refuse), CreateOutcome::created)
        << "this test must run as root";
    EXPECT_EQ(tree.status("null").st_rdev, makedev(1, 3));
    metadata.rdev_minor = 5;
    EXPECT_EQ(make_special(tree.fd(), "null", metadata, Existing::update), CreateOutcome::created);
    EXPECT_EQ(tree.status("null").st_rdev, makedev(1, 5));
    metadata.type = FileType::block_device;
    metadata.rdev_minor = 70'000;
    EXPECT_EQ(make_special(tree.fd(), "block", metadata, Existing::refuse), CreateOutcome::created);
    EXPECT_TRUE(S_ISBLK(tree.status("block").st_mode));
    EXPECT_EQ(tree.status("block").st_rdev, makedev(1, 70'000));
    metadata.type = FileType::socket;
    EXPECT_EQ(make_special(tree.fd(), "socket", metadata, Existing::refuse), CreateOutcome::skipped);
    EXPECT_FALSE(tree.exists("socket"));
    metadata.type = FileType::regular;
    EXPECT_EQ(thrown_code([&] { make_special(tree.fd(), "x", metadata, Existing::refuse); }),
              ErrorCode::internal);
}

TEST(EntryWriter, DevicesNeedPrivilege) {
    const TemporaryTree tree;
    ASSERT_EQ(::chmod(tree.path().c_str(), 0777), 0);
    expect_as_nobody([&] {
        FileMetadata metadata;
        metadata.type = FileType::char_device;
        metadata.rdev_major = 1;
        metadata.rdev_minor = 3;
        return make_special(tree.fd(), "null", metadata, Existing::refuse) == CreateOutcome::not_permitted &&
               make_special(tree.fd(), "null", metadata, Existing::update) == CreateOutcome::not_permitted;
    });
    EXPECT_FALSE(tree.exists("null"));
}

TEST(EntryWriter, ReadOnlyDirectoriesOfOurOwnAreOpenedUp) {
    const TemporaryTree tree;
    ASSERT_EQ(::chmod(tree.path().c_str(), 0777), 0);
    expect_as_nobody([&] {
        make_directory(tree.fd(), "d", Existing::refuse);
        if (::fchmodat(tree.fd(), "d", 0500, 0) != 0) return false;
        const FileDescriptor again = make_directory(tree.fd(), "d", Existing::update);
        return ::mkdirat(again.get(), "inner", 0700) == 0;
    });
    EXPECT_TRUE(tree.exists("d/inner"));
}

TEST(EntryWriter, OpensTheTargetAndMakesItsParents) {
    const TemporaryTree tree;
    tree.directory("real");
    tree.link("link", "real");
    const FileDescriptor target = open_restore_target(tree.path("link/a/b/"));
    ASSERT_EQ(::mkdirat(target.get(), "c", 0700), 0);
    EXPECT_TRUE(tree.exists("real/a/b/c"));
    tree.file("file");
    EXPECT_THROW(open_restore_target(tree.path("file/x")), Error);
    EXPECT_EQ(thrown_code([] { open_restore_target(""); }), ErrorCode::usage);
}

TEST(RemoveTree, RemovesEverythingButNothingBehindLinks) {
    const TemporaryTree outside;
    outside.file("kept");
    outside.directory("also");
    const TemporaryTree tree;
    for (const char* name : {"t", "t/a", "t/a/b", "t/empty"}) tree.directory(name);
    for (const char* name : {"t/1", "t/a/2", "t/a/b/3", "t/a/b/\xff\n"}) tree.file(name);
    tree.link("t/link", outside.path());
    tree.link("t/a/self", ".");
    ASSERT_EQ(::mkfifoat(tree.fd(), "t/fifo", 0600), 0);
    tree.file("neighbour");
    remove_tree(tree.fd(), "t");
    EXPECT_FALSE(tree.exists("t"));
    EXPECT_TRUE(tree.exists("neighbour"));
    EXPECT_TRUE(outside.exists("kept"));
    EXPECT_TRUE(outside.exists("also"));
    EXPECT_NO_THROW(remove_tree(tree.fd(), "t"));
    tree.link("l", outside.path());
    remove_tree(tree.fd(), "l");
    EXPECT_FALSE(tree.exists("l"));
    EXPECT_TRUE(outside.exists("kept"));
    for (const char* bad : {"..", ".", "", "a/b"})
        EXPECT_EQ(thrown_code([&] { remove_tree(tree.fd(), bad); }), ErrorCode::corrupt);
}

TEST(RemoveTree, RemovesDeepAndWideTrees) {
    const TemporaryTree tree;
    tree.directory("t");
    FileDescriptor current = open_file(tree.path("t"), O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < 500; ++i) {
        ASSERT_EQ(::mkdirat(current.get(), "directory-name", 0755), 0);
        ASSERT_EQ(::mkdirat(current.get(), "z", 0755), 0);
        current = FileDescriptor(::openat(current.get(), "directory-name", O_RDONLY | O_DIRECTORY));
    }
    for (int i = 0; i < 2000; ++i) tree.directory("t/wide-" + std::to_string(i));
    remove_tree(tree.fd(), "t");
    EXPECT_FALSE(tree.exists("t"));
}

TEST(RemoveTree, StopsAtMountPoints) {
    const TemporaryTree tree;
    tree.directory("t");
    tree.directory("t/mounted");
    ASSERT_EQ(::mount("none", tree.path("t/mounted").c_str(), "tmpfs", 0, "size=1m"), 0)
        << "this test must run as root";
    tree.file("t/mounted/precious");
    EXPECT_EQ(thrown_code([&] { remove_tree(tree.fd(), "t"); }), ErrorCode::unsupported);
    EXPECT_TRUE(tree.exists("t/mounted/precious"));
    ASSERT_EQ(::umount(tree.path("t/mounted").c_str()), 0);
}

TEST(RemoveTree, OpensUpOwnDirectories) {
    const TemporaryTree tree;
    ASSERT_EQ(::chmod(tree.path().c_str(), 0777), 0);
    expect_as_nobody([&] {
        for (const char* name : {"t", "t/read-only", "t/closed"}) {
            if (::mkdirat(tree.fd(), name, 0755) != 0) return false;
        }
        for (const char* name : {"t/read-only/x", "t/closed/x"}) {
            if (::mknodat(tree.fd(), name, S_IFREG | 0400, 0) != 0) return false;
        }
        if (::fchmodat(tree.fd(), "t/read-only", 0555, 0) != 0 ||
            ::fchmodat(tree.fd(), "t/closed", 0, 0) != 0)
            return false;
        remove_tree(tree.fd(), "t");
        return true;
    });
    EXPECT_FALSE(tree.exists("t"));
}

TEST(RemoveTree, NamesWhatItMayNotRemove) {
    const TemporaryTree tree;
    tree.directory("t");
    tree.file("t/x");
    expect_as_nobody(
        [&] { return thrown_code([&] { remove_tree(tree.fd(), "t"); }) == ErrorCode::access_denied; });
    EXPECT_TRUE(tree.exists("t/x"));
}

// Somebody swaps a directory and a link to a precious one all the time while we remove.
TEST(RemoveTree, SurvivesASymlinkRace) {
    const TemporaryTree outside;
    outside.file("precious");
    const TemporaryTree tree;
    tree.directory("swap");
    tree.link("link", outside.path());
    const std::jthread attacker([&](const std::stop_token& stop) {
        while (!stop.stop_requested()) ::renameat2(tree.fd(), "link", tree.fd(), "swap", RENAME_EXCHANGE);
    });
    for (int i = 0; i < 2000; ++i) {
        try {
            remove_tree(tree.fd(), "swap");
        } catch (const Error&) { // it became something else in between: an error is fine, harm is not
        }
        ASSERT_TRUE(outside.exists("precious"));
        ::mkdirat(tree.fd(), "swap", 0755);
        const FileDescriptor inside(::openat(tree.fd(), "swap", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
        if (inside) ::mknodat(inside.get(), "precious", S_IFREG | 0600, 0);
        ASSERT_TRUE(::symlinkat(outside.path().c_str(), tree.fd(), "link") == 0 || errno == EEXIST);
    }
}

// The same against restoring: nothing may appear behind the link.
TEST(EntryWriter, SurvivesASymlinkRace) {
    const TemporaryTree outside;
    const TemporaryTree tree;
    tree.directory("swap");
    tree.link("link", outside.path());
    const std::jthread attacker([&](const std::stop_token& stop) {
        while (!stop.stop_requested()) ::renameat2(tree.fd(), "link", tree.fd(), "swap", RENAME_EXCHANGE);
    });
    for (int i = 0; i < 2000; ++i) {
        try {
            const FileDescriptor directory = make_directory(tree.fd(), "swap", Existing::update);
            FileWriter::open(directory.get(), "file", Existing::update).write(0, as_bytes("x"));
        } catch (const Error&) {
        }
        ASSERT_FALSE(outside.exists("file"));
        ASSERT_TRUE(::symlinkat(outside.path().c_str(), tree.fd(), "link") == 0 || errno == EEXIST);
    }
}

} // namespace
} // namespace holdfast
