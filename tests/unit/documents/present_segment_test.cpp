#include "base/error.h"
#include "base/random.h"
#include "documents/restore/present_segment.h"

#include <algorithm>
#include <map>
#include <thread>

#include <gtest/gtest.h>

namespace holdfast {
namespace {

constexpr std::uint64_t start = 128u << 20;
constexpr std::size_t short_page_bytes = 100;

// A segment as it is wanted, and the file that is there, whose first byte is the segment's.
class PresentSegmentTest : public testing::Test {
  protected:
    PresentSegmentTest() : wanted_(100 * page_bytes + short_page_bytes) {
        SeededRandom(1).fill(wanted_);
        there_ = wanted_;
        signatures_.resize(pages_of(wanted_.size()));
        signer_->sign(wanted_, signatures_);
    }

    PresentSegment segment() {
        return {signer_,
                start,
                wanted_.size(),
                signatures_,
                [this](std::uint64_t offset, MutableByteView out) {
                    ++reads_;
                    const std::uint64_t from = std::min<std::uint64_t>(offset - start, there_.size());
                    const std::size_t got = std::min<std::size_t>(out.size(), there_.size() - from);
                    std::copy_n(there_.begin() + static_cast<std::ptrdiff_t>(from), got, out.begin());
                    return got;
                },
                [this](std::uint64_t offset, ByteView bytes) {
                    const std::scoped_lock lock(mutex_);
                    EXPECT_TRUE(same_.emplace(offset, bytes.size()).second) << "told twice";
                    EXPECT_TRUE(
                        std::ranges::equal(bytes, ByteView(wanted_).subspan(offset - start, bytes.size())));
                }};
    }
    std::vector<FileRange> missing_of_all() { return segment().missing(start, wanted_.size()); }
    void damage(std::size_t page) { ++there_[page * page_bytes + 7]; }
    static FileRange page(std::uint64_t first, std::uint64_t count = 1) {
        return {start + first * page_bytes, count * page_bytes};
    }

    std::shared_ptr<const PageSigner> signer_ = std::make_shared<PageSigner>(Bytes(32, 5));
    Bytes wanted_;
    Bytes there_;
    std::vector<PageSignature> signatures_;
    std::atomic<unsigned> reads_ = 0;
    std::mutex mutex_;
    std::map<std::uint64_t, std::uint64_t> same_;
};

TEST_F(PresentSegmentTest, NothingIsMissingOfWhatIsRight) {
    EXPECT_EQ(missing_of_all(), std::vector<FileRange>{});
    std::uint64_t at = start;
    for (const auto& [offset, bytes] : same_) {
        EXPECT_EQ(offset, at);
        at += bytes;
    }
    EXPECT_EQ(at, start + wanted_.size());
}

TEST_F(PresentSegmentTest, WholePagesAreMissing) {
    for (const std::size_t page : {0UL, 31UL, 32UL, 33UL, 99UL, 100UL}) ++there_[page * page_bytes];
    const std::vector<FileRange> wanted{
        page(0), page(31, 3), {start + 99 * page_bytes, page_bytes + short_page_bytes}};
    EXPECT_EQ(missing_of_all(), wanted);
    std::uint64_t same = 0;
    for (const auto& [offset, bytes] : same_) same += bytes;
    EXPECT_EQ(same, 95 * page_bytes);
}

TEST_F(PresentSegmentTest, TheEndOfAShortFileIsMissing) {
    there_.resize(50 * page_bytes + 1);
    const std::vector<FileRange> wanted{{start + 50 * page_bytes, 50 * page_bytes + short_page_bytes}};
    EXPECT_EQ(missing_of_all(), wanted);
    there_.clear();
    EXPECT_EQ(missing_of_all(), (std::vector<FileRange>{{start, wanted_.size()}}));
}

TEST_F(PresentSegmentTest, OnlyWhatIsAskedForIsToldAndPagesMayBeAskedForInParts) {
    damage(10);
    PresentSegment there = segment();
    EXPECT_EQ(there.missing(start + 9 * page_bytes, page_bytes), std::vector<FileRange>{});
    EXPECT_EQ(there.missing(start + 10 * page_bytes + 100, 200),
              (std::vector<FileRange>{{start + 10 * page_bytes + 100, 200}}));
    EXPECT_EQ(there.missing(start + 10 * page_bytes + 300, page_bytes),
              (std::vector<FileRange>{{start + 10 * page_bytes + 300, page_bytes - 300}}));
    // What was written into it meanwhile changes nothing: a page is looked at once.
    there_ = wanted_;
    EXPECT_EQ(there.missing(start + 10 * page_bytes, page_bytes), (std::vector<FileRange>{page(10)}));
    EXPECT_EQ(reads_, 1U);
}

TEST_F(PresentSegmentTest, HolesAreNotFetched) {
    damage(10);
    damage(12);
    signatures_[10] = hole_signature;
    EXPECT_EQ(missing_of_all(), (std::vector<FileRange>{page(12)}));
    for (const auto& [offset, bytes] : same_)
        EXPECT_TRUE(offset >= start + 11 * page_bytes || offset + bytes <= start + 10 * page_bytes);
}

TEST_F(PresentSegmentTest, ManyThreadsLookOnce) {
    for (std::size_t page = 3; page < 100; page += 7) damage(page);
    PresentSegment there = segment();
    std::vector<std::vector<FileRange>> found(4);
    {
        std::vector<std::jthread> threads;
        for (std::vector<FileRange>& ranges : found)
            threads.emplace_back([&] { ranges = there.missing(start, wanted_.size()); });
    }
    for (const std::vector<FileRange>& ranges : found) EXPECT_EQ(ranges.size(), 14U);
    EXPECT_EQ(reads_, 4U) << "once for each block";
}

TEST_F(PresentSegmentTest, WhatReadingThrowsComesOut) {
    PresentSegment there(
        signer_, start, wanted_.size(), signatures_,
        [](std::uint64_t, MutableByteView) -> std::size_t { throw Error(ErrorCode::io, "a bad disk"); },
        [](std::uint64_t, ByteView) {});
    EXPECT_THROW(there.missing(start, page_bytes), Error);
    EXPECT_THROW(there.missing(start, page_bytes), Error);
}

} // namespace
} // namespace holdfast
