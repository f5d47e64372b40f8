#include "documents/directory_reader.h"
#include "documents/directory_stack.h"
#include "documents/entry_name.h"
#include "temporary_tree.h"

#include <dirent.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

namespace holdfast {
namespace {

// Makes a chain of `depth` directories with names of 100 bytes and returns the deepest.
FileDescriptor make_deep(int base_fd, std::size_t depth, std::string& path) {
    FileDescriptor current(::fcntl(base_fd, F_DUPFD_CLOEXEC, 0));
    for (std::size_t i = 0; i < depth; ++i) {
        const std::string name(100, static_cast<char>('a' + i % 26));
        EXPECT_EQ(::mkdirat(current.get(), name.c_str(), 0755), 0);
        FileDescriptor next(::openat(current.get(), name.c_str(), O_RDONLY | O_DIRECTORY));
        current = std::move(next);
        path += (path.empty() ? "" : "/") + name;
    }
    return current;
}

TEST(DirectoryReader, StatFillsEveryType) {
    const TemporaryTree tree;
    tree.file("file", "12345", 0640);
    tree.directory("directory", 0750);
    tree.link("link", "where");
    ASSERT_EQ(::mkfifoat(tree.fd(), "fifo", 0600), 0);
    ASSERT_EQ(::mknodat(tree.fd(), "char", S_IFCHR | 0600, makedev(1, 3)), 0) << "this test must run as root";
    ASSERT_EQ(::mknodat(tree.fd(), "block", S_IFBLK | 0600, makedev(7, 300)), 0);
    ASSERT_EQ(::mknodat(tree.fd(), "socket", S_IFSOCK | 0600, 0), 0);
    ASSERT_EQ(::linkat(tree.fd(), "file", tree.fd(), "second", 0), 0);
    ASSERT_EQ(::chmod(tree.path("file").c_str(), 06755), 0);
    const timespec times[2] = {{1, 1}, {-5, 123'456'789}};
    ASSERT_EQ(::utimensat(tree.fd(), "file", times, 0), 0);

    FileMetadata metadata;
    ASSERT_TRUE(stat_entry(tree.fd(), "file", metadata));
    EXPECT_EQ(metadata.type, FileType::regular);
    EXPECT_EQ(metadata.mode, 06755U);
    EXPECT_EQ(metadata.size_bytes, 5U);
    EXPECT_EQ(metadata.link_count, 2U);
    EXPECT_EQ(metadata.mtime, (FileTime{-5, 123'456'789}));
    EXPECT_EQ(metadata.uid, ::geteuid());
    EXPECT_EQ(metadata.inode, tree.status("file").st_ino);
    ASSERT_TRUE(stat_entry(tree.fd(), "directory", metadata));
    EXPECT_EQ(metadata.type, FileType::directory);
    EXPECT_EQ(metadata.link_count, 1U);
    EXPECT_EQ(metadata.size_bytes, 0U);
    ASSERT_TRUE(stat_entry(tree.fd(), "link", metadata));
    EXPECT_EQ(metadata.type, FileType::symlink);
    ASSERT_TRUE(stat_entry(tree.fd(), "fifo", metadata));
    EXPECT_EQ(metadata.type, FileType::fifo);
    ASSERT_TRUE(stat_entry(tree.fd(), "socket", metadata));
    EXPECT_EQ(metadata.type, FileType::socket);
    ASSERT_TRUE(stat_entry(tree.fd(), "char", metadata));
    EXPECT_EQ(metadata.type, FileType::char_device);
    EXPECT_EQ(metadata.rdev_major, 1U);
    EXPECT_EQ(metadata.rdev_minor, 3U);
    ASSERT_TRUE(stat_entry(tree.fd(), "block", metadata));
    EXPECT_EQ(metadata.type, FileType::block_device);
    EXPECT_EQ(metadata.rdev_minor, 300U);
    const Result<void> missing = stat_entry(tree.fd(), "missing", metadata);
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code(), ErrorCode::not_found);
}

TEST(DirectoryReader, DetailsHaveNamesTargetsAndSortedAttributes) {
    const TemporaryTree tree;
    tree.file("file");
    const std::string large(2000, '\x80');
    ASSERT_EQ(::setxattr(tree.path("file").c_str(), "user.z", "", 0, 0), 0);
    ASSERT_EQ(::setxattr(tree.path("file").c_str(), "user.a", large.data(), large.size(), 0), 0);
    tree.link("link", "\xff\n target");
    OwnerNames owners;
    FileMetadata metadata;
    ASSERT_TRUE(read_details(tree.fd(), "file", metadata, owners));
    ASSERT_EQ(metadata.attributes.size(), 2U);
    EXPECT_EQ(metadata.attributes[0], (ExtendedAttribute{"user.a", large}));
    EXPECT_EQ(metadata.attributes[1], (ExtendedAttribute{"user.z", ""}));
    EXPECT_EQ(metadata.user, "root") << "this test must run as root";
    EXPECT_EQ(metadata.group, "root");
    const FileDescriptor open = open_file(tree.path("file"), O_RDONLY);
    FileMetadata by_descriptor;
    ASSERT_TRUE(read_details(open.get(), by_descriptor, owners));
    EXPECT_EQ(by_descriptor.attributes, metadata.attributes);
    EXPECT_EQ(by_descriptor.inode, metadata.inode);

    ASSERT_TRUE(read_details(tree.fd(), "link", metadata, owners));
    EXPECT_EQ(metadata.link_target, "\xff\n target");
    EXPECT_TRUE(metadata.attributes.empty());
    const Result<void> missing = read_details(tree.fd(), "missing", metadata, owners);
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code(), ErrorCode::not_found);
}

TEST(DirectoryReader, DetailsOfALongLinkAreWhole) {
    const TemporaryTree tree;
    const std::string target(4000, 't');
    tree.link("link", target);
    OwnerNames owners;
    FileMetadata metadata;
    ASSERT_TRUE(read_details(tree.fd(), "link", metadata, owners));
    EXPECT_EQ(metadata.link_target, target);
    EXPECT_EQ(metadata.size_bytes, 4000U);
}

TEST(DirectoryReader, DetailsOfAFifoDoNotBlock) {
    const TemporaryTree tree;
    ASSERT_EQ(::mkfifoat(tree.fd(), "fifo", 0600), 0);
    OwnerNames owners;
    FileMetadata metadata;
    ASSERT_TRUE(read_details(tree.fd(), "fifo", metadata, owners));
    EXPECT_EQ(metadata.type, FileType::fifo);
}

TEST(DirectoryReader, OpensNoLink) {
    const TemporaryTree tree;
    tree.directory("real");
    tree.directory("real/inner");
    tree.link("link", "real");
    EXPECT_TRUE(open_directory(tree.fd(), "real"));
    EXPECT_FALSE(open_directory(tree.fd(), "link"));
    EXPECT_TRUE(open_directory(tree.fd(), "link", FollowLinks::yes));
    EXPECT_TRUE(open_directory_path(tree.fd(), "real/inner"));
    EXPECT_FALSE(open_directory_path(tree.fd(), "link/inner"));
}

TEST(DirectoryReader, OpensPathsBeyondPathMax) {
    const TemporaryTree tree;
    std::string path;
    const FileDescriptor deepest = make_deep(tree.fd(), 60, path);
    ASSERT_GT(path.size(), 5000U);
    const Result<FileDescriptor> opened = open_directory_path(tree.fd(), path);
    ASSERT_TRUE(opened);
    FileMetadata one;
    FileMetadata other;
    ASSERT_TRUE(stat_descriptor(opened->get(), one));
    ASSERT_TRUE(stat_descriptor(deepest.get(), other));
    EXPECT_EQ(one.inode, other.inode);
}

TEST(DirectoryReader, ListingLeavesTheAccessTime) {
    const TemporaryTree tree;
    tree.directory("d");
    const timespec times[2] = {{1000, 0}, {2000, 0}};
    ASSERT_EQ(::utimensat(tree.fd(), "d", times, 0), 0);
    tree.file("d/x");
    ASSERT_EQ(::utimensat(tree.fd(), "d", times, 0), 0);
    const Result<FileDescriptor> directory = open_directory(tree.fd(), "d");
    ASSERT_TRUE(directory);
    char buffer[4096];
    ASSERT_GT(::getdents64(directory->get(), buffer, sizeof buffer), 0);
    EXPECT_EQ(tree.status("d").st_atim.tv_sec, 1000);
}

TEST(DirectoryStack, KeepsFewOpenAndFindsTheWayBack) {
    const TemporaryTree tree;
    std::vector<ino_t> inodes;
    DirectoryStack stack(FileDescriptor(::fcntl(tree.fd(), F_DUPFD_CLOEXEC, 0)), 4);
    for (int i = 0; i < 50; ++i) {
        const int parent = (*stack.top())->get();
        ASSERT_EQ(::mkdirat(parent, "d", 0755), 0);
        Result<FileDescriptor> child = open_directory(parent, "d");
        ASSERT_TRUE(child);
        FileMetadata metadata;
        ASSERT_TRUE(stat_descriptor(child->get(), metadata));
        inodes.push_back(metadata.inode);
        ASSERT_TRUE(stack.push("d", std::move(*child)));
        EXPECT_LE(stack.open_count(), 4U);
    }
    // Far above what is open: by way of the base.
    ASSERT_TRUE(stack.at(10));
    FileMetadata metadata;
    ASSERT_TRUE(stat_descriptor((*stack.at(10))->get(), metadata));
    EXPECT_EQ(metadata.inode, inodes[9]);
    while (stack.depth() > 1) {
        const Result<SharedDirectory> top = stack.top();
        ASSERT_TRUE(top);
        ASSERT_TRUE(stat_descriptor((*top)->get(), metadata));
        EXPECT_EQ(metadata.inode, inodes[stack.depth() - 2]);
        EXPECT_LE(stack.open_count(), 4U);
        stack.pop();
    }
}

TEST(DirectoryStack, NoticesThatADirectoryWasMoved) {
    const TemporaryTree tree;
    tree.directory("a");
    tree.directory("a/b");
    tree.directory("a/b/c");
    tree.directory("a/b/c/d");
    DirectoryStack stack(FileDescriptor(::fcntl(tree.fd(), F_DUPFD_CLOEXEC, 0)), 2);
    for (const char* name : {"a", "b", "c", "d"}) {
        ASSERT_TRUE(stack.push(name, std::move(*open_directory((*stack.top())->get(), name))));
    }
    // c goes elsewhere and another takes the place of b: neither ".." nor the names lead back to b.
    ASSERT_EQ(::renameat(tree.fd(), "a/b/c", tree.fd(), "elsewhere"), 0);
    ASSERT_EQ(::renameat(tree.fd(), "a/b", tree.fd(), "old"), 0);
    tree.directory("a/b");
    stack.pop();
    EXPECT_TRUE(stack.top()); // c itself, by ".." of d
    stack.pop();
    const Result<SharedDirectory> lost = stack.top();
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().code(), ErrorCode::not_found);
}

TEST(OwnerNames, KnowsRootAndRemembersTheUnknown) {
    OwnerNames owners;
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(owners.user_name(0), "root");
        EXPECT_EQ(owners.group_name(0), "root");
        EXPECT_EQ(owners.user_id("root"), 0U);
        EXPECT_EQ(owners.group_id("root"), 0U);
        EXPECT_EQ(owners.user_name(3'999'999'999), "");
        EXPECT_EQ(owners.group_name(3'999'999'999), "");
        EXPECT_EQ(owners.user_id("no-such-user-here"), std::nullopt);
        EXPECT_EQ(owners.group_id("no-such-group-here"), std::nullopt);
    }
}

TEST(EntryName, RefusesWhatLeadsElsewhere) {
    for (const std::string_view name :
         {std::string_view(""), std::string_view("."), std::string_view(".."), std::string_view("a/b"),
          std::string_view("/"), std::string_view("a\0b", 3)}) {
        EXPECT_EQ(thrown_code([&] { check_entry_name(name); }), ErrorCode::corrupt) << name;
    }
    EXPECT_EQ(thrown_code([] { check_entry_name(std::string(4096, 'x')); }), ErrorCode::corrupt);
    for (const std::string_view name : {"...", "a", "\xff", "\n", " ", "-rf"})
        EXPECT_NO_THROW(check_entry_name(name));
}

TEST(EntryName, PrintsAnythingAsUtf8) {
    EXPECT_EQ(printable("plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"),
              "plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80");
    EXPECT_EQ(printable("a\nb\x7f\\"), "a\\x0ab\\x7f\\x5c");
    EXPECT_EQ(printable("\xff\xc3"), "\\xff\\xc3");
    EXPECT_EQ(printable("\xc0\xaf"), "\\xc0\\xaf");          // overlong
    EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80"); // surrogate
    EXPECT_EQ(printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
}

} // namespace
} // namespace holdfast
