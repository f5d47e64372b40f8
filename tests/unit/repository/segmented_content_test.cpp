// Large files whose backup was interrupted.

#include "repository/content/file_content.h"
#include "repository/node/file_map_node.h"
#include "support/content_repository.h"
#include "support/error_matchers.h"
#include "support/sparse_content.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using test::ContentRepository;
using test::SparseContent;
using test::SparseSource;

class SegmentedContentTest : public testing::Test {
  protected:
    static SparseContent random_bytes(std::uint64_t seed, std::uint64_t length) {
        Bytes bytes(length);
        SeededRandom(seed).fill(bytes);
        return SparseContent::of(std::move(bytes));
    }
    // Four segments, with a MiB of data at the start of each.
    static SparseContent large() {
        SparseContent content;
        for (std::uint64_t number = 0; number < 4; ++number) {
            content = content.then(random_bytes(number, 1u << 20))
                          .then(SparseContent::hole(segment_bytes - (1u << 20)));
        }
        return content;
    }
    // Backs up until the source says stop, behind `most_reads` reads, and saves what there is then.
    TreeEntry interrupted(const SparseContent& content, const TreeEntry* previous, std::uint64_t most_reads) {
        const std::unique_ptr<BackupRun> run = files_.begin();
        SparseSource source(content, most_reads);
        TreeEntry unfinished;
        FileWriteOptions options;
        options.mode = SplitMode::pages;
        options.stopped = [&](const std::function<FileContentResult()>& so_far) {
            unfinished = ContentRepository::entry_of("large", so_far());
            unfinished.flags |= entry_flag::incomplete;
        };
        EXPECT_EQ(test::code_of([&] { run->files().write(source, previous, options); }),
                  to_string(ErrorCode::cancelled));
        EXPECT_NE(unfinished.size, 0U);
        run->end_early(ContentRepository::root_of(*run, {unfinished}));
        return unfinished;
    }
    std::string restored_difference(const TreeEntry& entry, const SparseContent& content) {
        const auto sink = std::make_shared<test::CollectingSink>();
        ContentReader reader(files_.repository->packs(), {});
        reader.begin_file(sink);
        for_each_extent(files_.repository->nodes(), entry,
                        [&](const Extents& extents) { reader.add(extents); });
        reader.finish_file();
        reader.wait();
        return sink->difference(content, page_bytes);
    }

    ContentRepository files_;
};

TEST_F(SegmentedContentTest, GoesOnBehindWhatWasReadWithThePagesOfTheLastSnapshot) {
    const SparseContent first = large();
    FileWriteOptions options;
    options.mode = SplitMode::pages;
    TreeEntry parent;
    {
        const std::unique_ptr<BackupRun> run = files_.begin();
        SparseSource source(first);
        parent = ContentRepository::entry_of("large", run->files().write(source, nullptr, options));
        files_.commit(*run, {parent});
    }
    SparseContent second = first;
    for (std::uint64_t number = 0; number < 4; ++number) {
        const std::uint64_t at = number * segment_bytes + 3 * page_bytes;
        second = second.replaced(at, at + page_bytes, random_bytes(100 + number, page_bytes));
    }
    const TreeEntry part = interrupted(second, &parent, 2);
    EXPECT_EQ(part.size, 2 * segment_bytes);

    const std::unique_ptr<BackupRun> run = files_.begin();
    EXPECT_EQ(run->previous_roots().size(), 2U) << "the checkpoint, and the parent";
    SparseSource source(second);
    options.trusted = &part;
    const TreeEntry entry =
        ContentRepository::entry_of("large", run->files().write(source, &parent, options));
    files_.commit(*run, {entry});
    EXPECT_EQ(source.bytes_read(), 2u << 20) << "of the two segments that were not read before";
    EXPECT_EQ(run->writer().totals().new_bytes, 2 * page_bytes);
    EXPECT_EQ(restored_difference(entry, second), "");

    // Read from end to end, it is the same file.
    const std::unique_ptr<BackupRun> again = files_.begin();
    SparseSource whole(second);
    options.trusted = nullptr;
    EXPECT_EQ(again->files().write(whole, &entry, options).digest, entry.digest);
}

// How long the interrupted version was is not known, so that nothing is looked for where it would be after an
// insertion.
TEST_F(SegmentedContentTest, GoesOnWithoutAnEarlierSnapshot) {
    const SparseContent content = large();
    const TreeEntry part = interrupted(content, nullptr, 1);
    EXPECT_EQ(part.size, segment_bytes);
    const std::unique_ptr<BackupRun> run = files_.begin();
    EXPECT_EQ(run->previous_roots().size(), 1U);
    SparseSource source(content);
    FileWriteOptions options;
    options.trusted = &part;
    const TreeEntry entry = ContentRepository::entry_of("large", run->files().write(source, &part, options));
    files_.commit(*run, {entry});
    EXPECT_EQ(source.bytes_read(), 3u << 20);
    EXPECT_EQ(restored_difference(entry, content), "");
}

TEST_F(SegmentedContentTest, ARunThatEndedEarlyLeavesNoIntent) {
    const SparseContent content = large();
    interrupted(content, nullptr, 1);
    EXPECT_TRUE(files_.memory->list_all(std::string(intents_prefix)).empty());
    EXPECT_EQ(files_.memory->list_all(std::string(checkpoints_prefix)).size(), 1U);
}

// The chunk that reaches across the end of a segment is cut when a little more has been read.
TEST_F(SegmentedContentTest, ACheckpointHoldsEverySegmentThatWasRead) {
    const SparseContent content = random_bytes(1, 2 * segment_bytes + (5u << 20));
    const std::unique_ptr<BackupRun> run = files_.begin();
    SparseSource source(content);
    FileWriteOptions options;
    std::vector<std::uint64_t> told;
    options.segment_done = [&](const std::function<FileContentResult()>& so_far) {
        told.push_back(so_far().size_bytes);
        EXPECT_LE(source.bytes_read(), told.back() + (1u << 20));
    };
    run->files().write(source, nullptr, options);
    EXPECT_EQ(told, (std::vector<std::uint64_t>{segment_bytes, 2 * segment_bytes}));
}

TEST_F(SegmentedContentTest, WhatIsStoppedAtTheEndOfASegmentHasThatSegment) {
    const SparseContent content = random_bytes(1, segment_bytes + (3u << 20));
    const std::unique_ptr<BackupRun> run = files_.begin();
    SparseSource source(content, segment_bytes >> 20);
    TreeEntry part;
    FileWriteOptions options;
    options.stopped = [&](const std::function<FileContentResult()>& so_far) {
        part = ContentRepository::entry_of("large", so_far());
        part.flags |= entry_flag::incomplete;
    };
    EXPECT_EQ(test::code_of([&] { run->files().write(source, nullptr, options); }),
              to_string(ErrorCode::cancelled));
    EXPECT_EQ(source.bytes_read(), segment_bytes);
    EXPECT_EQ(part.size, segment_bytes);
    run->end_early(ContentRepository::root_of(*run, {part}));

    const std::unique_ptr<BackupRun> next = files_.begin();
    SparseSource rest(content);
    options.trusted = &part;
    const TreeEntry entry = ContentRepository::entry_of("large", next->files().write(rest, &part, options));
    files_.commit(*next, {entry});
    EXPECT_EQ(rest.bytes_read(), 3u << 20);
    EXPECT_EQ(restored_difference(entry, content), "");
}

// 64 GiB and a little: two groups, nearly all hole.
TEST_F(SegmentedContentTest, AFileOfTwoGroupsComesBack) {
    const std::uint64_t group = segment_bytes * segments_per_group;
    SparseContent content = random_bytes(1, 100'000)
                                .then(SparseContent::hole(group - 200'000))
                                .then(random_bytes(2, 200'000))
                                .then(SparseContent::hole(segment_bytes))
                                .then(random_bytes(3, 5));
    std::optional<TreeEntry> previous;
    for (int round = 0; round < 3; ++round) {
        const std::unique_ptr<BackupRun> run = files_.begin();
        SparseSource source(content);
        FileWriteOptions options;
        const TreeEntry entry = ContentRepository::entry_of(
            "large", run->files().write(source, previous ? &*previous : nullptr, options));
        files_.commit(*run, {entry});
        EXPECT_EQ(std::get<SegmentGroups>(entry.content).size(), round == 2 ? 1U : 2U);
        EXPECT_EQ(restored_difference(entry, content), "");
        previous = entry;
        content = round == 0 ? content.replaced(group - page_bytes, group + page_bytes,
                                                random_bytes(9, 2 * page_bytes))
                             : content.slice(0, group);
    }
}

} // namespace
} // namespace holdfast
