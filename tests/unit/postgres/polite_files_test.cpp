// Reading does not change what the page cache holds. Needs a file system with a page cache of its own, which
// /var/tmp has. The kernel may keep a page that it is just moving (it compacts memory), or want one back:
// what the cache holds afterwards is to be right in one of a few rounds.

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

constexpr int rounds = 5;

class PoliteFilesTest : public testing::Test {
  protected:
    PoliteFilesTest() : directory_("/var/tmp"), content_(size) {
        SeededRandom(1).fill(content_);
        file_ = open_file(directory_ / "file", O_RDWR | O_CREAT, 0600);
        write_all(file_.get(), content_, "file");
        at_ = open_file(directory_.path().string(), O_RDONLY | O_DIRECTORY);
    }
    // Whether one of a few rounds, each with nothing of the file in the cache, leaves the cache as it is to
    // be.
    template <typename Round>
    bool once(const Round& round) const {
        for (int i = 0; i < rounds && !HasFailure(); ++i) {
            forget();
            if (round()) return true;
        }
        return false;
    }
    std::vector<bool> cached() const { return cached_pages(file_.get(), 0, size); }
    static bool any(const std::vector<bool>& pages) { return std::ranges::find(pages, true) != pages.end(); }
    static bool all(const std::vector<bool>& pages) { return std::ranges::find(pages, false) == pages.end(); }
    // Reads a part as somebody else would.
    void read(std::uint64_t offset, std::size_t length) const {
        ::posix_fadvise(file_.get(), 0, 0, POSIX_FADV_RANDOM);
        Bytes bytes(length);
        read_at(file_.get(), offset, bytes, "file");
    }
    // Reads a part as a backup does.
    void read(ClusterFile& file, std::uint64_t offset, std::size_t length) const {
        Bytes bytes(length);
        ASSERT_EQ(file.read(offset, bytes).value(), length);
        EXPECT_TRUE(std::ranges::equal(bytes, ByteView(content_).subspan(offset, length)));
    }
    std::unique_ptr<ClusterFile> open(Access access) {
        return std::move(files_.open(at_.get(), "file", "file", access).value());
    }

  private:
    void forget() const {
        EXPECT_EQ(::fsync(file_.get()), 0);
        EXPECT_EQ(::posix_fadvise(file_.get(), 0, 0, POSIX_FADV_DONTNEED), 0);
    }

    holdfast::test::TemporaryDirectory directory_;
    Bytes content_;
    FileDescriptor file_;
    FileDescriptor at_;
    PoliteFiles files_;
};

TEST_F(PoliteFilesTest, LeavesNothingBehind) {
    EXPECT_TRUE(once([&] {
        const auto file = open(Access::everything);
        constexpr std::size_t step = 1u << 20;
        for (std::uint64_t at = 0; at < size; at += step) read(*file, at, step);
        return !any(cached());
    }));
}

TEST_F(PoliteFilesTest, KeepsWhatWasThere) {
    EXPECT_TRUE(once([&] {
        read(1u << 20, 64u << 10);
        const std::vector<bool> before = cached();
        read(*open(Access::everything), 0, size);
        return any(before) && !all(before) && cached() == before;
    }));
}

TEST_F(PoliteFilesTest, KeepsAllOfAFileThatIsThereAsAWhole) {
    EXPECT_TRUE(once([&] {
        read(0, size);
        const bool whole = all(cached());
        read(*open(Access::everything), 0, size);
        return whole && all(cached());
    }));
}

TEST_F(PoliteFilesTest, PiecesLikewise) {
    EXPECT_TRUE(once([&] {
        read(2u << 20, 8192);
        const std::vector<bool> before = cached();
        const auto file = open(Access::pieces);
        for (const std::uint64_t at : {0U, 100U * 8192, 2U << 20, (2U << 20) + 8192}) read(*file, at, 8192);
        return any(before) && !all(before) && cached() == before;
    }));
}

} // namespace
} // namespace holdfast::postgres
