// Reading does not change what the page cache holds. Needs a file system with a page cache of its own, which
// /var/tmp has.

#include "base/random.h"
#include "postgres/capture/polite_files.h"
#include "support/temporary_directory.h"

#include <algorithm>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace holdfast::postgres {
namespace {

constexpr std::size_t size = 4u << 20;

class PoliteFilesTest : public testing::Test {
  protected:
    PoliteFilesTest() : directory_("/var/tmp"), content_(size) {
        SeededRandom(1).fill(content_);
        file_ = open_file(directory_ / "file", O_RDWR | O_CREAT, 0600);
        write_all(file_.get(), content_, "file");
        forget();
        at_ = open_file(directory_.path().string(), O_RDONLY | O_DIRECTORY);
    }
    // Nothing of the file is in the cache.
    void forget() const {
        EXPECT_EQ(::fsync(file_.get()), 0);
        EXPECT_EQ(::posix_fadvise(file_.get(), 0, 0, POSIX_FADV_DONTNEED), 0);
        EXPECT_EQ(cached(), 0);
    }
    std::ptrdiff_t cached() const { return std::ranges::count(cached_pages(file_.get(), 0, size), true); }
    // Reads a part as somebody else would.
    void read(std::uint64_t offset, std::size_t length) const {
        ::posix_fadvise(file_.get(), 0, 0, POSIX_FADV_RANDOM);
        Bytes bytes(length);
        read_at(file_.get(), offset, bytes, "file");
    }
    std::unique_ptr<ClusterFile> open(Access access) {
        return std::move(files_.open(at_.get(), "file", "file", access).value());
    }

    holdfast::test::TemporaryDirectory directory_;
    Bytes content_;
    FileDescriptor file_;
    FileDescriptor at_;
    PoliteFiles files_;
};

TEST_F(PoliteFilesTest, LeavesNothingBehind) {
    const auto file = open(Access::everything);
    Bytes bytes(1u << 20);
    for (std::uint64_t at = 0; at < size; at += bytes.size()) {
        ASSERT_EQ(file->read(at, bytes).value(), bytes.size());
        EXPECT_TRUE(std::ranges::equal(bytes, ByteView(content_).subspan(at, bytes.size())));
    }
    EXPECT_EQ(cached(), 0);
}

TEST_F(PoliteFilesTest, KeepsWhatWasThere) {
    read(1u << 20, 64u << 10);
    const std::vector<bool> before = cached_pages(file_.get(), 0, size);
    ASSERT_GT(cached(), 0);
    const auto file = open(Access::everything);
    Bytes bytes(size);
    ASSERT_EQ(file->read(0, bytes).value(), size);
    EXPECT_EQ(cached_pages(file_.get(), 0, size), before);

    // And all of a file that is there as a whole.
    read(0, size);
    const auto again = open(Access::everything);
    ASSERT_EQ(again->read(0, bytes).value(), size);
    EXPECT_EQ(cached(), static_cast<std::ptrdiff_t>(cached_pages(file_.get(), 0, size).size()));
}

TEST_F(PoliteFilesTest, PiecesLikewise) {
    read(2u << 20, 8192);
    const std::vector<bool> before = cached_pages(file_.get(), 0, size);
    const auto file = open(Access::pieces);
    Bytes bytes(8192);
    for (const std::uint64_t at : {0U, 100U * 8192, 2U << 20, (2U << 20) + 8192}) {
        ASSERT_EQ(file->read(at, bytes).value(), bytes.size());
        EXPECT_TRUE(std::ranges::equal(bytes, ByteView(content_).subspan(at, bytes.size())));
    }
    EXPECT_EQ(cached_pages(file_.get(), 0, size), before);
}

} // namespace
} // namespace holdfast::postgres
