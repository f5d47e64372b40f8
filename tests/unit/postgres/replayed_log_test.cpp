// What a log does beyond a snapshot's files is found wherever slices were cut, and can be made to do
// otherwise.
#include "base/error.h"
#include "postgres/archive/log_replacement.h"
#include "postgres/archive/wal_slicer.h"
#include "postgres/recovery/replayed_log.h"
#include "support/made_source.h"
#include "support/temporary_directory.h"
#include "support/wal_segments.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

using test::small_segment_bytes;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr Lsn begin{std::uint64_t{16} << 20};

// Log of two segments, with a tablespace made in it.
class ReplayedLogTest : public testing::Test, protected test::MadeSource {
  protected:
    ReplayedLogTest() {
        source.summary = [this](const LogSliceId& slice) { return parts.at(slice).summary; };
        source.content = [this](const LogSliceId& slice) {
            read.push_back(slice);
            return parts.at(slice).content;
        };
    }

    void fill(std::size_t until_bytes) {
        while (writer.bytes().size() + 1000 < until_bytes) {
            test::WalRecordSpec change;
            change.manager = ResourceManager::heap;
            change.xid = 7;
            test::WalBlockSpec block;
            block.relation = {1663, 5, 16384};
            block.data = Bytes(500, 1);
            change.blocks.push_back(block);
            writer.add(change);
        }
    }
    Lsn make_tablespace(Oid oid, std::string_view path) {
        ByteWriter data;
        data.u32(oid);
        data.raw(as_bytes(path));
        data.u8(0);
        return writer.add({ResourceManager::tablespace, 0x00, 7, data.bytes(), {}});
    }
    void commit(std::int64_t second) {
        // PostgreSQL's times are from 2000 on.
        writer.add({ResourceManager::transaction,
                    0x80,
                    7,
                    test::transaction_end_data(micros(second) - 946'684'800'000'000, {}),
                    {}});
    }
    // As one writer after the other would store it, each beginning at `cuts`, none knowing of the others.
    void store(std::vector<std::uint64_t> cuts) {
        writer.bytes().resize(segments * small_segment_bytes);
        const ByteView all(writer.bytes());
        cuts.push_back(all.size());
        std::uint64_t from = 0;
        for (const std::uint64_t end : cuts) {
            std::vector<CutSlice> slices;
            const std::uint64_t start = from / small_segment_bytes * small_segment_bytes;
            WalSlicer slicer({15, small_segment_bytes, 0, 1}, begin + start,
                             [&](CutSlice slice) { slices.push_back(std::move(slice)); });
            slicer.feed(all.subspan(start, end - start));
            if (auto rest = slicer.flush()) slices.push_back(std::move(*rest));
            for (CutSlice& slice : slices) {
                LogSliceId id;
                id.range = slice.range;
                id.number = static_cast<std::uint32_t>(parts.size());
                details[id] = slice.details;
                source.slices.push_back(id);
                parts[id] = std::move(slice);
            }
            from = end;
        }
        std::ranges::sort(source.slices);
    }
    ReplayedLog look(RecoveryTarget target = RecoverToEnd{}, bool inclusive = true) {
        snapshot(16, 16.01, 0);
        RecoveryPlan plan;
        plan.snapshot = source.snapshots.back();
        plan.timeline = 1;
        plan.log = follow_log(source, source.history_of(1), begin);
        plan.target = std::move(target);
        plan.inclusive = inclusive;
        return look_at_replayed_log(source, plan, true, {});
    }
    static std::vector<Oid> oids(const ReplayedLog& log) {
        std::vector<Oid> all;
        for (const MadeTablespace& made : log.tablespaces) all.push_back(made.oid);
        return all;
    }

    test::WalWriter writer{15, small_segment_bytes, begin};
    std::size_t segments = 2;
    std::map<LogSliceId, CutSlice> parts;
    std::vector<LogSliceId> read;
};

TEST_F(ReplayedLogTest, ATablespaceIsFoundWithoutReadingWhatDoesNotMakeOne) {
    fill(small_segment_bytes + 300'000);
    const Lsn at = make_tablespace(17000, "/srv/space");
    fill(2 * small_segment_bytes);
    store({small_segment_bytes});
    const ReplayedLog log = look();
    ASSERT_THAT(log.tablespaces, SizeIs(1));
    EXPECT_EQ(log.tablespaces[0].oid, 17000U);
    EXPECT_EQ(log.tablespaces[0].path, "/srv/space");
    EXPECT_EQ(log.tablespaces[0].at, at);
    EXPECT_EQ(log.segment_bytes, small_segment_bytes);
    EXPECT_THAT(log.unread, IsEmpty());
}

TEST_F(ReplayedLogTest, WhatADamagedSliceHadIsReadFromOthers) {
    fill(small_segment_bytes + 300'000);
    make_tablespace(17000, "/srv/space");
    fill(2 * small_segment_bytes);
    store({});
    const LogSliceId damaged = source.slices.back();
    store({small_segment_bytes, small_segment_bytes + 200'000, small_segment_bytes + 600'000});
    source.content = [&, damaged](const LogSliceId& slice) {
        if (slice == damaged) throw Error(ErrorCode::corrupt, "a planned fault");
        return parts.at(slice).content;
    };
    const ReplayedLog log = look();
    EXPECT_THAT(oids(log), ElementsAre(17000U));
    EXPECT_THAT(log.unread, IsEmpty());
}

// As a backup does at its end: what comes before the next segment is nothing.
TEST_F(ReplayedLogTest, ATablespaceIsFoundBehindASwitch) {
    fill(300'000);
    writer.add_switch();
    make_tablespace(17000, "/srv/space");
    fill(2 * small_segment_bytes);
    store({});
    EXPECT_THAT(oids(look()), ElementsAre(17000U));
}

TEST_F(ReplayedLogTest, OfLogWithoutAnyOnlyTheEndIsRead) {
    segments = 6;
    fill(6 * small_segment_bytes);
    store({});
    ASSERT_EQ(parts.size(), 6U);
    EXPECT_THAT(look().tablespaces, IsEmpty());
    EXPECT_LE(read.size(), 2U);
}

// The record crosses from one writer's slice to another's: neither map tells of it.
TEST_F(ReplayedLogTest, ARecordBetweenTwoWritersIsFound) {
    for (const std::size_t into : {8UZ, 24UZ, 40UZ, 60UZ}) {
        SCOPED_TRACE(into);
        writer = test::WalWriter{15, small_segment_bytes, begin};
        parts.clear();
        source.slices.clear();
        source.snapshots.clear();
        fill(400'000);
        const Lsn at = make_tablespace(17000, "/srv/a/tablespace/far/away/and/long/enough");
        fill(2 * small_segment_bytes);
        store({(at - begin) + into, small_segment_bytes});
        EXPECT_THAT(oids(look()), ElementsAre(17000U));
    }
}

TEST_F(ReplayedLogTest, WhatLiesBehindTheTargetIsLeftOut) {
    fill(200'000);
    make_tablespace(1001, "/a");
    commit(10);
    const Lsn second = make_tablespace(1002, "/b");
    commit(20);
    make_tablespace(1003, "/c");
    fill(2 * small_segment_bytes);
    store({});
    EXPECT_THAT(oids(look()), ElementsAre(1001U, 1002U, 1003U));
    EXPECT_THAT(oids(look(RecoverToTime{time(15)})), ElementsAre(1001U, 1002U));
    EXPECT_THAT(oids(look(RecoverToTime{time(10)}, false)), ElementsAre(1001U));
    EXPECT_THAT(oids(look(RecoverToLsn{second}, false)), ElementsAre(1001U));
    EXPECT_THAT(oids(look(RecoverToLsn{second}, true)), ElementsAre(1001U, 1002U));
    EXPECT_THAT(oids(look(RecoverToConsistency{})), IsEmpty());
}

TEST_F(ReplayedLogTest, ASliceThatIsDamagedIsToldOf) {
    fill(200'000);
    make_tablespace(1001, "/a");
    store({});
    source.content = [](const LogSliceId&) -> Bytes { throw Error(ErrorCode::corrupt, "it is damaged"); };
    const ReplayedLog log = look();
    ASSERT_THAT(log.unread, SizeIs(1));
    EXPECT_THAT(log.unread[0], testing::HasSubstr("it is damaged"));
}

TEST_F(ReplayedLogTest, AReplacedPathIsWhatAReaderOfTheFileFinds) {
    for (const std::size_t before : {300'000UZ, 8192UZ * 40 - 30, 8192UZ * 40 - 8}) {
        SCOPED_TRACE(before);
        writer = test::WalWriter{15, small_segment_bytes, begin};
        fill(before);
        while (writer.bytes().size() + 24 <= before) // to within a record of the page's end
            writer.add({ResourceManager::heap, 0, 7, {}, {}});
        parts.clear();
        source.slices.clear();
        source.snapshots.clear();
        make_tablespace(1001, "/where/it/was/before");
        fill(2 * small_segment_bytes);
        store({});
        const ReplayedLog log = look();
        ASSERT_THAT(log.tablespaces, SizeIs(1));
        const MadeTablespace& made = log.tablespaces[0];
        EXPECT_THAT(with_text(made.record, made.path_offset, "/longer/than/what/was/there"), IsEmpty());
        const Bytes now = with_text(made.record, made.path_offset, "/now");
        ASSERT_EQ(now.size(), made.record.size());
        const auto replacements = parse_replacements(
            write_replacements(replace_record(made.at, made.record, now, small_segment_bytes)), "a test");
        const holdfast::test::TemporaryDirectory directory;
        const std::string path = directory / "segment";
        std::ofstream(path, std::ios::binary) << as_text(ByteView(writer.bytes()).first(small_segment_bytes));
        const WalRange segment{1, begin, begin + small_segment_bytes};
        EXPECT_EQ(apply_replacements(replacements, path, segment), replacements.size());
        EXPECT_EQ(apply_replacements(replacements, path, segment), 0U) << "once is enough";
        std::ifstream in(path, std::ios::binary);
        const Bytes changed(std::istreambuf_iterator<char>(in), {});
        std::string found;
        WalReader reader({15, small_segment_bytes, 0, 1}, begin, [&](const WalRecord& record) {
            const auto event = wal_event::event_of(record, 15);
            if (const auto* create = std::get_if<wal_event::TablespaceCreate>(&event)) found = create->path;
        });
        reader.feed(changed);
        EXPECT_EQ(found, "/now");
        EXPECT_TRUE(!reader.end()) << reader.end()->detail;
    }
}

TEST_F(ReplayedLogTest, ALogEndsWhereItIsToldTo) {
    fill(small_segment_bytes);
    writer.bytes().resize(small_segment_bytes);
    const holdfast::test::TemporaryDirectory directory;
    const std::string path = directory / "segment";
    std::ofstream(path, std::ios::binary) << as_text(writer.bytes());
    const WalRange segment{1, begin, begin + small_segment_bytes};
    end_log_at(segment.end, path, segment);
    const auto content = [&] {
        std::ifstream in(path, std::ios::binary);
        return Bytes(std::istreambuf_iterator<char>(in), {});
    };
    EXPECT_EQ(content(), writer.bytes());
    end_log_at(begin + 100'000, path, segment);
    Bytes wanted = writer.bytes();
    std::fill(wanted.begin() + 100'000, wanted.end(), Byte{0});
    EXPECT_EQ(content(), wanted);
}

TEST(LogReplacements, WhatIsNoneIsRefused) {
    for (const std::string_view text : {"0/1", "0/1 aa", "0/1 aa bbcc", "x aa bb", "0/1 aa zz", "0/1  "})
        EXPECT_THROW(parse_replacements(text, "a test"), Error) << text;
    EXPECT_THAT(parse_replacements("", "a test"), IsEmpty());
}

} // namespace
} // namespace holdfast::postgres
