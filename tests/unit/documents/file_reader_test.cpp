#include "documents/file_reader.h"
#include "temporary_tree.h"

namespace holdfast {
namespace {

std::vector<FileExtent> extents(FileReader& reader) {
    std::vector<FileExtent> all;
    for (;;) {
        const Result<std::optional<FileExtent>> extent = reader.next_extent();
        EXPECT_TRUE(extent);
        if (!extent || !*extent) return all;
        all.push_back(**extent);
    }
}

void expect_gapless(const std::vector<FileExtent>& all, std::uint64_t size) {
    std::uint64_t at = 0;
    for (const FileExtent& extent : all) {
        EXPECT_EQ(extent.offset, at);
        EXPECT_GT(extent.length, 0U);
        at += extent.length;
    }
    EXPECT_EQ(at, size);
}

TEST(FileReader, ReadsWhatIsThere) {
    const TemporaryTree tree;
    tree.file("f", "hello");
    FileMetadata metadata;
    Result<FileReader> reader = FileReader::open(tree.fd(), "f", metadata);
    ASSERT_TRUE(reader);
    EXPECT_EQ(metadata.size_bytes, 5U);
    EXPECT_EQ(extents(*reader), (std::vector{FileExtent{0, 5, false}}));
    Bytes content(10);
    EXPECT_EQ(reader->read(1, content), 4U);
    EXPECT_EQ(as_text(ByteView(content).first(4)), "ello");
    EXPECT_EQ(reader->finish(), FileState::unchanged);
}

TEST(FileReader, AnEmptyFileHasNoExtents) {
    const TemporaryTree tree;
    tree.file("f", "");
    FileMetadata metadata;
    Result<FileReader> reader = FileReader::open(tree.fd(), "f", metadata);
    ASSERT_TRUE(reader);
    EXPECT_TRUE(extents(*reader).empty());
    EXPECT_EQ(reader->finish(), FileState::unchanged);
}

TEST(FileReader, SkipsHolesOfATerabyte) {
    const TemporaryTree tree;
    constexpr std::uint64_t size = 1ULL << 40U;
    tree.file("f", "");
    const FileDescriptor out = open_file(tree.path("f"), O_WRONLY);
    const Bytes block(64 * 1024, 1);
    write_at(out.get(), 0, block, "f");
    write_at(out.get(), size / 2, block, "f");
    ASSERT_EQ(::ftruncate(out.get(), static_cast<off_t>(size)), 0);
    FileMetadata metadata;
    Result<FileReader> reader = FileReader::open(tree.fd(), "f", metadata);
    ASSERT_TRUE(reader);
    const std::vector<FileExtent> all = extents(*reader);
    expect_gapless(all, size);
    EXPECT_EQ(all, (std::vector{FileExtent{0, 65536, false}, FileExtent{65536, size / 2 - 65536, true},
                                FileExtent{size / 2, 65536, false},
                                FileExtent{size / 2 + 65536, size / 2 - 65536, true}}));
}

TEST(FileReader, AFileThatIsAllHole) {
    const TemporaryTree tree;
    tree.file("f", "");
    ASSERT_EQ(::truncate(tree.path("f").c_str(), 1'000'000), 0);
    FileMetadata metadata;
    Result<FileReader> reader = FileReader::open(tree.fd(), "f", metadata);
    ASSERT_TRUE(reader);
    EXPECT_EQ(extents(*reader), (std::vector{FileExtent{0, 1'000'000, true}}));
}

TEST(FileReader, TellsThatAFileChanged) {
    const TemporaryTree tree;
    FileMetadata metadata;
    tree.file("grown", "1");
    Result<FileReader> reader = FileReader::open(tree.fd(), "grown", metadata);
    tree.file("grown", "12");
    EXPECT_EQ(reader->finish(), FileState::changed);

    tree.file("touched", "1");
    reader = FileReader::open(tree.fd(), "touched", metadata);
    const timespec times[2] = {{1, 0}, {1, 0}};
    ASSERT_EQ(::utimensat(tree.fd(), "touched", times, 0), 0);
    EXPECT_EQ(reader->finish(), FileState::changed);

    tree.file("shrunk", "123456");
    reader = FileReader::open(tree.fd(), "shrunk", metadata);
    ASSERT_EQ(::truncate(tree.path("shrunk").c_str(), 2), 0);
    Bytes content(6);
    EXPECT_EQ(reader->read(0, content), 2U);
    EXPECT_EQ(reader->finish(), FileState::changed);
}

TEST(FileReader, TellsThatAFileVanished) {
    const TemporaryTree tree;
    tree.file("f", "1");
    FileMetadata metadata;
    Result<FileReader> reader = FileReader::open(tree.fd(), "f", metadata);
    ASSERT_EQ(::unlinkat(tree.fd(), "f", 0), 0);
    EXPECT_EQ(reader->finish(), FileState::vanished);
    const Result<FileReader> again = FileReader::open(tree.fd(), "f", metadata);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code(), ErrorCode::not_found);
}

TEST(FileReader, OpensOnlyRegularFilesAndNeverBlocks) {
    const TemporaryTree tree;
    tree.directory("directory");
    tree.file("file");
    tree.link("link", "file");
    ASSERT_EQ(::mkfifoat(tree.fd(), "fifo", 0600), 0);
    ASSERT_EQ(::mknodat(tree.fd(), "socket", S_IFSOCK | 0600, 0), 0);
    for (const char* name : {"directory", "link", "fifo", "socket"}) {
        FileMetadata metadata;
        const Result<FileReader> reader = FileReader::open(tree.fd(), name, metadata);
        ASSERT_FALSE(reader) << name;
        EXPECT_EQ(reader.error().code(), ErrorCode::not_found) << name;
    }
}

TEST(FileReader, UnreadableFilesAreAnErrorForOthers) {
    const TemporaryTree tree;
    tree.file("f", "secret", 0600);
    expect_as_nobody([&] {
        FileMetadata metadata;
        const Result<FileReader> reader = FileReader::open(tree.fd(), "f", metadata);
        return !reader && reader.error().code() == ErrorCode::access_denied;
    });
}

TEST(FileReader, FilesOfOthersAreReadableWithoutNoAtime) {
    const TemporaryTree tree;
    tree.file("f", "public", 0644);
    expect_as_nobody([&] {
        FileMetadata metadata;
        Result<FileReader> reader = FileReader::open(tree.fd(), "f", metadata);
        Bytes content(6);
        return reader && reader->read(0, content) == 6U && as_text(content) == "public";
    });
}

} // namespace
} // namespace holdfast
