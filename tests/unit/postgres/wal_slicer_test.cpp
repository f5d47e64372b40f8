#include "postgres/archive/wal_slicer.h"
#include "repository/log/slice_format.h"
#include "support/error_matchers.h"
#include "support/wal_segments.h"

#include <random>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

using test::MadeLog;
using test::small_segment_bytes;
using testing::SizeIs;

constexpr Lsn begin{std::uint64_t{5} << 20};
const WalSource source{15, small_segment_bytes, 0, 1};

class WalSlicerTest : public testing::Test {
  protected:
    WalSlicer make(Lsn start = begin) {
        return WalSlicer(source, start, [this](CutSlice slice) { slices.push_back(std::move(slice)); });
    }
    // The changes that slices describe together must be those of all records, and each must follow the other.
    static void expect_whole(const std::vector<CutSlice>& parts, const MadeLog& log) {
        std::optional<BlockChanges> all;
        std::uint64_t commits = 0;
        Lsn last;
        for (const CutSlice& slice : parts) {
            commits += slice.details.commits;
            if (slice.summary.empty()) continue;
            BlockChanges changes = BlockChanges::decode(slice.summary);
            EXPECT_EQ(changes.from(), slice.details.records_from);
            EXPECT_EQ(changes.to(), slice.details.records_to);
            if (last) {
                EXPECT_EQ(slice.details.previous, last);
            }
            last = slice.details.last;
            if (all) {
                all->append(changes);
            } else {
                all.emplace(std::move(changes));
            }
        }
        ASSERT_TRUE(all);
        std::vector<CutSlice> once;
        // The whole log, cut by one who sees it in one piece.
        BlockChanges expected(all->from());
        std::uint64_t expected_commits = 0;
        WalReader reader(source, log.begin(), [&](const WalRecord& record) {
            const wal_event::Event event = wal_event::event_of(record, 15);
            expected.add(record, event);
            expected_commits += std::holds_alternative<wal_event::TransactionEnd>(event);
        });
        reader.feed(log.bytes());
        EXPECT_EQ(all->encode(), expected.encode());
        EXPECT_EQ(commits, expected_commits);
        EXPECT_GT(commits, 10U);
    }

    std::vector<CutSlice> slices;
};

TEST_F(WalSlicerTest, CutsAtSegmentsAndDescribesRecordsThatCrossThem) {
    const MadeLog log(begin, 4);
    WalSlicer slicer = make();
    slicer.feed(log.bytes());
    ASSERT_THAT(slices, SizeIs(4));
    for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(slices[i].range, (LogRange{1, begin.value + i * small_segment_bytes,
                                             begin.value + (i + 1) * small_segment_bytes}));
        EXPECT_TRUE(std::ranges::equal(slices[i].content, log.segment(i)));
        EXPECT_EQ(slices[i].details.segment_bytes, small_segment_bytes);
        EXPECT_EQ(slices[i].details.system_identifier, 7'000'000'000'000'000'001U);
        EXPECT_LE(slices[i].details.first_commit_us, slices[i].details.last_commit_us);
        EXPECT_EQ(slices[i].details.broken, "");
    }
    expect_whole(slices, log);
    EXPECT_EQ(slicer.last_commit_us(), slices.back().details.last_commit_us);
}

TEST_F(WalSlicerTest, ALeadInTellsTheRecordThatCrosses) {
    const MadeLog log(begin, 3);
    std::vector<CutSlice> one_by_one;
    for (std::size_t i = 0; i < 3; ++i) {
        WalSlicer slicer = make(begin + i * small_segment_bytes);
        if (i > 0) slicer.lead_in(log.segment(i - 1));
        slicer.feed(log.segment(i));
    }
    ASSERT_THAT(slices, SizeIs(3));
    expect_whole(slices, log);
    // Without it, a record is missing, and the ends do not meet.
    slices.clear();
    WalSlicer slicer = make(begin + small_segment_bytes);
    slicer.feed(log.segment(1));
    ASSERT_THAT(slices, SizeIs(1));
    WalSlicer first = make();
    first.feed(log.segment(0));
    EXPECT_NE(slices[0].details.previous, slices[1].details.last);
}

TEST_F(WalSlicerTest, PiecesThatAreFlushedAreCutAgainAsAWhole) {
    const MadeLog log(begin, 2);
    std::mt19937_64 random(3);
    WalSlicer slicer = make();
    std::vector<CutSlice> pieces;
    ByteView rest = log.bytes();
    while (!rest.empty()) {
        const std::size_t bytes = std::min<std::size_t>(rest.size(), 1 + random() % 200'000);
        slicer.feed(rest.first(bytes));
        rest = rest.subspan(bytes);
        if (auto piece = slicer.flush()) pieces.push_back(std::move(*piece));
        EXPECT_FALSE(slicer.flush()) << "nothing came since";
    }
    ASSERT_THAT(slices, SizeIs(2));
    expect_whole(slices, log);
    ASSERT_GT(pieces.size(), 6U);
    for (const CutSlice& piece : pieces) {
        const ByteView content =
            ByteView(log.bytes())
                .subspan(piece.range.begin - begin.value, piece.range.end - piece.range.begin);
        EXPECT_TRUE(std::ranges::equal(piece.content, content));
    }
}

TEST_F(WalSlicerTest, WhatDoesNotDecodeIsArchivedAndTold) {
    MadeLog log(begin, 3);
    Bytes damaged = log.bytes();
    damaged[small_segment_bytes + 500'000] ^= 1;
    WalSlicer slicer = make();
    slicer.feed(damaged);
    ASSERT_THAT(slices, SizeIs(3));
    EXPECT_EQ(slices[0].details.broken, "");
    EXPECT_NE(slices[1].details.broken, "");
    EXPECT_EQ(slices[2].details.broken, "") << "it begins anew with a segment";
    EXPECT_TRUE(std::ranges::equal(slices[1].content,
                                   ByteView(damaged).subspan(small_segment_bytes, small_segment_bytes)));
    EXPECT_GT(slices[1].details.commits, 0U);
    EXPECT_NE(slices[1].details.last, slices[2].details.previous);
}

// Its checksum is right, and its data are not what this version writes: an extension, or a new minor version.
TEST_F(WalSlicerTest, ARecordThatIsNotUnderstoodCostsTheChangeMapAlone) {
    test::WalWriter writer(15, small_segment_bytes, begin);
    test::WalRecordSpec commit;
    commit.manager = ResourceManager::transaction;
    commit.xid = 7;
    commit.info = 0x80;
    commit.main_data = test::transaction_end_data(5'000'000, {});
    writer.add(commit);
    test::WalRecordSpec odd = commit;
    odd.main_data.resize(3);
    writer.add(odd);
    writer.add(commit);
    Bytes bytes = writer.bytes();
    bytes.resize(small_segment_bytes);
    WalSlicer slicer = make();
    slicer.feed(bytes);
    ASSERT_THAT(slices, SizeIs(1));
    EXPECT_EQ(slices[0].content, bytes);
    EXPECT_EQ(slices[0].details.commits, 2U);
    EXPECT_FALSE(BlockChanges::decode(slices[0].summary).usable());
    EXPECT_THAT(slicer.refused(), testing::HasSubstr("ends too early"));
}

TEST(RecordTally, TellsOfNoMoreRestorePointsThanCanBeReadBack) {
    RecordTally tally;
    WalRecord record{};
    for (std::uint64_t i = 0; i < most_restore_points + 10; ++i) {
        record.start = Lsn{1000 + 100 * i};
        record.end = record.start + 100;
        const std::string name = fmt::format("{:064}", i);
        tally.add_details(record, wal_event::RestorePoint{5, name});
    }
    EXPECT_THAT(tally.details.restore_points, SizeIs(most_restore_points));
    const Bytes encoded = encode_wal_details(tally.details);
    EXPECT_LT(encoded.size(), largest_slice_info_bytes / 2);
    EXPECT_EQ(decode_wal_details(encoded, "x"), tally.details);
    // Of archives that have more of them.
    for (std::uint64_t i = 0; i < 10'000; ++i) tally.details.restore_points.push_back({"n", Lsn{i}, 0});
    EXPECT_EQ(decode_wal_details(encode_wal_details(tally.details), "x"), tally.details);
}

TEST(WalDetails, AreReadBackAndRubbishIsRefused) {
    WalDetails details;
    details.system_identifier = 7;
    details.version = 18;
    details.segment_bytes = 1u << 30;
    details.records_from = Lsn{100};
    details.records_to = Lsn{200};
    details.previous = Lsn{90};
    details.last = Lsn{180};
    details.broken = "why";
    details.commits = 3;
    details.first_commit_us = -5;
    details.last_commit_us = 1'700'000'000'000'000;
    details.last_commit_end = Lsn{190};
    details.restore_points = {{"before", Lsn{150}, 17}};
    details.history = "1\t0/5000\tno reason\n";
    const Bytes good = encode_wal_details(details);
    EXPECT_EQ(decode_wal_details(good, "x"), details);
    EXPECT_EQ(decode_wal_details(encode_wal_details({}), "x"), WalDetails{});
    for (std::size_t cut = 0; cut < good.size(); ++cut)
        EXPECT_ANY_THROW(decode_wal_details(ByteView(good).first(cut), "x")) << cut;
    Bytes longer = good;
    longer.push_back(0);
    EXPECT_ANY_THROW(decode_wal_details(longer, "x"));
}

// A Timestamp counts nanoseconds.
TEST(WalDetails, TimesThatNoClockHasAreRefused) {
    constexpr std::int64_t farthest = INT64_MAX / 1000;
    WalDetails details;
    details.restore_points = {{"before", Lsn{150}, 0}};
    for (std::int64_t* time :
         {&details.first_commit_us, &details.last_commit_us, &details.restore_points.front().time_us}) {
        for (const std::int64_t possible : {farthest, -farthest}) {
            *time = possible;
            EXPECT_EQ(decode_wal_details(encode_wal_details(details), "x"), details);
        }
        for (const std::int64_t impossible : {farthest + 1, -farthest - 1, INT64_MAX, INT64_MIN}) {
            *time = impossible;
            test::expect_error(
                ErrorCode::corrupt, [&] { decode_wal_details(encode_wal_details(details), "x"); },
                "impossible time");
        }
        *time = 0;
    }
}

} // namespace
} // namespace holdfast::postgres
