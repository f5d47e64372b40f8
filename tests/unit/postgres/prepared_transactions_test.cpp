// Which files of prepared transactions a recovery must not find: those of numbers that its first checkpoint
// had not given away yet.
#include "base/error.h"
#include "postgres/recovery/prepared_transactions.h"
#include "support/error_matchers.h"
#include "support/made_source.h"
#include "support/wal_segments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

using holdfast::test::expect_error;
using test::small_segment_bytes;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr Lsn begin{std::uint64_t{16} << 20};
constexpr std::uint64_t epoch = std::uint64_t{1} << 32;

Bytes checkpoint_data(std::uint64_t next_xid) {
    ByteWriter data;
    data.u64(begin.value);
    data.u32(1);
    data.u32(1);
    data.u8(1);
    data.raw(Bytes(3));
    data.u32(1);
    data.u64(next_xid);
    data.raw(Bytes(7 * 4 + 4));
    data.u64(1'700'000'000);
    data.raw(Bytes(4 * 4));
    return {data.bytes().begin(), data.bytes().end()};
}

// A log whose second checkpoint is the one of the backup. It runs across a page, and across two slices.
class PreparedTransactions : public testing::Test, protected test::MadeSource {
  protected:
    std::vector<std::string> later(int version, std::uint64_t next_xid, std::vector<std::string> names) {
        write(version, next_xid);
        cluster_.version = version;
        cluster_.prepared = std::move(names);
        cluster_.control.wal_segment_bytes = small_segment_bytes;
        source.content = [this](const LogSliceId& slice) {
            ++read_;
            const ByteView all(bytes_);
            const ByteView part =
                all.subspan(slice.range.begin - begin.value, slice.range.end - slice.range.begin);
            Bytes stored(part.begin(), part.end());
            if (slice.range.begin - begin.value == spoiled_) stored[24] = static_cast<Byte>(stored[24] ^ 1);
            if (slice.range.begin - begin.value == shortened_) stored.pop_back();
            return stored;
        };
        RecoveryPlan plan;
        plan.log = follow_log(source, source.history_of(1), begin);
        return prepared_later(source, plan, cluster_);
    }

    SnapshotCluster cluster_;
    // The slices that begin so far behind the log's begin.
    std::uint64_t spoiled_ = UINT64_MAX, shortened_ = UINT64_MAX;
    int read_ = 0;

  private:
    void write(int version, std::uint64_t next_xid) {
        test::WalWriter writer(version, small_segment_bytes, begin);
        const auto checkpoint = [&](std::uint64_t next) {
            return writer.add({ResourceManager::xlog, 0x10, 0, checkpoint_data(next), {}});
        };
        checkpoint(5);
        while (writer.position() - begin < 8192 - 160)
            writer.add({ResourceManager::logical_message, 0x00, 0, Bytes(40), {}});
        cluster_.label.checkpoint = checkpoint(next_xid);
        checkpoint(next_xid + 1000);
        writer.bytes().resize(small_segment_bytes);
        bytes_ = writer.bytes();
        const std::uint64_t cut = begin.value + 8192;
        for (const auto& [from, to] :
             {std::pair(begin.value, cut), std::pair(cut, begin.value + small_segment_bytes)}) {
            LogSliceId id;
            id.range = {1, from, to};
            id.number = static_cast<std::uint32_t>(source.slices.size());
            source.slices.push_back(id);
            details[id] = {};
        }
    }

    Bytes bytes_;
};

TEST_F(PreparedTransactions, AreThoseThatBeganBehindTheCheckpoint) {
    EXPECT_THAT(later(17, 744, {"00000000000002E7", "00000000000002E8", "0000000100000001"}),
                ElementsAre("00000000000002E8", "0000000100000001"));
    EXPECT_EQ(read_, 2);
}

TEST_F(PreparedTransactions, OfAnEarlierEpochAreNone) {
    EXPECT_THAT(later(18, epoch + 10, {"00000000FFFFFFF0", "000000010000000A"}),
                ElementsAre("000000010000000A"));
}

TEST_F(PreparedTransactions, OfShortNamesGoByTheServersOrder) {
    EXPECT_THAT(later(16, epoch + 10, {"FFFFFFF0", "00000009", "0000000A", "7FFFFFFF"}),
                ElementsAre("0000000A", "7FFFFFFF"));
}

TEST_F(PreparedTransactions, WhatHasNoSuchNameIsLeftAlone) {
    EXPECT_THAT(
        later(17, 3,
              {"note", "12", "00000000000000G1", "00000000000000001", "00000000deadbeef", "DEADBEEF", ""}),
        IsEmpty());
}

TEST_F(PreparedTransactions, WithoutAnyNoLogIsRead) {
    EXPECT_THAT(later(17, 744, {}), IsEmpty());
    EXPECT_EQ(read_, 0);
}

TEST_F(PreparedTransactions, WithoutTheCheckpointNothingIsRestored) {
    spoiled_ = 8192; // the rest of its record, behind the header of the page
    expect_error(ErrorCode::corrupt, [&] { later(17, 744, {"00000000000002E8"}); }, "has no checkpoint at");
}

TEST_F(PreparedTransactions, OfALogThatCannotBeReadItIsSaidWhichThatIs) {
    shortened_ = 8192;
    expect_error(
        ErrorCode::corrupt, [&] { later(17, 744, {"00000000000002E8"}); }, "where the recovery of snapshot");
}

} // namespace
} // namespace holdfast::postgres
