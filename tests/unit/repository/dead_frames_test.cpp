// What many small changes of large files leave behind.

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

class ManySmallChanges : public testing::Test {
  protected:
    struct Outcome {
        std::uint64_t changed_bytes = 0;
        std::uint64_t rewritten_bytes = 0;
        CompressionReport compression;
    };

    // Half of it random.
    Bytes page() {
        Bytes bytes(page_bytes);
        random_.fill(MutableByteView(bytes).first(page_bytes / 2));
        return bytes;
    }
    void begin_with(std::size_t files, std::uint64_t pages) {
        for (std::size_t file = 0; file < files; ++file) {
            Bytes bytes;
            for (std::uint64_t number = 0; number < pages; ++number) {
                const Bytes next = page();
                bytes.insert(bytes.end(), next.begin(), next.end());
            }
            contents_.push_back(SparseContent::of(std::move(bytes)));
        }
        back_up();
    }
    // So many pages of each file.
    void change(std::uint64_t pages) {
        for (SparseContent& content : contents_) {
            for (std::uint64_t i = 0; i < pages; ++i) {
                const std::uint64_t at = random_.below(content.size() / page_bytes) * page_bytes;
                content = content.replaced(at, at + page_bytes, SparseContent::of(page()));
            }
        }
    }
    Outcome back_up(LevelSettings level = {.lowest = 1, .highest = 1, .start = 1}) {
        BackupRunSettings settings = ContentRepository::run_settings();
        settings.pipeline.level = level;
        const std::unique_ptr<BackupRun> run = files_.begin(std::move(settings));
        Outcome outcome;
        std::vector<TreeEntry> entries;
        for (std::size_t file = 0; file < contents_.size(); ++file) {
            SparseSource source(contents_[file]);
            const TreeEntry* previous = entries_.empty() ? nullptr : &entries_[file];
            FileContentResult result = run->files().write(source, previous, {});
            outcome.rewritten_bytes += result.rewritten_bytes;
            entries.push_back(
                ContentRepository::entry_of("large " + std::to_string(file), std::move(result)));
        }
        outcome.changed_bytes = run->writer().totals().new_bytes - outcome.rewritten_bytes;
        const BackupRunReport report =
            run->commit(ContentRepository::root_of(*run, entries), {}, SnapshotState::complete);
        outcome.compression = report.compression;
        entries_ = std::move(entries);
        return outcome;
    }
    // All bytes of the frames that the files lie in, by what they have of them.
    double frames_by_live_bytes() {
        std::map<FrameAddress, std::uint64_t> frames;
        std::uint64_t live = 0;
        for (const TreeEntry& entry : entries_) {
            for_each_extent(files_.repository->nodes(), entry, [&](const Extents& extents) {
                for (const Extent& extent : extents) {
                    const auto pack = files_.repository->packs().holder_of(extent.frame);
                    frames[extent.frame] = pack->tail.frames[*pack->find(extent.frame)].raw_length;
                    live += extent.length;
                }
            });
        }
        std::uint64_t all = 0;
        for (const auto& [frame, raw_length] : frames) all += raw_length;
        return static_cast<double>(all) / static_cast<double>(live);
    }
    // Sixty backups, each of 1% changed.
    void sixty_rounds() {
        std::uint64_t rewritten = 0;
        for (int round = 0; round < 60; ++round) {
            change(contents_[0].size() / page_bytes / 100);
            const Outcome outcome = back_up();
            EXPECT_LE(static_cast<double>(outcome.rewritten_bytes),
                      1.3 * static_cast<double>(outcome.changed_bytes) + max_frame_bytes);
            rewritten += outcome.rewritten_bytes;
        }
        EXPECT_GT(rewritten, 0U);
    }

    SeededRandom random_{1};
    ContentRepository files_;
    std::vector<SparseContent> contents_;
    std::vector<TreeEntry> entries_;
};

// Without storing anew what is left in dead frames, it would be 1.6.
TEST_F(ManySmallChanges, LeaveFewDeadBytesForLittleRewriting) {
    begin_with(1, 8192);
    sixty_rounds();
    EXPECT_LT(frames_by_live_bytes(), 1.4);
}

// What one of these earns is less than a frame.
TEST_F(ManySmallChanges, OfSmallFilesShareWhatTheyEarn) {
    begin_with(4, 2048);
    sixty_rounds();
    EXPECT_LT(frames_by_live_bytes(), 1.45);
}

TEST_F(ManySmallChanges, NothingIsRewrittenWhileLittleIsDead) {
    begin_with(1, 4096);
    change(40);
    EXPECT_EQ(back_up().rewritten_bytes, 0U);
}

// A frame may be shared with other files, and look dead to this one.
TEST_F(ManySmallChanges, NothingIsRewrittenWhereNothingIsNew) {
    begin_with(1, 4096);
    change(800);
    back_up();
    EXPECT_GT(frames_by_live_bytes(), 1.1);
    EXPECT_EQ(back_up().rewritten_bytes, 0U) << "unchanged";
    contents_.push_back(contents_[0]);
    entries_.push_back(entries_[0]);
    entries_[1].content = SegmentGroups{};
    entries_[1].size = 0;
    EXPECT_EQ(back_up().rewritten_bytes, 0U) << "beside a copy of it";
}

TEST_F(ManySmallChanges, AreCompressedWithMoreEffortWhileTheyAreFew) {
    const LevelSettings level{.lowest = 3, .highest = 12, .start = 3, .thorough = 9};
    const auto raw_bytes_at = [](const CompressionReport& report, int level_used) {
        for (const LevelUse& use : report.levels) {
            if (use.level == level_used) return use.raw_bytes;
        }
        return std::uint64_t{0};
    };
    begin_with(1, 4096);
    change(40);
    const Outcome few = back_up(level);
    EXPECT_EQ(raw_bytes_at(few.compression, 9), few.changed_bytes);

    change(2000);
    const Outcome many = back_up(level);
    const std::uint64_t thorough = raw_bytes_at(many.compression, 9);
    EXPECT_GT(thorough, 0U);
    EXPECT_LT(thorough, contents_[0].size() / 20 + 3 * max_frame_bytes);
    EXPECT_GT(many.changed_bytes, 2 * thorough);
}

// The same page again and again: a new base each time would be a hundred times as large as what changes.
TEST_F(ManySmallChanges, OfOnePageNeverFoldItsSegment) {
    begin_with(1, 8192);
    const auto segment = [&] {
        const NodeRef group = std::get<SegmentGroups>(entries_[0].content).at(0);
        return decode_segment_group(files_.repository->nodes().read(group)).at(0);
    };
    contents_[0] = contents_[0].replaced(0, page_bytes, SparseContent::of(page()));
    back_up();
    const Segment first = segment();
    for (int round = 0; round < 20; ++round) {
        contents_[0] = contents_[0].replaced(0, page_bytes, SparseContent::of(page()));
        back_up();
        ASSERT_EQ(segment().signatures, first.signatures) << round;
        ASSERT_EQ(segment().map, first.map) << round;
    }
}

TEST_F(ManySmallChanges, AtOtherPlacesFoldBeforeHalfIsReached) {
    begin_with(1, 8192);
    const auto signatures = [&] {
        const NodeRef group = std::get<SegmentGroups>(entries_[0].content).at(0);
        return decode_segment_group(files_.repository->nodes().read(group)).at(0).signatures;
    };
    const NodeRef first = signatures();
    int rounds = 0;
    for (; rounds < 60 && signatures() == first; ++rounds) {
        change(82);
        back_up();
    }
    // By half of its size it would be at the fortieth.
    EXPECT_GT(rounds, 5);
    EXPECT_LT(rounds, 30);
}

} // namespace
} // namespace holdfast
