// What many small changes of a large file leave behind.

#include "repository/content/dead_frames.h"
#include "repository/content/file_content.h"
#include "support/content_repository.h"
#include "support/sparse_content.h"

#include <map>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using test::ContentRepository;
using test::SparseContent;
using test::SparseSource;

constexpr std::uint64_t file_pages = 4096; // 32 MiB: of about 64 frames
constexpr std::uint64_t changed_pages = file_pages / 100;

class ManySmallChanges : public testing::Test {
  protected:
    // Half of it random.
    static Bytes page(SeededRandom& random) {
        Bytes bytes(page_bytes);
        random.fill(MutableByteView(bytes).first(page_bytes / 2));
        return bytes;
    }
    static SparseContent begin_with(SeededRandom& random) {
        Bytes bytes;
        for (std::uint64_t number = 0; number < file_pages; ++number) {
            const Bytes next = page(random);
            bytes.insert(bytes.end(), next.begin(), next.end());
        }
        return SparseContent::of(std::move(bytes));
    }
    static SparseContent changed(SparseContent content, SeededRandom& random) {
        for (std::uint64_t i = 0; i < changed_pages; ++i) {
            const std::uint64_t at = random.below(file_pages) * page_bytes;
            content = content.replaced(at, at + page_bytes, SparseContent::of(page(random)));
        }
        return content;
    }
    FileContentResult back_up(const SparseContent& content) {
        const std::unique_ptr<BackupRun> run = files_.begin();
        SparseSource source(content);
        FileWriteOptions options;
        FileContentResult result = run->files().write(source, previous_ ? &*previous_ : nullptr, options);
        previous_ = ContentRepository::entry_of("large", result);
        files_.commit(*run, {*previous_});
        return result;
    }
    // All bytes of the frames that the file lies in, by what it has of them.
    double frames_by_live_bytes() {
        std::map<FrameAddress, std::uint64_t> frames;
        std::uint64_t live = 0;
        for_each_extent(files_.repository->nodes(), *previous_, [&](const Extents& extents) {
            for (const Extent& extent : extents) {
                const std::shared_ptr<const LoadedPack> pack =
                    files_.repository->packs().holder_of(extent.frame);
                frames[extent.frame] = pack->tail.frames[*pack->find(extent.frame)].raw_length;
                live += extent.length;
            }
        });
        std::uint64_t all = 0;
        for (const auto& [frame, raw_length] : frames) all += raw_length;
        return static_cast<double>(all) / static_cast<double>(live);
    }

    ContentRepository files_;
    std::optional<TreeEntry> previous_;
};

// Without storing anew what is left in dead frames, it would be 1.6.
TEST_F(ManySmallChanges, LeaveFewDeadBytesForLittleRewriting) {
    SeededRandom random(1);
    SparseContent content = begin_with(random);
    back_up(content);
    std::uint64_t rewritten = 0;
    for (int round = 0; round < 60; ++round) {
        content = changed(std::move(content), random);
        const FileContentResult result = back_up(content);
        // One frame may be overdrawn.
        EXPECT_LE(result.rewritten_bytes, changed_pages * page_bytes * 13 / 10 + max_frame_bytes);
        rewritten += result.rewritten_bytes;
    }
    EXPECT_GT(rewritten, 0U);
    EXPECT_LT(frames_by_live_bytes(), 1.4);
}

TEST_F(ManySmallChanges, NothingIsRewrittenWhileLittleIsDead) {
    SeededRandom random(2);
    SparseContent content = begin_with(random);
    back_up(content);
    EXPECT_EQ(back_up(changed(content, random)).rewritten_bytes, 0U);
}

// A frame may be shared with other files, and look dead to this one.
TEST_F(ManySmallChanges, NothingIsRewrittenWhereNothingHasChanged) {
    SeededRandom random(3);
    SparseContent content = begin_with(random);
    back_up(content);
    for (int round = 0; round < 20; ++round) content = changed(std::move(content), random);
    back_up(content);
    EXPECT_GT(frames_by_live_bytes(), 1.1);
    EXPECT_EQ(back_up(content).rewritten_bytes, 0U);
}

} // namespace
} // namespace holdfast
