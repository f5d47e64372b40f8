// The sums of restored files, told without reading them again.
#include "base/crc32c.h"
#include "documents/restore/file_sum.h"
#include "postgres/recovery/restored_sums.h"
#include "service/backup_documents.h"
#include "support/document_repository.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

namespace fs = std::filesystem;
using test::DocumentRepository;

TEST(FileSum, JoinsPiecesInAnyOrderAndHolesBetweenThem) {
    Bytes file(50'000, 0);
    SeededRandom(1).fill(MutableByteView(file).first(20'000));
    SeededRandom(2).fill(MutableByteView(file).subspan(30'000, 7'000));
    const auto piece = [&](std::size_t offset, std::size_t bytes) {
        return std::pair(offset, ByteView(file).subspan(offset, bytes));
    };
    std::vector pieces{piece(0, 5000), piece(5000, 1), piece(5001, 14'999), piece(30'000, 4000),
                       piece(34'000, 3000)};
    std::ranges::sort(pieces, {}, [](const auto& each) { return each.first; });
    do {
        FileSum sum;
        for (const auto& [offset, bytes] : pieces) sum.add(offset, bytes);
        ASSERT_EQ(sum.of_file(file.size()), crc32c(0, file));
    } while (std::ranges::next_permutation(pieces, {}, [](const auto& each) { return each.first; }).found);
    EXPECT_EQ(FileSum().of_file(4096), crc32c(0, Bytes(4096, 0)));
    EXPECT_EQ(FileSum().of_file(0), 0u);
}

TEST(RestoredSums, AreOfOnePathAndSize) {
    postgres::RestoredSums sums;
    sums.add("base/5/1259", 8192, 17);
    EXPECT_EQ(sums.find("base/5/1259", 8192), 17u);
    EXPECT_FALSE(sums.find("base/5/1259", 16384));
    EXPECT_FALSE(sums.find("base/5/1260", 8192));
    sums.add("base/5/1259", 8192, 18);
    EXPECT_EQ(sums.find("base/5/1259", 8192), 18u);
    sums.forget("base/5/1259");
    EXPECT_FALSE(sums.find("base/5/1259", 8192));
}

class RestoredSumsTest : public testing::Test {
  protected:
    using Sums = std::map<std::string, std::pair<std::uint64_t, std::uint32_t>>;

    RestoredSumsTest() {
        files.write_file("small", "a few bytes");
        files.write_file("empty", "");
        files.write_file("deep/middle", 300'000, 1);
        files.write_file("large", 40u << 20, 2);
        fs::resize_file(files.source() / "large", (41u << 20) + 17); // ends in a hole
        files.write_file("sparse", "");
        fs::resize_file(files.source() / "sparse", 30u << 20);
        snapshot = files.back_up();
    }

    Sums restore(bool in_place) {
        Sums sums;
        std::mutex mutex;
        TreeRestoreSettings settings;
        settings.in_place = in_place;
        settings.sum = [&](std::string_view path, std::uint64_t bytes, std::uint32_t crc) {
            const std::scoped_lock lock(mutex);
            EXPECT_TRUE(sums.emplace(path, std::pair(bytes, crc)).second) << path << " is told twice";
        };
        Progress progress;
        files.reopen();
        restore_documents(*files.repository, snapshot, target, settings, progress, {});
        return sums;
    }
    // Of what lies there.
    Sums expected() const {
        Sums sums;
        for (const char* name : {"small", "empty", "deep/middle", "large", "sparse"}) {
            const std::string content = DocumentRepository::content_of(restored(name));
            EXPECT_TRUE(content == DocumentRepository::content_of(files.source() / name)) << name;
            sums[files.path_in_snapshot(name)] = {content.size(), crc32c(0, as_bytes(content))};
        }
        return sums;
    }
    fs::path restored(const std::string& name) const {
        return fs::path(target) / files.path_in_snapshot(name);
    }
    void damage(const std::string& name, std::uint64_t offset, std::string_view text) const {
        std::fstream file(restored(name), std::ios::binary | std::ios::in | std::ios::out);
        file.seekp(static_cast<std::streamoff>(offset));
        file << text;
    }

    DocumentRepository files;
    Snapshot snapshot;
    const std::string target = files.scratch.file("target");
};

TEST_F(RestoredSumsTest, OfANewTreeAreThoseOfItsFiles) {
    const Sums told = restore(false);
    EXPECT_EQ(told, expected());
}

TEST_F(RestoredSumsTest, InPlaceTheyAreThoseOfTheWholeFiles) {
    restore(false);
    Sums told = restore(true);
    EXPECT_EQ(told, expected()) << "nothing differed";
    damage("small", 2, "FEW");
    damage("deep/middle", 299'990, "the last page");
    damage("large", 0, "the first page");
    damage("large", 5'000'001, "one within");
    damage("large", (41u << 20) - 5, "in the hole and behind it");
    damage("sparse", 9'000'000, "no hole any more");
    told = restore(true);
    EXPECT_EQ(told, expected()) << "pages differed";
    fs::resize_file(restored("large"), 20'000'003);
    fs::resize_file(restored("sparse"), 50u << 20);
    fs::remove(restored("empty"));
    told = restore(true);
    EXPECT_EQ(told, expected()) << "lengths differed";
}

} // namespace
} // namespace holdfast
