#include "documents/file_reader.h"
#include "documents/file_writer.h"
#include "temporary_tree.h"

#include <thread>

#include <sys/mount.h>

namespace holdfast {
namespace {

TEST(FileWriter, MakesANewPrivateFile) {
    const TemporaryTree tree;
    FileWriter writer = FileWriter::open(tree.fd(), "f", Existing::refuse);
    EXPECT_TRUE(writer.is_new());
    EXPECT_EQ(tree.status("f").st_mode & 07777U, 0600U);
    writer.preallocate(11);
    writer.write(6, as_bytes("world"));
    writer.write(0, as_bytes("hello "));
    writer.set_size(11);
    writer.sync();
    writer.close();
    EXPECT_EQ(tree.content("f"), "hello world");
}

TEST(FileWriter, RefusesWhatIsThere) {
    const TemporaryTree tree;
    tree.file("f", "old");
    EXPECT_EQ(thrown_code([&] { FileWriter::open(tree.fd(), "f", Existing::refuse); }),
              ErrorCode::already_exists);
    EXPECT_EQ(tree.content("f"), "old");
}

TEST(FileWriter, RefusesNamesThatLeadElsewhere) {
    const TemporaryTree tree;
    tree.directory("d");
    const FileDescriptor inner = open_file(tree.path("d"), O_RDONLY | O_DIRECTORY);
    for (const std::string& name :
         {std::string("../f"), std::string(".."), std::string(), std::string("a\0b", 3), std::string("/f")}) {
        for (const Existing existing : {Existing::refuse, Existing::replace, Existing::update}) {
            EXPECT_EQ(thrown_code([&] { FileWriter::open(inner.get(), name, existing); }),
                      ErrorCode::corrupt);
        }
    }
    EXPECT_FALSE(tree.exists("f"));
    EXPECT_TRUE(tree.exists("d"));
}

TEST(FileWriter, UpdatesInPlace) {
    const TemporaryTree tree;
    tree.file("f", "hello world");
    const ino_t inode = tree.status("f").st_ino;
    FileWriter writer = FileWriter::open(tree.fd(), "f", Existing::update);
    EXPECT_FALSE(writer.is_new());
    EXPECT_EQ(writer.previous_size_bytes(), 11U);
    EXPECT_FALSE(writer.write_if_different(0, as_bytes("hello")));
    EXPECT_TRUE(writer.write_if_different(6, as_bytes("there")));
    EXPECT_TRUE(writer.write_if_different(11, as_bytes("!")));
    EXPECT_FALSE(writer.write_if_different(3, {}));
    writer.close();
    EXPECT_EQ(tree.content("f"), "hello there!");
    EXPECT_EQ(tree.status("f").st_ino, inode);
}

TEST(FileWriter, ComparesBeyondOneBuffer) {
    const TemporaryTree tree;
    std::string content(300'000, 'x');
    tree.file("f", content);
    FileWriter writer = FileWriter::open(tree.fd(), "f", Existing::update);
    EXPECT_FALSE(writer.write_if_different(0, as_bytes(content)));
    content[250'000] = 'y';
    EXPECT_TRUE(writer.write_if_different(0, as_bytes(content)));
    EXPECT_EQ(tree.content("f"), content);
}

TEST(FileWriter, DoesNotWriteThroughOtherNames) {
    const TemporaryTree tree;
    tree.file("outside", "old");
    ASSERT_EQ(::linkat(tree.fd(), "outside", tree.fd(), "f", 0), 0);
    FileWriter writer = FileWriter::open(tree.fd(), "f", Existing::update);
    EXPECT_TRUE(writer.is_new());
    writer.write(0, as_bytes("new"));
    EXPECT_EQ(tree.content("outside"), "old");
    EXPECT_EQ(tree.content("f"), "new");
}

TEST(FileWriter, ReplacesLinksAndOtherTypesWithoutFollowing) {
    const TemporaryTree tree;
    tree.file("target", "precious");
    tree.link("link", "target");
    tree.link("dangling", "nowhere");
    tree.directory("directory");
    tree.directory("directory/sub");
    tree.file("directory/sub/x");
    ASSERT_EQ(::mkfifoat(tree.fd(), "fifo", 0600), 0);
    for (const Existing existing : {Existing::update, Existing::replace}) {
        for (const std::string name : {"link", "dangling", "directory", "fifo"}) {
            FileWriter writer = FileWriter::open(tree.fd(), name, existing);
            writer.write(0, as_bytes("new"));
            EXPECT_TRUE(S_ISREG(tree.status(name).st_mode)) << name;
            EXPECT_EQ(tree.content(name), "new");
        }
    }
    EXPECT_EQ(tree.content("target"), "precious");
    EXPECT_FALSE(tree.exists("nowhere"));
}

TEST(FileWriter, MakesHolesInPlace) {
    const TemporaryTree tree;
    const std::string content(1U << 20U, 'x');
    tree.file("f", content);
    FileWriter writer = FileWriter::open(tree.fd(), "f", Existing::update);
    writer.make_hole(4096, 512UL * 1024);
    writer.make_hole(2U << 20U, 4096); // beyond the end
    writer.close();
    std::string expected = content;
    std::fill_n(expected.begin() + 4096, 512 * 1024, '\0');
    EXPECT_EQ(tree.content("f"), expected);
    EXPECT_LT(tree.status("f").st_blocks * 512, 700 * 1024);
}

TEST(FileWriter, ATerabyteOfHoleTakesNoSpace) {
    const TemporaryTree tree;
    FileWriter writer = FileWriter::open(tree.fd(), "f", Existing::refuse);
    writer.write(1ULL << 39U, as_bytes("middle"));
    writer.make_hole(0, 1ULL << 39U);
    writer.set_size(1ULL << 40U);
    writer.close();
    EXPECT_EQ(tree.status("f").st_size, 1LL << 40U);
    EXPECT_LT(tree.status("f").st_blocks, 1000);
}

TEST(FileWriter, ReportsADiskThatIsTooSmall) {
    const TemporaryTree tree;
    tree.directory("small");
    ASSERT_EQ(::mount("none", tree.path("small").c_str(), "tmpfs", 0, "size=1m"), 0)
        << "this test must run as root";
    {
        const FileDescriptor small = open_file(tree.path("small"), O_RDONLY | O_DIRECTORY);
        FileWriter writer = FileWriter::open(small.get(), "f", Existing::refuse);
        EXPECT_EQ(thrown_code([&] { writer.preallocate(8U << 20U); }), ErrorCode::no_space);
        EXPECT_EQ(thrown_code([&] { writer.write(0, Bytes(2U << 20U, 1)); }), ErrorCode::no_space);
    }
    ASSERT_EQ(::umount(tree.path("small").c_str()), 0);
}

TEST(FileWriter, SeveralThreadsWriteOneFile) {
    const TemporaryTree tree;
    FileWriter writer = FileWriter::open(tree.fd(), "f", Existing::refuse);
    {
        std::vector<std::jthread> threads;
        for (std::size_t t = 0; t < 4; ++t) {
            threads.emplace_back([&, t] {
                for (std::size_t i = t; i < 64; i += 4) {
                    const Bytes block(1000, static_cast<Byte>('0' + i));
                    writer.write_if_different(i * 1000, block);
                }
            });
        }
    }
    std::string expected;
    for (std::size_t i = 0; i < 64; ++i) expected += std::string(1000, static_cast<char>('0' + i));
    EXPECT_EQ(tree.content("f"), expected);
}

TEST(FileWriter, OpensOwnReadOnlyFilesWithoutRoot) {
    const TemporaryTree tree;
    ASSERT_EQ(::chmod(tree.path().c_str(), 0777), 0);
    expect_as_nobody([&] {
        const FileDescriptor directory = open_file(tree.path(), O_RDONLY | O_DIRECTORY);
        FileWriter::open(directory.get(), "f", Existing::refuse).write(0, as_bytes("one"));
        if (::fchmodat(directory.get(), "f", 0, 0) != 0) return false;
        FileWriter again = FileWriter::open(directory.get(), "f", Existing::update);
        return !again.is_new() && again.write_if_different(0, as_bytes("two"));
    });
    EXPECT_EQ(tree.content("f"), "two");
}

} // namespace
} // namespace holdfast
