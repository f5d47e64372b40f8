// The oldest commit that is not stored, over a log that is made up.
#include "postgres/recovery/unstored_commit.h"
#include "support/error_matchers.h"
#include "support/made_source.h"
#include "support/wal_segments.h"

#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

using test::expect_error;
using test::small_segment_bytes;
using test::transaction_end_data;
using test::WalRecordSpec;

constexpr Lsn log_begin{std::uint64_t{5} << 20};

class UnstoredCommitTest : public testing::Test, protected test::MadeSource {
  protected:
    UnstoredCommitTest() {
        source.part = [this](const LogSliceId&, Lsn from, Lsn to) {
            return Bytes(bytes_from(from).begin(), bytes_from(from).begin() + static_cast<long>(to - from));
        };
    }
    Lsn change(std::size_t size) {
        WalRecordSpec spec;
        spec.manager = ResourceManager::heap;
        spec.blocks.push_back({{1663, 5, 16384}, 7, Fork::main, Bytes(size, Byte{42}), false, false});
        return writer.add(spec);
    }
    // With a list of files that makes it long.
    Lsn commit(std::int64_t second, std::size_t dropped = 0) {
        WalRecordSpec spec;
        spec.manager = ResourceManager::transaction;
        spec.info = 0x80;
        spec.main_data =
            transaction_end_data((second - 946'684'800) * 1'000'000,
                                 std::vector<RelationFile>(dropped, RelationFile{1663, 5, 16384}));
        return writer.add(spec);
    }
    // A slice that ends at `end`; the next record starts at `next`, or (0) none ends in the slice.
    WalDetails& stored(Lsn from, Lsn end, Lsn next) {
        LogSliceId id;
        id.range = {1, from.value, end.value};
        id.number = ++number_;
        source.slices.push_back(id);
        std::ranges::sort(source.slices);
        WalDetails& made = details[id];
        if (next) made.records_from = from;
        made.records_to = next;
        return made;
    }
    std::optional<Timestamp> look(Lsn begin) {
        return first_unstored_commit(
            source, {15, small_segment_bytes, 0, 0}, {TimelineHistory(1), begin, writer.position()},
            [this](const WrittenLog& log, const TakeLog& take) {
                ByteView rest = bytes_from(log.begin);
                while (!rest.empty() && take(rest.first(std::min<std::size_t>(rest.size(), piece_bytes))))
                    rest = rest.subspan(std::min<std::size_t>(rest.size(), piece_bytes));
                left_bytes = rest.size();
            });
    }
    ByteView bytes_from(Lsn at) const { return ByteView(writer.bytes()).subspan(at - log_begin); }
    static Timestamp at_second(std::int64_t second) { return Timestamp(std::chrono::seconds(second)); }

    static constexpr std::size_t piece_bytes = 1000;
    test::WalWriter writer{15, small_segment_bytes, log_begin};
    std::size_t left_bytes = 0; // that the last look did not ask for

  private:
    std::uint32_t number_ = 0;
};

constexpr std::int64_t early = 1'700'000'000, late = 1'700'000'500;

TEST_F(UnstoredCommitTest, IsNoneWhileNothingCommits) {
    commit(early);
    const Lsn end = writer.position();
    stored(log_begin, end, end);
    EXPECT_EQ(look(end), std::nullopt);
    change(20'000);
    change(100);
    EXPECT_EQ(look(end), std::nullopt);
}

TEST_F(UnstoredCommitTest, IsTheFirstAndNoMoreIsRead) {
    commit(early - 100);
    const Lsn end = writer.position();
    stored(log_begin, end, end);
    change(3000);
    commit(early);
    commit(late);
    change(50'000);
    EXPECT_EQ(look(end), at_second(early));
    EXPECT_GT(left_bytes, 40'000U);
}

TEST_F(UnstoredCommitTest, OfARecordThatLiesAcrossTheArchiveHasTheBeginning) {
    change(4000);
    const Lsn start = commit(early, 2000);
    const Lsn behind = writer.position();
    commit(late);
    const Lsn within = start + 8000;
    stored(log_begin, within, start);
    EXPECT_EQ(look(within), at_second(early));
    stored(within, behind, behind);
    EXPECT_EQ(look(behind), at_second(late)) << "a commit that is stored was taken for one that is not";
}

TEST_F(UnstoredCommitTest, ARecordMayHaveBegunSlicesBefore) {
    const Lsn start = commit(early, 10'000);
    stored(log_begin, start + 20'000, start);
    stored(start + 20'000, start + 50'000, {});
    stored(start + 50'000, start + 90'000, {});
    EXPECT_EQ(look(start + 90'000), at_second(early));
}

TEST_F(UnstoredCommitTest, OfATimelineThatBeginsThereNothingStoredIsNeeded) {
    commit(early);
    const Lsn fork = writer.position();
    writer.set_timeline(2);
    commit(late);
    const auto found = first_unstored_commit(
        source, {15, small_segment_bytes, 0, 0},
        {TimelineHistory(1).branch(2, fork, "promoted"), fork, writer.position()},
        [this](const WrittenLog& log, const TakeLog& take) { take(bytes_from(log.begin)); });
    EXPECT_EQ(found, at_second(late));
}

TEST_F(UnstoredCommitTest, WhatCannotBeKnownIsAnErrorAndNotNone) {
    change(100);
    const Lsn end = writer.position();
    change(9000);
    expect_error(ErrorCode::incompatible, [&] { look(end); });
    WalDetails& slice = stored(log_begin, end, end);
    EXPECT_EQ(look(end), std::nullopt);
    slice.broken = "bad_checksum";
    expect_error(ErrorCode::incompatible, [&] { look(end); });
    slice.broken.clear();
    expect_error(ErrorCode::corrupt, [&] {
        first_unstored_commit(source, {15, small_segment_bytes, 0, 0},
                              {TimelineHistory(1), end, writer.position()},
                              [](const WrittenLog&, const TakeLog&) {});
    });
    writer.bytes()[end - log_begin + 500] ^= 1;
    expect_error(ErrorCode::corrupt, [&] { look(end); });
}

// Of a later version, or with a right checksum over nonsense.
TEST_F(UnstoredCommitTest, ATransactionsEndThatIsNotUnderstoodIsNotNone) {
    commit(early);
    const Lsn end = writer.position();
    stored(log_begin, end, end);
    writer.add({ResourceManager::xlog, 0x70, 0, Bytes(3), {}});
    EXPECT_EQ(look(end), std::nullopt) << "a restore point is no commit, whatever is in it";
    writer.add({ResourceManager::transaction, 0x00, 9, Bytes(3), {}});
    expect_error(ErrorCode::corrupt, [&] { look(end); });
    commit(late);
    expect_error(ErrorCode::corrupt, [&] { look(end); });
}

} // namespace
} // namespace holdfast::postgres
