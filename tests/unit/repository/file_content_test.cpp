// Files too small for segments.

#include "repository/content/file_content.h"
#include "repository/node/directory_cursor.h"
#include "support/content_repository.h"
#include "support/sparse_content.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using test::ContentRepository;
using test::SparseContent;
using test::SparseSource;

class FileContentTest : public testing::Test {
  protected:
    // The entry as a snapshot has it.
    TreeEntry backed_up(const SparseContent& content) {
        const std::unique_ptr<BackupRun> run = files_.begin();
        SparseSource source(content);
        const Snapshot snapshot = files_.commit(
            *run, {ContentRepository::entry_of("file", run->files().write(source, nullptr, {}))});
        return find_path(files_.repository->nodes(), snapshot.root, "file").value();
    }
    std::string restored_difference(const TreeEntry& entry, const SparseContent& content,
                                    std::uint64_t hole_unit) {
        const auto sink = std::make_shared<test::CollectingSink>();
        ContentReader reader(files_.repository->packs(), {});
        reader.begin_file(sink);
        for_each_extent(files_.repository->nodes(), entry,
                        [&](const Extents& extents) { reader.add(extents); });
        reader.finish_file();
        reader.wait();
        return sink->difference(content, hole_unit);
    }

    ContentRepository files_;
};

TEST_F(FileContentTest, AFileThatIsOneHoleIsBackedUp) {
    for (const std::uint64_t size : {std::uint64_t{1}, std::uint64_t{1000}, std::uint64_t{1} << 20}) {
        const SparseContent content = SparseContent::hole(size);
        const TreeEntry entry = backed_up(content);
        EXPECT_EQ(entry.size, size);
        EXPECT_EQ(std::get<Extents>(entry.content).size(), 0U);
        EXPECT_EQ(restored_difference(entry, content, 1), "");
    }
}

TEST_F(FileContentTest, AnEmptyFileHasNoContent) {
    const TreeEntry entry = backed_up({});
    EXPECT_EQ(entry.size, 0U);
    EXPECT_TRUE(std::holds_alternative<std::monostate>(entry.content));
}

// An entry has room for so many extents and no more.
TEST_F(FileContentTest, AFileOfVeryManyHolesIsBackedUpWithFewerOfThem) {
    SparseContent content;
    for (std::uint64_t number = 0; number < 6'000; ++number) {
        Bytes block(512);
        SeededRandom(number).fill(block);
        content = content.then(SparseContent::of(std::move(block))).then(SparseContent::hole(512));
    }
    const TreeEntry entry = backed_up(content);
    EXPECT_EQ(entry.size, content.size());
    EXPECT_GE(std::get<Extents>(entry.content).size(), 4096U);
    EXPECT_LT(std::get<Extents>(entry.content).size(), 5000U);
    EXPECT_EQ(restored_difference(entry, content, content.size()), "");
}

} // namespace
} // namespace holdfast
