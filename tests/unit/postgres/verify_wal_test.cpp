// Archives of made-up log, whole and with everything wrong that can be.
#include "postgres/archive/wal_archive.h"
#include "postgres/archive/wal_slicer.h"
#include "postgres/continuity/verify_wal.h"
#include "repository/log/log_writer.h"
#include "repository/protocol/writer_session.h"
#include "support/document_repository.h"
#include "support/wal_segments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

using test::MadeLog;
using test::small_segment_bytes;
using test::WalBlockSpec;
using test::WalRecordSpec;
using test::WalWriter;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr Lsn begin{std::uint64_t{5} << 20};
constexpr std::uint64_t system_identifier = 7'000'000'000'000'000'001U;

Lsn segment(std::size_t i) { return begin + i * small_segment_bytes; }

class VerifyWalTest : public testing::Test {
  protected:
    using Change = std::function<void(CutSlice&)>;

    // Stores what a slicer makes of the bytes, cut also at `flushes`. Returns the names, as they were stored.
    std::vector<std::string> store(ByteView bytes, Lsn from, TimelineId timeline = 1,
                                   const std::vector<Lsn>& flushes = {}, const Change& change = {}) {
        std::vector<std::string> names;
        const auto take = [&](CutSlice slice) {
            if (change) change(slice);
            const Bytes details = encode_wal_details(slice.details);
            const SealedSlice sealed =
                log.seal({slice.range, slice.content, details, slice.summary}, compressor);
            log.put(sealed);
            names.push_back(sealed.id.name());
        };
        WalSlicer slicer({15, small_segment_bytes, system_identifier, timeline}, from, take);
        for (const Lsn at : flushes) {
            const std::uint64_t more = at - slicer.position();
            slicer.feed(bytes.first(more));
            bytes = bytes.subspan(more);
            if (auto slice = slicer.flush()) take(std::move(*slice));
        }
        slicer.feed(bytes);
        if (auto slice = slicer.flush()) take(std::move(*slice));
        return names;
    }
    std::vector<std::string> store(const MadeLog& made, const Change& change = {}) {
        return store(made.bytes(), made.begin(), 1, {}, change);
    }
    void store_history(const TimelineHistory& history) {
        WalDetails details;
        details.system_identifier = system_identifier;
        details.history = history.text();
        const Bytes encoded = encode_wal_details(details);
        log.put(log.seal({{history.timeline(), 0, 0}, {}, encoded, {}}, compressor));
    }
    // Complete `second` seconds after 1970, when the log's commits are.
    RunId snapshot(Lsn from, Lsn to, int second, TimelineId timeline = 1) {
        if (!root) {
            files.write_file("a", 100, 1);
            root = files.back_up().root;
        }
        RunContext run = files.repository->keys().begin_run(files.random);
        const auto session = WriterSession::begin(files.repository->context(), run, "test", Duration::zero());
        Snapshot made;
        made.id = run.id();
        made.source = "orders";
        made.domain = files.repository->keys().domain();
        made.kind = snapshot_kind;
        made.time = made.end = time(second);
        made.sequence = static_cast<std::uint64_t>(second);
        made.root = *root;
        made.log = SnapshotLog{archive, {timeline, from.value, to.value}};
        session->commit(made);
        return made.id;
    }
    static Timestamp time(int second) { return Timestamp(std::chrono::seconds(second)); }
    WalVerifyReport verify(WalVerifySettings settings = {}) {
        settings.source = "orders";
        return verify_wal(*files.repository, settings, progress, {});
    }
    // The same gaps are shown without reading the log.
    RecoveryWindow window() const {
        return recovery_window(load_recovery_source(*files.repository, "orders"));
    }
    void remove(const std::string& name) { files.store->remove(name, {}); }

    test::DocumentRepository files;
    const ArchiveId archive = wal_archive_id(files.repository->keys(), "orders", system_identifier);
    LogWriter log{files.repository->context(), archive, 1};
    Compressor compressor;
    Progress progress;
    std::optional<NodeRef> root; // of a tree that nobody looks at
};

MATCHER_P(IsFault, fault, "") { return arg.fault == fault; }

TEST_F(VerifyWalTest, AWholeLogIsIntact) {
    const MadeLog made(begin, 6);
    store(made);
    const RunId id = snapshot(begin + 100'000, begin + 200'000, 30);
    const WalVerifyReport report = verify();
    EXPECT_THAT(report.findings, IsEmpty());
    EXPECT_TRUE(report.intact());
    EXPECT_TRUE(report.all_checked());
    EXPECT_EQ(report.slices, 6U);
    EXPECT_EQ(report.bytes, 6 * small_segment_bytes);
    EXPECT_EQ(progress.done_bytes(), report.bytes);
    ASSERT_THAT(report.timelines, SizeIs(1));
    ASSERT_THAT(report.timelines[0].stretches, SizeIs(1));
    EXPECT_EQ(report.timelines[0].stretches[0].begin, begin);
    EXPECT_GT(report.timelines[0].stretches[0].end, segment(5));
    EXPECT_GT(report.timelines[0].commits, 500U);
    ASSERT_THAT(report.window.ranges, SizeIs(1));
    EXPECT_THAT(report.window.ranges[0].snapshots, ElementsAre(id));
    EXPECT_EQ(report.window.latest(), window().latest());
}

TEST_F(VerifyWalTest, PiecesAreProvenLikeTheWhole) {
    const MadeLog made(begin, 2);
    const std::vector<std::string> names =
        store(made.bytes(), begin, 1, {begin + 100'000, begin + 100'008, begin + 700'000, segment(1) + 8192});
    ASSERT_THAT(names, SizeIs(6));
    EXPECT_THAT(verify().findings, IsEmpty());
    for (const std::string& name : names) {
        if (LogSliceId::from_name(name)->range.end == segment(1).value &&
            LogSliceId::from_name(name)->range.begin == begin.value)
            remove(name);
    }
    snapshot(begin, begin + 8192, 1);
    const WalVerifyReport report = verify();
    EXPECT_THAT(report.findings, IsEmpty());
    ASSERT_THAT(report.window.gaps, SizeIs(1))
        << "what is behind the last flush of a window is in the whole only";
    EXPECT_EQ(report.window.gaps[0].begin, begin + 700'000);
    EXPECT_EQ(report.window.gaps[0].end, segment(1));
}

TEST_F(VerifyWalTest, AGapIsToldInTimes) {
    const MadeLog made(begin, 6);
    const std::vector<std::string> names = store(made);
    const RunId first = snapshot(begin, begin + 8192, 1);
    const RunId later = snapshot(segment(4), segment(4) + 8192, 900);
    remove(names[2]);
    const WalVerifyReport report = verify();
    EXPECT_THAT(report.findings, IsEmpty());
    EXPECT_FALSE(report.intact());
    EXPECT_THAT(report.timelines.at(0).stretches, SizeIs(2));
    ASSERT_THAT(report.window.gaps, SizeIs(1));
    const RecoveryGap& gap = report.window.gaps[0];
    EXPECT_EQ(gap.begin, segment(2));
    EXPECT_EQ(gap.end, segment(3));
    EXPECT_EQ(gap.after, report.window.ranges.at(0).until);
    EXPECT_EQ(gap.before, time(900));
    EXPECT_EQ(gap.again_from, later);
    const RecoveryWindow shown = window();
    ASSERT_THAT(shown.gaps, SizeIs(1));
    EXPECT_EQ(shown.gaps[0].after, gap.after);
    EXPECT_EQ(shown.gaps[0].again_from, later);
    // Behind the gap nothing is missing, and before all snapshots nothing is needed.
    EXPECT_TRUE(verify({.newest = true}).intact());
    EXPECT_TRUE(verify({.reaching = time(1000)}).intact());
    EXPECT_FALSE(verify({.reaching = time(800)}).intact());
    EXPECT_TRUE(verify({.from = segment(3)}).intact());
    EXPECT_THROW(verify({.reaching = time(0)}), Error);
    forget_snapshot(files.repository->context(), first, false);
    const WalVerifyReport without = verify();
    EXPECT_TRUE(without.intact());
    ASSERT_THAT(without.idle_gaps, SizeIs(1));
    EXPECT_EQ(without.idle_gaps[0], (WalRange{1, segment(2), segment(3)}));
}

TEST_F(VerifyWalTest, ADamagedSliceIsAGapUnlessAnotherHasItsBytes) {
    const MadeLog made(begin, 3);
    const std::vector<std::string> names = store(made);
    snapshot(begin, begin + 8192, 1);
    files.flip_bit(names[1], files.bytes_of(names[1]).size() / 2);
    WalVerifyReport report = verify();
    ASSERT_THAT(report.findings, SizeIs(1));
    EXPECT_EQ(report.findings[0].fault, WalFault::damaged);
    EXPECT_EQ(report.findings[0].object, names[1]);
    EXPECT_THAT(report.window.gaps, SizeIs(1));
    store(made);
    report = verify();
    EXPECT_THAT(report.findings, SizeIs(1));
    EXPECT_THAT(report.window.gaps, IsEmpty());
    EXPECT_FALSE(report.intact());
}

TEST_F(VerifyWalTest, WhatSlicesSayIsHeldAgainstTheirBytes) {
    const MadeLog made(begin, 6);
    // It says more than is so, which is no lie that harms.
    BlockChanges another(begin);
    WalRecordSpec change;
    change.manager = ResourceManager::heap;
    change.blocks.emplace_back().relation = {1663, 5, 99'999};
    WalWriter elsewhere(15, small_segment_bytes, begin);
    elsewhere.add(change);
    WalReader reader({15, small_segment_bytes, 0, 1}, begin,
                     [&](const WalRecord& record) { another.add(record, wal_event::event_of(record, 15)); });
    reader.feed(elsewhere.bytes());
    ASSERT_EQ(another.blocks(), 1U);
    std::size_t number = 0;
    const std::vector<std::string> names = store(made, [&](CutSlice& slice) {
        const std::size_t i = number++;
        if (i == 1) slice.details.commits += 1;
        if (i == 2) slice.details.last_commit_us += 1;
        if (i == 3) {
            BlockChanges none(slice.details.records_from);
            none.extend_to(slice.details.records_to);
            slice.summary = none.encode();
        }
        if (i == 4) {
            BlockChanges more = BlockChanges::decode(slice.summary);
            more.unite(another);
            slice.summary = more.encode();
        }
        if (i == 5) slice.details.broken = "so it is said";
    });
    const WalVerifyReport report = verify();
    ASSERT_THAT(report.findings, SizeIs(4));
    EXPECT_THAT(report.findings[0].what, HasSubstr("number of its commits"));
    EXPECT_THAT(report.findings[1].what, HasSubstr("time of its last commit"));
    EXPECT_THAT(report.findings[2].what, HasSubstr("leaves out changes"));
    EXPECT_THAT(report.findings[3].what, HasSubstr("does not decode, and it does"));
    const std::vector<std::size_t> bad{1, 2, 3, 5};
    for (std::size_t i = 0; i < bad.size(); ++i) {
        EXPECT_EQ(report.findings[i].fault, WalFault::untrue);
        EXPECT_EQ(report.findings[i].object, names[bad[i]]);
    }
}

TEST_F(VerifyWalTest, TwoContentsOfOnePlaceAreAConflict) {
    store(MadeLog(begin, 2));
    const std::vector<std::string> others = store(MadeLog(begin, 1, 2));
    const WalVerifyReport report = verify();
    ASSERT_THAT(report.findings, Contains(IsFault(WalFault::conflict)));
    EXPECT_FALSE(report.intact());
}

TEST_F(VerifyWalTest, RecordsThatDoNotDecodeEndWhatCanBeReached) {
    const MadeLog made(begin, 4);
    Bytes bytes = made.bytes();
    const Lsn hit = segment(1) + 500'000;
    bytes[hit - begin] ^= 1;
    store(bytes, begin);
    snapshot(begin, begin + 8192, 1);
    const RunId later = snapshot(segment(2) + 8192, segment(3), 700);
    const WalVerifyReport report = verify();
    ASSERT_THAT(report.findings, ElementsAre(IsFault(WalFault::broken)));
    EXPECT_LE(report.findings[0].at, hit);
    EXPECT_GT(report.findings[0].at, hit.value > 8192 ? Lsn{hit.value - 8192} : Lsn{});
    EXPECT_EQ(LogSliceId::from_name(report.findings[0].object)->range.begin, segment(1).value);
    ASSERT_THAT(report.window.gaps, SizeIs(1));
    EXPECT_EQ(report.window.gaps[0].begin, report.findings[0].at);
    EXPECT_GE(report.window.gaps[0].end, segment(2));
    EXPECT_EQ(report.window.gaps[0].again_from, later);
    EXPECT_EQ(report.window.latest(), window().latest());
}

TEST_F(VerifyWalTest, LogOfAnotherPastDoesNotFollow) {
    const MadeLog made(begin, 3), other(begin, 3, 2);
    store(ByteView(made.bytes()).first(2 * small_segment_bytes), begin);
    store(other.segment(2), segment(2));
    snapshot(begin, begin + 8192, 1);
    const WalVerifyReport report = verify();
    ASSERT_THAT(report.findings, ElementsAre(IsFault(WalFault::broken)));
    ASSERT_THAT(report.timelines.at(0).stretches, SizeIs(2)) << "each is whole by itself";
    EXPECT_LT(report.timelines[0].stretches[0].end, segment(2));
    EXPECT_EQ(report.timelines[0].stretches[1].begin, segment(2));
    EXPECT_THAT(report.window.gaps, SizeIs(1));
}

TEST_F(VerifyWalTest, AnotherClustersSliceCountsForNothing) {
    store(MadeLog(begin, 1));
    store(MadeLog(segment(1), 1).bytes(), segment(1), 1, {},
          [](CutSlice& slice) { slice.details.system_identifier = 5; });
    const WalVerifyReport report = verify();
    ASSERT_THAT(report.findings, ElementsAre(IsFault(WalFault::damaged)));
    EXPECT_THAT(report.findings[0].what, HasSubstr("of cluster 5"));
}

class VerifySwitchTest : public VerifyWalTest {
  protected:
    VerifySwitchTest() {
        WalRecordSpec change;
        change.manager = ResourceManager::heap;
        WalBlockSpec block;
        block.relation = {1663, 5, 16384};
        block.data = Bytes(3000, 7);
        change.blocks.push_back(block);
        while (writer.position() < segment(1) + 300'000) writer.add(change);
        left = writer.position();
        first.assign(writer.bytes().begin(), writer.bytes().end());
        writer.set_timeline(2);
        while (writer.position() < segment(3)) writer.add(change);
        second = Bytes(writer.bytes().begin() + small_segment_bytes,
                       writer.bytes().begin() + static_cast<std::ptrdiff_t>(2 * small_segment_bytes));
        snapshot(begin, begin + 8192, 1);
    }

    WalWriter writer{15, small_segment_bytes, begin};
    Lsn left;
    Bytes first, second; // the log of each timeline, from `begin` and from the segment in which it begins
};

TEST_F(VerifySwitchTest, ATimelineGoesOnWhereTheOneBeforeWasLeft) {
    store(first, begin);
    store(second, segment(1), 2);
    WalVerifyReport report = verify();
    ASSERT_THAT(report.window.missing_histories, SizeIs(1));
    EXPECT_EQ(report.window.missing_histories[0].timeline, 2U);
    EXPECT_EQ(report.window.missing_histories[0].begin, segment(1));
    EXPECT_EQ(report.window.missing_histories[0].before, std::nullopt);
    EXPECT_THAT(window().missing_histories, SizeIs(1));
    EXPECT_FALSE(report.intact());

    store_history(TimelineHistory(1).branch(2, left, "promoted"));
    report = verify();
    EXPECT_THAT(report.findings, IsEmpty());
    EXPECT_TRUE(report.intact());
    EXPECT_EQ(report.window.ranges.at(0).timeline, 2U);
    EXPECT_GT(report.window.ranges.at(0).end, segment(1) + 900'000);

    store_history(TimelineHistory(1).branch(2, left + 8, "promoted elsewhere"));
    EXPECT_THAT(verify().findings, Contains(IsFault(WalFault::history)));
}

TEST_F(VerifySwitchTest, AHistoryThatIsNotSoIsFound) {
    store(first, begin);
    store(second, segment(1), 2);
    store_history(TimelineHistory(1).branch(2, Lsn{left.value - 1024}, "promoted"));
    const WalVerifyReport report = verify();
    ASSERT_THAT(report.findings, ElementsAre(IsFault(WalFault::switching)));
    EXPECT_THAT(report.findings[0].what, HasSubstr("no record of it ends"));
}

TEST_F(VerifySwitchTest, TheSharedBeginningMustBeTheSame) {
    store(MadeLog(begin, 2, 3));
    store(second, segment(1), 2);
    store_history(TimelineHistory(1).branch(2, left, "promoted"));
    EXPECT_THAT(verify().findings,
                Contains(AllOf(IsFault(WalFault::switching),
                               Field(&WalFinding::what, HasSubstr("is another on timeline 2")))));
}

TEST_F(VerifyWalTest, WithoutAKeyForContentOnlyPositionsAreChecked) {
    const std::vector<std::string> names = store(MadeLog(begin, 3));
    snapshot(begin, begin + 8192, 1);
    const Credential pruning = files.add_slot(Role::prune);
    const auto closed = files.open(pruning);
    const auto verify_closed = [&] { return verify_wal(*closed, {.source = "orders"}, progress, {}); };
    WalVerifyReport report = verify_closed();
    EXPECT_FALSE(report.decoded);
    EXPECT_FALSE(report.all_checked());
    EXPECT_TRUE(report.intact());
    files.flip_bit(names[1], files.bytes_of(names[1]).size() / 2);
    report = verify_closed();
    EXPECT_THAT(report.findings, ElementsAre(IsFault(WalFault::damaged)));
    EXPECT_THAT(report.window.gaps, SizeIs(1));
}

} // namespace
} // namespace holdfast::postgres
