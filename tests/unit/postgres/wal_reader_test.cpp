#include "base/random.h"
#include "postgres/wal/wal_reader.h"
#include "support/error_matchers.h"
#include "support/wal_writer.h"

#include <algorithm>
#include <tuple>

#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

using test::code_of;
using test::WalBlockSpec;
using test::WalRecordSpec;
using test::WalWriter;

constexpr std::uint64_t mib = 1U << 20;
constexpr Lsn begin{16 * mib};

// A record with what it points to.
struct Seen {
    Lsn start;
    Lsn end;
    TransactionId xid;
    Bytes main_data;
    std::vector<std::tuple<RelationFile, Fork, BlockNumber, bool, Bytes>> blocks;

    bool operator==(const Seen&) const = default;
};

struct Result {
    std::vector<Seen> records;
    std::optional<WalEnd> end;
    std::optional<PendingRecord> pending;
    std::optional<OverwrittenRecord> overwritten;
    Lsn first;
    Lsn last_end;
};

Seen seen(const WalRecord& record) {
    Seen copy{record.start, record.end, record.xid, {record.main_data.begin(), record.main_data.end()}, {}};
    for (const BlockReference& block : record.blocks)
        copy.blocks.emplace_back(block.relation, block.fork, block.block, block.has_image,
                                 Bytes(block.data.begin(), block.data.end()));
    return copy;
}

Result read(const WalSource& source, Lsn start, ByteView bytes, std::size_t piece = SIZE_MAX,
            Lsn previous = {}) {
    Result result;
    WalReader reader(
        source, start, [&](const WalRecord& record) { result.records.push_back(seen(record)); }, previous);
    while (!bytes.empty()) {
        const std::size_t size = std::min(piece, bytes.size());
        if (!reader.feed(bytes.first(size))) break;
        bytes = bytes.subspan(size);
    }
    result.end = reader.end();
    result.pending = reader.pending();
    result.overwritten = reader.overwritten();
    result.first = reader.first_start();
    result.last_end = reader.last_end();
    return result;
}

WalRecordSpec noop(std::size_t bytes, TransactionId xid = 0) {
    return {ResourceManager::xlog, 0x20, xid, Bytes(bytes, 0x5a), {}};
}

// Records of all sizes, up to several pages, past a segment's end.
WalWriter varied_log(int version) {
    WalWriter log(version, mib, begin);
    SeededRandom random(static_cast<std::uint64_t>(version));
    for (TransactionId xid = 1; log.position() < begin + mib + mib / 4; ++xid) {
        Bytes draw(4);
        random.fill(draw);
        WalRecordSpec spec{ResourceManager::heap, 0x00, xid, Bytes(draw[0], draw[1]), {}};
        if (draw[2] % 4 == 0) spec.main_data.resize(std::size_t{draw[2]} * 100);
        for (unsigned i = 0; i < draw[3] % 4U; ++i)
            spec.blocks.push_back({{1663, 5, 16384 + i},
                                   xid + i,
                                   i == 2 ? Fork::visibility_map : Fork::main,
                                   Bytes(draw[1], draw[0]),
                                   (draw[2] & 0x10) != 0,
                                   i == 1});
        log.add(spec);
    }
    return log;
}

class WalReaderOf : public testing::TestWithParam<int> {};

TEST_P(WalReaderOf, ReadsTheSameHoweverTheBytesAreCut) {
    const int version = GetParam();
    const WalWriter log = varied_log(version);
    const WalSource source{version, mib, 0, 1};
    const Result whole = read(source, begin, log.bytes());
    ASSERT_FALSE(whole.end) << whole.end->detail;
    ASSERT_GT(whole.records.size(), 100U);
    EXPECT_EQ(whole.first, begin + 40);
    EXPECT_EQ(whole.last_end, log.position());
    EXPECT_EQ(whole.records.back().xid, whole.records.size());
    for (const std::size_t piece : {1U, 3U, 7U, 8U, 23U, 24U, 25U, 39U, 41U, 1000U, 8191U, 8192U, 8193U}) {
        const Result cut = read(source, begin, log.bytes(), piece);
        ASSERT_FALSE(cut.end) << piece << ": " << cut.end->detail;
        ASSERT_EQ(cut.records, whole.records) << piece;
    }
}

TEST_P(WalReaderOf, BlockReferencesAreAsWritten) {
    const int version = GetParam();
    WalWriter log(version, mib, begin);
    const RelationFile heap{1663, 5, 16384};
    const RelationFile map{1664, 0, 1262};
    log.add({ResourceManager::heap,
             0x20,
             77,
             Bytes(300, 9),
             {{heap, 7, Fork::main, Bytes{1, 2, 3}, true, false},
              {map, 9, Fork::visibility_map, {}, false, true}}});
    std::vector<BlockReference> blocks;
    WalReader reader({version, mib, 0, 1}, begin, [&](const WalRecord& record) {
        blocks.assign(record.blocks.begin(), record.blocks.end());
        ASSERT_EQ(blocks.size(), 2U);
        EXPECT_EQ(blocks[0].image.bytes.size(), wal_page_bytes);
        EXPECT_EQ(blocks[0].image.bytes[100], 7);
        EXPECT_EQ(Bytes(blocks[0].data.begin(), blocks[0].data.end()), (Bytes{1, 2, 3}));
        EXPECT_EQ(record.main_data.size(), 300U);
        EXPECT_EQ(record.operation(), 0x20);
        EXPECT_TRUE(record.is_of(ResourceManager::heap));
    });
    ASSERT_TRUE(reader.feed(log.bytes()));
    ASSERT_EQ(blocks.size(), 2U);
    EXPECT_EQ(blocks[0].relation, heap);
    EXPECT_EQ(blocks[1].relation, map);
    EXPECT_EQ(blocks[1].fork, Fork::visibility_map);
    EXPECT_TRUE(blocks[0].has_image && blocks[0].image.apply && !blocks[0].will_init);
    EXPECT_EQ(blocks[0].image.compression, ImageCompression::none);
    EXPECT_TRUE(!blocks[1].has_image && blocks[1].will_init);
}

INSTANTIATE_TEST_SUITE_P(Versions, WalReaderOf, testing::Values(13, 14, 15, 16, 17, 18));

class WalReaderTest : public testing::Test {
  protected:
    // Three records, the second of which runs over two page ends.
    WalReaderTest() : log(15, mib, begin) {
        starts.push_back(log.add(noop(4000, 1)));
        starts.push_back(log.add(noop(15'000, 2)));
        starts.push_back(log.add(noop(100, 3)));
    }

    Byte& byte_at(Lsn at) { return log.bytes()[at - begin]; }
    // What `at` must be the end for, when the bytes are fed whole and one by one.
    void expect_end(Lsn at, WalEndReason reason, std::size_t records) {
        for (const std::size_t piece : {SIZE_MAX, std::size_t{1}}) {
            const Result result = read(source, begin, log.bytes(), piece);
            ASSERT_TRUE(result.end);
            EXPECT_EQ(result.end->at, at) << result.end->detail;
            EXPECT_EQ(to_string(result.end->reason), to_string(reason)) << result.end->detail;
            EXPECT_EQ(result.records.size(), records);
            EXPECT_FALSE(result.pending);
        }
    }

    WalSource source{15, mib, 0, 1};
    WalWriter log;
    std::vector<Lsn> starts;
};

TEST_F(WalReaderTest, ZerosEndIt) {
    const Lsn end = log.position();
    log.bytes().resize(3 * wal_page_bytes);
    expect_end(end, WalEndReason::zeros, 3);
}

TEST_F(WalReaderTest, APageThatWasNeverWrittenEndsIt) {
    // A record that ends with its page, then zeros.
    const Lsn start = log.add(noop(wal_page_bytes - log.position().value % wal_page_bytes - 24 - 5, 4));
    ASSERT_EQ(log.position().value % wal_page_bytes, 0U);
    const Lsn end = log.position();
    log.bytes().resize(log.bytes().size() + wal_page_bytes);
    expect_end(end, WalEndReason::zeros, 4);
    EXPECT_LT(start, end);
}

TEST_F(WalReaderTest, AStalePageEndsIt) {
    byte_at(begin + 2 * wal_page_bytes + 10) ^= 1;
    expect_end(starts[1], WalEndReason::stale_page, 1);
}

TEST_F(WalReaderTest, AnotherMagicNumberEndsIt) {
    byte_at(begin + wal_page_bytes) ^= 1;
    expect_end(starts[1], WalEndReason::bad_page, 1);
}

TEST_F(WalReaderTest, UnknownFlagsEndIt) {
    byte_at(begin + wal_page_bytes + 3) = 1;
    expect_end(starts[1], WalEndReason::bad_page, 1);
}

TEST_F(WalReaderTest, ATornRecordEndsIt) {
    byte_at(starts[1] + 9000) ^= 1;
    expect_end(starts[1], WalEndReason::bad_checksum, 1);
}

TEST_F(WalReaderTest, AWrongLengthEndsIt) {
    byte_at(starts[2]) = 5;
    expect_end(starts[2], WalEndReason::bad_record, 2);
}

TEST_F(WalReaderTest, AnUnknownResourceManagerEndsIt) {
    byte_at(starts[2] + 17) = 22;
    expect_end(starts[2], WalEndReason::bad_record, 2);
}

TEST_F(WalReaderTest, AnotherPredecessorEndsIt) {
    byte_at(starts[2] + 8) ^= 8;
    expect_end(starts[2], WalEndReason::bad_link, 2);
}

TEST_F(WalReaderTest, AContinuationOfAnotherLengthEndsIt) {
    byte_at(begin + wal_page_bytes + 16) ^= 1;
    expect_end(starts[1], WalEndReason::broken_continuation, 1);
}

TEST_F(WalReaderTest, APageThatContinuesNothingEndsIt) {
    byte_at(begin + wal_page_bytes + 2) = 0;
    expect_end(starts[1], WalEndReason::broken_continuation, 1);
}

TEST_F(WalReaderTest, AnotherClusterEndsIt) {
    source.system_identifier = 8;
    expect_end(begin, WalEndReason::other_system, 0);
}

TEST_F(WalReaderTest, AnotherSegmentSizeEndsIt) {
    source.segment_bytes = 2 * mib;
    expect_end(begin, WalEndReason::other_segment_size, 0);
}

TEST_F(WalReaderTest, ALaterTimelineEndsIt) {
    source.timeline = 2;
    log.set_timeline(3);
    const Lsn start = log.add(noop(10'000, 4));
    expect_end(start, WalEndReason::other_timeline, 3);
}

TEST_F(WalReaderTest, AnEarlierTimelineAfterALaterOneEndsIt) {
    source.timeline = 3;
    log.set_timeline(2);
    log.add(noop(10'000, 4));
    log.set_timeline(1);
    const Lsn start = log.add(noop(10'000, 5));
    expect_end(start, WalEndReason::other_timeline, 4);
}

TEST_F(WalReaderTest, ARecordWhosePartsDoNotAddUpIsMalformed) {
    WalWriter other(13, mib, begin);
    other.add({ResourceManager::heap, 0, 1, {}, {{{1663, 5, 6}, 1, Fork::main, {}, true, false}}});
    // Version 15 reads the flags of 13 as a compressed image, which is never that long.
    Bytes bytes = other.bytes();
    bytes[0] = 0x10;
    bytes[8192] = 0x10;
    const Result result = read(source, begin, bytes);
    ASSERT_TRUE(result.end);
    EXPECT_EQ(result.end->reason, WalEndReason::malformed) << result.end->detail;
    EXPECT_EQ(result.end->at, begin + 40);
}

TEST_F(WalReaderTest, KnowsWhatIsPending) {
    const ByteView bytes = log.bytes();
    const std::size_t cut = starts[1] - begin + 5000;
    Result result = read(source, begin, bytes.first(cut));
    ASSERT_TRUE(result.pending);
    EXPECT_EQ(result.pending->start, starts[1]);
    EXPECT_EQ(result.pending->bytes_total, 15'000U + 5 + wal_record_header_bytes);
    EXPECT_EQ(result.pending->bytes_so_far, 5000U - 24);
    EXPECT_EQ(result.last_end, starts[1]);
    result = read(source, begin, bytes.first(starts[2] - begin + 2));
    ASSERT_TRUE(result.pending);
    EXPECT_EQ(result.pending->bytes_total, 0U);
    EXPECT_FALSE(result.end);
}

TEST_F(WalReaderTest, StartsInTheMiddle) {
    // At a page that continues a record: its rest is passed over.
    const Lsn page = begin + 2 * wal_page_bytes;
    const ByteView from_page = ByteView(log.bytes()).subspan(2 * wal_page_bytes);
    for (const std::size_t piece : {SIZE_MAX, std::size_t{1}}) {
        const Result result = read(source, page, from_page, piece);
        ASSERT_EQ(result.records.size(), 1U);
        EXPECT_EQ(result.records[0].start, starts[2]);
        EXPECT_EQ(result.first, starts[2]);
    }
    // At a record, with and without knowing the one before.
    const ByteView from_record = ByteView(log.bytes()).subspan(starts[1] - begin);
    EXPECT_EQ(read(source, starts[1], from_record).records.size(), 2U);
    EXPECT_EQ(read(source, starts[1], from_record, SIZE_MAX, starts[0]).records.size(), 2U);
    const Result wrong = read(source, starts[1], from_record, SIZE_MAX, Lsn{starts[0].value - 8});
    ASSERT_TRUE(wrong.end);
    EXPECT_EQ(wrong.end->reason, WalEndReason::bad_link);
    // Where a record before is known, nothing may be passed over.
    const Result open = read(source, page, from_page, SIZE_MAX, starts[0]);
    ASSERT_TRUE(open.end);
    EXPECT_EQ(open.end->reason, WalEndReason::broken_continuation);
    EXPECT_TRUE(open.records.empty());
}

TEST_F(WalReaderTest, NothingStartsWithinAPageHeaderOrUnaligned) {
    const auto at = [&](Lsn start, Lsn previous = {}) {
        return code_of([&] { WalReader(source, start, [](const WalRecord&) {}, previous); });
    };
    EXPECT_EQ(at(begin + 16), "usage");
    EXPECT_EQ(at(begin + 28), "usage");
    EXPECT_EQ(at(begin, begin + 8), "usage");
    source.segment_bytes = 3 * mib;
    EXPECT_EQ(at(begin), "usage");
    source = {12, mib, 0, 1};
    EXPECT_EQ(at(begin), "usage");
}

TEST_F(WalReaderTest, ASwitchEndsTheSegment) {
    const Lsn at = log.add_switch();
    ASSERT_EQ(log.position(), begin + mib);
    // What is left in the segment means nothing, whatever it is.
    std::fill(log.bytes().begin() + static_cast<std::ptrdiff_t>(at - begin + 24), log.bytes().end(),
              Byte{0xee});
    const Lsn next = log.add(noop(10, 9));
    for (const std::size_t piece : {SIZE_MAX, std::size_t{1}, std::size_t{8192}}) {
        const Result result = read(source, begin, log.bytes(), piece);
        ASSERT_FALSE(result.end) << result.end->detail;
        ASSERT_EQ(result.records.size(), 5U);
        EXPECT_EQ(result.records[3].start, at);
        EXPECT_EQ(result.records[3].end, begin + mib);
        EXPECT_EQ(result.records[4].start, next);
    }
}

TEST_F(WalReaderTest, ARecordThatWasOverwrittenNeverHappened) {
    const Lsn lost = log.add_overwritten(noop(20'000, 4));
    const Lsn next = log.add(noop(10, 5));
    for (const std::size_t piece : {SIZE_MAX, std::size_t{1}, std::size_t{8192}}) {
        const Result result = read(source, begin, log.bytes(), piece);
        ASSERT_FALSE(result.end) << result.end->detail;
        ASSERT_TRUE(result.overwritten);
        EXPECT_EQ(result.overwritten->start, lost);
        EXPECT_EQ(result.overwritten->overwritten_at, begin + 3 * wal_page_bytes);
        ASSERT_EQ(result.records.size(), 5U);
        EXPECT_EQ(result.records[3].start, begin + 3 * wal_page_bytes + 24);
        EXPECT_EQ(result.records[4].start, next);
    }
}

TEST_F(WalReaderTest, PassesOverTheRestOfARecordThatWasOverwritten) {
    const Lsn lost = log.add_overwritten(noop(20'000, 4));
    // From the page on which the lost record starts, nothing before it is known.
    const Lsn page{lost.value / wal_page_bytes * wal_page_bytes};
    const Result result = read(source, page, ByteView(log.bytes()).subspan(page - begin));
    ASSERT_FALSE(result.end) << result.end->detail;
    EXPECT_EQ(result.records.size(), 2U);
}

TEST(WalReader, RubbishNeverReadsAsRecords) {
    SeededRandom random(5);
    const WalWriter good = varied_log(15);
    for (int round = 0; round < 300; ++round) {
        Bytes bytes(good.bytes().begin(), good.bytes().begin() + 20 * 8192);
        Bytes where(8);
        random.fill(where);
        const std::size_t at =
            (std::size_t{where[0]} << 16 | std::size_t{where[1]} << 8 | where[2]) % bytes.size();
        const std::size_t size = std::min<std::size_t>(where[3], bytes.size() - at);
        random.fill(MutableByteView(bytes).subspan(at, size));
        const Result whole = read({15, mib, 0, 1}, begin, bytes);
        const Result cut = read({15, mib, 0, 1}, begin, bytes, 1U + where[4]);
        ASSERT_EQ(whole.records, cut.records);
        ASSERT_EQ(whole.end.has_value(), cut.end.has_value());
        if (whole.end) {
            ASSERT_EQ(whole.end->at, cut.end->at);
            ASSERT_EQ(whole.end->reason, cut.end->reason);
            ASSERT_LE(whole.end->at, begin + at + 8) << "rubbish at " << at;
        }
        for (const Seen& record : whole.records)
            ASSERT_TRUE(record.end <= begin + at || record.start >= begin + at || size == 0 || !whole.end);
    }
}

TEST(WalReader, SegmentHeadersTellVersionAndSize) {
    for (int version = 13; version <= 18; ++version) {
        WalWriter log(version, 4 * mib, begin, 3);
        log.add(noop(1));
        const auto header = read_segment_header(log.bytes());
        ASSERT_TRUE(header) << version;
        EXPECT_EQ(header->version, version);
        EXPECT_EQ(header->segment_bytes, 4 * mib);
        EXPECT_EQ(header->begin, begin);
        EXPECT_EQ(header->timeline, 3U);
        EXPECT_EQ(header->system_identifier, 7'000'000'000'000'000'001U);
    }
    EXPECT_FALSE(read_segment_header(Bytes(40)));
    EXPECT_FALSE(read_segment_header(Bytes(39)));
}

TEST(WalReader, APageStartIsTheSamePlaceAsBehindItsHeader) {
    EXPECT_TRUE(same_record_start(begin, begin));
    EXPECT_TRUE(same_record_start(begin, begin + 40));
    EXPECT_TRUE(same_record_start(begin + 24, begin));
    EXPECT_FALSE(same_record_start(begin + 8, begin));
    EXPECT_FALSE(same_record_start(begin + 24, begin + 48));
}

} // namespace
} // namespace holdfast::postgres
