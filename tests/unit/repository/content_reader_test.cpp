// What ContentReader promises to those who wait for a file, and what it refuses to take for one.

#include "repository/content/content_reader.h"
#include "support/content_repository.h"
#include "support/error_matchers.h"
#include "support/sparse_content.h"

#include <deque>
#include <stdexcept>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using test::ContentRepository;
using test::SparseContent;
using test::SparseSource;

// Counts its ends; may throw from them, or hold a worker until a stop is requested.
class CountingSink final : public ContentSink {
  public:
    std::function<void()> on_write = [] {};
    std::function<void()> on_end = [] {};
    std::atomic<unsigned> finished = 0;
    std::atomic<unsigned> failures = 0;
    std::atomic<unsigned> abandonments = 0;

    void write(std::uint64_t, ByteView) override { on_write(); }
    void done() override {
        ++finished;
        on_end();
    }
    void failed(const Error&) override {
        ++failures;
        on_end();
    }
    void abandoned() override {
        ++abandonments;
        on_end();
    }
    unsigned ends() const { return finished + failures + abandonments; }
};

class ContentReaderTest : public testing::Test {
  protected:
    void SetUp() override {
        const std::unique_ptr<BackupRun> run = files_.begin();
        std::vector<TreeEntry> entries;
        for (std::uint64_t number = 0; number < 6; ++number) {
            Bytes bytes(300'000);
            SeededRandom(number).fill(bytes);
            SparseSource source(contents_.emplace_back(SparseContent::of(std::move(bytes))));
            entries_.push_back(ContentRepository::entry_of(std::string(1, static_cast<char>('a' + number)),
                                                           run->files().write(source, nullptr, {})));
        }
        files_.commit(*run, entries_);
    }
    // Small groups, so that one file is under way while others wait.
    static ContentReaderSettings settings() {
        ContentReaderSettings settings;
        settings.workers = 1;
        settings.batch_bytes = 1;
        return settings;
    }
    void add(ContentReader& reader, const TreeEntry& entry, const std::shared_ptr<CountingSink>& sink) {
        reader.begin_file(sink);
        for_each_extent(files_.repository->nodes(), entry,
                        [&](const Extents& extents) { reader.add(extents); });
        reader.finish_file();
    }
    std::vector<std::shared_ptr<CountingSink>> sinks() const {
        std::vector<std::shared_ptr<CountingSink>> sinks;
        for (std::size_t i = 0; i < entries_.size(); ++i) sinks.push_back(std::make_shared<CountingSink>());
        return sinks;
    }

    ContentRepository files_;
    std::deque<SparseContent> contents_;
    std::vector<TreeEntry> entries_;
};

TEST_F(ContentReaderTest, EveryFileIsDoneOnce) {
    const auto all = sinks();
    {
        ContentReader reader(files_.repository->packs(), settings());
        for (std::size_t i = 0; i < all.size(); ++i) add(reader, entries_[i], all[i]);
        reader.wait();
    }
    for (const auto& sink : all) {
        EXPECT_EQ(sink->finished, 1U);
        EXPECT_EQ(sink->ends(), 1U);
    }
}

TEST_F(ContentReaderTest, AStopAbandonsWhatWasNotTried) {
    const auto all = sinks();
    std::stop_source stop;
    std::atomic<bool> writing = false;
    all[0]->on_write = [&] {
        writing = true;
        while (!stop.stop_requested()) std::this_thread::yield();
    };
    {
        ContentReader reader(files_.repository->packs(), settings(), stop.get_token());
        for (std::size_t i = 0; i < all.size(); ++i) add(reader, entries_[i], all[i]);
        reader.begin_file(all[0]); // begun and never finished
        while (!writing) std::this_thread::yield();
        stop.request_stop();
        EXPECT_EQ(test::code_of([&] { reader.wait(); }), to_string(ErrorCode::cancelled));
    }
    EXPECT_EQ(all[0]->finished, 1U) << "its only piece was under way";
    EXPECT_EQ(all[0]->abandonments, 1U) << "the second time it was begun";
    for (std::size_t i = 1; i < all.size(); ++i) {
        EXPECT_EQ(all[i]->ends(), 1U) << i;
        EXPECT_EQ(all[i]->failures, 0U) << i;
    }
    EXPECT_EQ(all.back()->abandonments, 1U);
}

TEST_F(ContentReaderTest, WhatTheEndOfAFileThrowsStopsTheReader) {
    const auto all = sinks();
    all[0]->on_end = [] { throw Error(ErrorCode::no_space, "the disk is full"); };
    {
        ContentReader reader(files_.repository->packs(), settings());
        EXPECT_EQ(test::code_of([&] {
                      for (std::size_t i = 0; i < all.size(); ++i) add(reader, entries_[i], all[i]);
                      reader.wait();
                  }),
                  to_string(ErrorCode::no_space));
    }
    EXPECT_EQ(all[0]->finished, 1U);
    EXPECT_EQ(all[0]->ends(), 1U);
    for (const auto& sink : all) EXPECT_LE(sink->ends(), 1U);
}

TEST_F(ContentReaderTest, AnErrorOfWritingFailsItsFileAlone) {
    const auto all = sinks();
    all[2]->on_write = [] { throw Error(ErrorCode::no_space, "too large for this disk"); };
    ContentReader reader(files_.repository->packs(), settings());
    for (std::size_t i = 0; i < all.size(); ++i) add(reader, entries_[i], all[i]);
    reader.wait();
    for (std::size_t i = 0; i < all.size(); ++i) {
        EXPECT_EQ(all[i]->failures, i == 2 ? 1U : 0U) << i;
        EXPECT_EQ(all[i]->ends(), 1U) << i;
    }
}

TEST_F(ContentReaderTest, AnErrorThatIsNoErrorOfOursStopsTheReaderAndAbandonsItsFile) {
    const auto all = sinks();
    all[0]->on_write = [] { throw std::runtime_error("not expected"); };
    {
        ContentReader reader(files_.repository->packs(), settings());
        EXPECT_THROW(
            {
                add(reader, entries_[0], all[0]);
                reader.wait();
            },
            std::runtime_error);
    }
    EXPECT_EQ(all[0]->abandonments, 1U);
    EXPECT_EQ(all[0]->ends(), 1U);
}

TEST_F(ContentReaderTest, AMapThatEndsBeforeTheFileIsDamage) {
    const SparseContent content = SparseContent::hole(segment_bytes).then(contents_.front());
    const std::unique_ptr<BackupRun> run = files_.begin();
    SparseSource source(content);
    TreeEntry entry = ContentRepository::entry_of("large", run->files().write(source, nullptr, {}));
    files_.commit(*run, {entry});
    NodeReader& nodes = files_.repository->nodes();
    std::uint64_t seen = 0;
    const auto take = [&](const Segment&, std::uint64_t, std::uint64_t length) { seen += length; };
    for_each_segment(nodes, entry, take);
    EXPECT_EQ(seen, content.size());

    entry.size = 2 * segment_bytes + 1;
    EXPECT_EQ(test::code_of([&] { for_each_extent(nodes, entry, [](const Extents&) {}); }),
              to_string(ErrorCode::corrupt));

    // A second group behind one that is not full would be taken for content 64 GiB further on.
    auto& groups = std::get<SegmentGroups>(entry.content);
    groups.push_back(groups.front());
    entry.size = 4 * segment_bytes;
    EXPECT_EQ(test::code_of([&] { for_each_segment(nodes, entry, take); }), to_string(ErrorCode::corrupt));

    groups.clear();
    EXPECT_EQ(test::code_of([&] { for_each_segment(nodes, entry, take); }), to_string(ErrorCode::corrupt));
}

// Says that only some of what is added is missing; throws where that is empty.
class PartlyPresent final : public PresentContent {
  public:
    explicit PartlyPresent(std::vector<FileRange> ranges) : ranges_(std::move(ranges)) {}
    std::vector<FileRange> missing(std::uint64_t file_offset, std::uint64_t length) override {
        std::vector<FileRange> missing;
        for (const FileRange& range : ranges_) {
            if (range.length == 0) throw Error(ErrorCode::io, "what is there cannot be read");
            const std::uint64_t from = std::max(file_offset, range.offset);
            const std::uint64_t to = std::min(file_offset + length, range.offset + range.length);
            if (from < to) missing.push_back({from, to - from});
        }
        return missing;
    }

  private:
    const std::vector<FileRange> ranges_;
};

// Writes over a file of fives.
class OverwritingSink final : public ContentSink {
  public:
    Bytes file = Bytes(300'000, 5);
    unsigned finished = 0;
    unsigned failures = 0;

    void write(std::uint64_t offset, ByteView bytes) override {
        const std::scoped_lock lock(mutex_);
        std::ranges::copy(bytes, file.begin() + static_cast<std::ptrdiff_t>(offset));
    }
    void done() override { ++finished; }
    void failed(const Error&) override { ++failures; }
    void abandoned() override { ADD_FAILURE() << "a file was abandoned"; }

  private:
    std::mutex mutex_;
};

TEST_F(ContentReaderTest, OnlyWhatIsMissingIsWritten) {
    const std::vector<std::vector<FileRange>> missing{
        {{10, 20}, {200'000, 100'000}}, {}, {{0, 1}}, {{0, 0}}, {{299'999, 1}}, {{0, 300'000}}};
    std::vector<std::shared_ptr<OverwritingSink>> sinks;
    ContentReader reader(files_.repository->packs(), {});
    for (std::size_t i = 0; i < missing.size(); ++i) {
        sinks.push_back(std::make_shared<OverwritingSink>());
        reader.begin_file(sinks.back());
        const auto present = std::make_shared<PartlyPresent>(missing[i]);
        for_each_extent(files_.repository->nodes(), entries_[i],
                        [&](const Extents& extents) { reader.add(extents, present); });
        reader.finish_file();
    }
    reader.wait();
    for (std::size_t i = 0; i < missing.size(); ++i) {
        const bool fails = i == 3;
        EXPECT_EQ(sinks[i]->failures, fails ? 1U : 0U) << i;
        EXPECT_EQ(sinks[i]->finished, fails ? 0U : 1U) << i;
        Bytes content(300'000);
        SeededRandom(i).fill(content);
        Bytes wanted(content.size(), 5);
        for (const FileRange& range : missing[i])
            std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(range.offset), range.length,
                        wanted.begin() + static_cast<std::ptrdiff_t>(range.offset));
        EXPECT_TRUE(sinks[i]->file == wanted) << i;
    }
}

} // namespace
} // namespace holdfast
