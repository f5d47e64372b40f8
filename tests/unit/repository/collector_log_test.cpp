// Which slices of logs a collection deletes.
#include "repository/log/log_reader.h"
#include "repository/log/log_writer.h"
#include "support/collector_fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class CollectorLogTest : public CollectorTest {
  protected:
    LogSliceId write(LogWriter& writer_of, const LogRange& range) {
        const Bytes content(range.end - range.begin, 7);
        const SealedSlice slice = writer_of.seal({.range = range, .content = content}, compressor);
        writer_of.put(slice);
        return slice.id;
    }
    Snapshot back_up_at(std::uint64_t begin, std::uint64_t end) {
        const RepositoryContext context = writer();
        RunContext run = admin->ring.begin_run(random);
        const auto session = WriterSession::begin(context, run, "test", Duration::zero());
        Snapshot snapshot = store_tree(run, "orders", {1, 2});
        snapshot.domain = "default";
        snapshot.log = SnapshotLog{archive, {1, begin, end}};
        session->commit(snapshot);
        return snapshot;
    }
    std::vector<LogSliceId> slices() { return list_slices(store, archive); }

    Compressor compressor;
    ArchiveId archive = archive_id(domain_id("default"), Bytes(32, 1), "orders", "1");
    RepositoryContext as_writer = writer();
    LogWriter log{as_writer, archive, 1};
};

TEST_F(CollectorLogTest, WhatLiesBeforeAllSnapshotsGoes) {
    const LogSliceId history = write(log, {2, 0, 0});
    write(log, {1, 0, 100});
    const LogSliceId across = write(log, {1, 100, 200});
    const LogSliceId behind = write(log, {1, 200, 300});
    const LogSliceId later_branch = write(log, {2, 120, 160});
    const Snapshot first = back_up_at(50, 60);
    back_up_at(150, 160);
    EXPECT_EQ(collect().deleted_log_slices, 0U);
    forget_snapshot(writer(), first.id, false);
    const CollectorReport report = collect();
    EXPECT_EQ(report.deleted_log_slices, 1U);
    EXPECT_GT(report.deleted_log_bytes, 0U);
    EXPECT_THAT(slices(), ElementsAre(across, behind, history, later_branch));
}

// Between two snapshots; what each of them needs for itself stays, on whichever branch it lies.
TEST_F(CollectorLogTest, WhatIsReleasedGoesFromTheMiddle) {
    const LogSliceId own = write(log, {1, 100, 160});
    write(log, {1, 160, 200});
    write(log, {1, 200, 280});
    const LogSliceId across = write(log, {1, 280, 320});
    const LogSliceId behind = write(log, {1, 320, 400});
    const LogSliceId history = write(log, {2, 0, 0});
    const LogSliceId shared = write(log, {2, 110, 120}), other_branch = write(log, {2, 160, 200});
    back_up_at(100, 130);
    back_up_at(300, 310);
    settings.released_logs = {{{archive, 1}, 300}};
    EXPECT_EQ(collect().deleted_log_slices, 2U);
    EXPECT_THAT(slices(), ElementsAre(own, across, behind, history, shared, other_branch));
    settings.released_logs = {{{archive, 2}, 300}};
    EXPECT_EQ(collect().deleted_log_slices, 1U);
    EXPECT_THAT(slices(), ElementsAre(own, across, behind, history, shared));
    // What was said stays said.
    settings.released_logs.clear();
    collect();
    const LogFloors both{{{archive, 1}, 300}, {{archive, 2}, 300}};
    EXPECT_EQ(read_verdicts(writer()).released(), both);
}

// A server fetches whole segments, and a slice may end between the beginning of one and that of the snapshot.
TEST_F(CollectorLogTest, WhatASnapshotNeedsIsWholePieces) {
    write(log, {1, 0, 100});
    const LogSliceId before = write(log, {1, 100, 140}), own = write(log, {1, 140, 170}),
                     rest = write(log, {1, 170, 200});
    write(log, {1, 200, 300});
    back_up_at(150, 160);
    back_up_at(390, 400);
    settings.released_logs = {{{archive, 1}, 300}};
    settings.log_units = {{archive, 100}};
    EXPECT_EQ(collect().deleted_log_slices, 2U);
    EXPECT_THAT(slices(), ElementsAre(before, own, rest));
}

// As a stolen key may commit one: what others need is not taken from them.
TEST_F(CollectorLogTest, ASnapshotOfLogWithoutEndKeepsOnlyMore) {
    write(log, {1, 0, 100});
    const LogSliceId first = write(log, {1, 100, 200}), second = write(log, {1, 200, 300}),
                     behind = write(log, {1, 300, 400});
    back_up_at(150, 260);
    back_up_at(210, UINT64_MAX);
    settings.released_logs = {{{archive, 1}, 400}};
    settings.log_units = {{archive, 100}};
    EXPECT_EQ(collect().deleted_log_slices, 1U);
    EXPECT_THAT(slices(), ElementsAre(first, second, behind));
}

TEST_F(CollectorLogTest, ADryRunReleasesNothing) {
    back_up_at(100, 130);
    write(log, {1, 150, 200});
    settings.released_logs = {{{archive, 1}, 300}};
    settings.dry_run = true;
    EXPECT_EQ(collect().deleted_log_slices, 1U);
    EXPECT_THAT(slices(), SizeIs(1));
    EXPECT_THAT(read_verdicts(writer()).released(), IsEmpty());
}

// What a backup needs that was under way is found by the second mark.
TEST_F(CollectorLogTest, ABackupThatBeganBeforeTheReleaseKeepsItsLog) {
    back_up_at(100, 130);
    const LogSliceId needed = write(log, {1, 150, 200});
    write(log, {1, 200, 250});
    settings.released_logs = {{{archive, 1}, 300}};
    store.before_write = [&](std::string_view, const std::string& name) {
        if (!name.starts_with(condemned_prefix)) return;
        store.before_write = {};
        back_up_at(160, 190);
    };
    EXPECT_EQ(collect().deleted_log_slices, 1U);
    EXPECT_THAT(slices(), ElementsAre(needed));
}

// From the condemned list on, and for good.
TEST_F(CollectorLogTest, ABackupLearnsWhatIsReleased) {
    const auto told = [&](std::uint32_t branch) {
        const RepositoryContext context = writer();
        RunContext run = admin->ring.begin_run(random);
        const auto session = WriterSession::begin(context, run, "test", Duration::zero());
        const std::uint64_t until = session->log_released_until({archive, branch});
        session->leave();
        return until;
    };
    back_up_at(100, 130);
    EXPECT_EQ(told(1), 0U);
    settings.released_logs = {{{archive, 1}, 300}};
    std::uint64_t meanwhile = 0;
    store.before_write = [&](std::string_view verb, const std::string& name) {
        if (verb == "remove" && name.starts_with(condemned_prefix)) meanwhile = told(1);
    };
    collect();
    store.before_write = {};
    EXPECT_EQ(meanwhile, 300U);
    EXPECT_EQ(told(1), 300U);
    EXPECT_EQ(told(2), 0U);
}

// As a stolen key may set one: no backup could begin any more.
TEST_F(CollectorLogTest, AFloorAboveAllLogIsNotPassedOn) {
    back_up_at(100, 130);
    settings.released_logs = {{{archive, 1}, UINT64_MAX}};
    collect();
    EXPECT_EQ(read_verdicts(writer()).released().at({archive, 1}), UINT64_MAX);
    settings.released_logs.clear();
    const LogSliceId last = write(log, {1, 200, 240});
    LogSliceId invented = last;
    invented.range = {1, 900, 950};
    store.put(invented.name(), store.objects.at(last.name()), {}, {});
    collect();
    collect(); // the verdict that has it goes with the one behind that which united it
    EXPECT_EQ(read_verdicts(writer()).released().at({archive, 1}), 240U);
}

// What a snapshot needs of a segment that lies before all others, too.
TEST_F(CollectorLogTest, BeforeAllSnapshotsWholePiecesStay) {
    write(log, {1, 0, 100});
    const LogSliceId rest = write(log, {1, 100, 140}), own = write(log, {1, 140, 200});
    back_up_at(150, 160);
    settings.log_units = {{archive, 100}};
    EXPECT_EQ(collect().deleted_log_slices, 1U);
    EXPECT_THAT(slices(), ElementsAre(rest, own));
}

TEST_F(CollectorLogTest, WithoutASnapshotAllStays) {
    write(log, {1, 0, 100});
    ArchiveId other = archive;
    other.bytes[15] ^= 1;
    LogWriter of_other(as_writer, other, 1);
    const LogSliceId foreign = write(of_other, {1, 0, 10});
    EXPECT_EQ(collect().deleted_log_slices, 0U);
    back_up_at(150, 160);
    EXPECT_EQ(collect().deleted_log_slices, 1U);
    EXPECT_THAT(list_slices(store, other), ElementsAre(foreign));
}

TEST_F(CollectorLogTest, PiecesGoOnceTheWholeIsThere) {
    back_up_at(0, 10);
    write(log, {1, 0, 30});
    write(log, {1, 30, 60});
    const LogSliceId next = write(log, {1, 100, 130});
    const LogSliceId whole = write(log, {1, 0, 100});
    LogWriter another(as_writer, archive, 1);
    const LogSliceId of_another = write(another, {1, 30, 60});
    EXPECT_EQ(collect().deleted_log_slices, 2U);
    EXPECT_THAT(slices(), testing::UnorderedElementsAre(whole, of_another, next));
}

// Who can write to the store but has no keys cannot make a collection delete with it.
TEST_F(CollectorLogTest, AnInventedWholeCoversNothing) {
    back_up_at(0, 10);
    const LogSliceId piece = write(log, {1, 30, 60});
    LogSliceId invented = piece;
    invented.range = {1, 0, 100};
    invented.number = 9;
    store.put(invented.name(), store.objects.at(piece.name()), {}, {});
    const CollectorReport report = collect();
    EXPECT_EQ(report.deleted_log_slices, 0U);
    EXPECT_THAT(report.problems, SizeIs(1));
    EXPECT_THAT(slices(), ElementsAre(invented, piece));
}

// A backup that has begun is waited for, and what it commits is reckoned with.
TEST_F(CollectorLogTest, ABackupUnderWayKeepsWhatItBeganWith) {
    const LogSliceId needed = write(log, {1, 100, 200});
    const Snapshot older = back_up_at(100, 110);
    back_up_at(300, 310);
    const RepositoryContext context = writer();
    RunContext run = admin->ring.begin_run(random);
    const auto session = WriterSession::begin(context, run, "test", Duration::zero());
    forget_snapshot(writer(), older.id, false);
    EXPECT_TRUE(collect().postponed);
    Snapshot snapshot = store_tree(run, "orders", {1, 2});
    snapshot.domain = "default";
    snapshot.log = SnapshotLog{archive, {1, 150, 160}};
    session->commit(snapshot);
    collect();
    EXPECT_THAT(slices(), ElementsAre(needed));
}

// A standby that lags begins behind a snapshot that it has listed; forgotten before the second mark, it stays
// what the first one found.
TEST_F(CollectorLogTest, WhatTheFirstMarkNeedsStaysNeeded) {
    const Snapshot older = back_up_at(100, 110);
    back_up_at(300, 310);
    const LogSliceId needed = write(log, {1, 250, 290});
    write(log, {1, 0, 100});
    store.before_write = [&](std::string_view, const std::string& name) {
        if (!name.starts_with(condemned_prefix)) return;
        store.before_write = {};
        forget_snapshot(writer(), older.id, false);
    };
    EXPECT_EQ(collect().deleted_log_slices, 1U);
    EXPECT_THAT(slices(), ElementsAre(needed));
    EXPECT_EQ(collect().deleted_log_slices, 1U) << "the next collection knows nothing of the older one";
}

TEST_F(CollectorLogTest, WhatCameAndWentBetweenTheMarksCounts) {
    back_up_at(300, 310);
    const LogSliceId needed = write(log, {1, 250, 290});
    store.before_write = [&](std::string_view, const std::string& name) {
        if (!name.starts_with(condemned_prefix)) return;
        store.before_write = {};
        const Snapshot lagging = back_up_at(200, 210);
        forget_snapshot(writer(), lagging.id, false);
    };
    EXPECT_EQ(collect().deleted_log_slices, 0U);
    EXPECT_THAT(slices(), ElementsAre(needed));
}

// A backup that listed no snapshot may have begun anywhere.
TEST_F(CollectorLogTest, OfALogThatHadNoSnapshotAtFirstNothingGoes) {
    const LogSliceId early = write(log, {1, 0, 100});
    store.before_write = [&](std::string_view, const std::string& name) {
        if (!name.starts_with(condemned_prefix)) return;
        store.before_write = {};
        back_up_at(300, 310);
    };
    EXPECT_EQ(collect().deleted_log_slices, 0U);
    EXPECT_THAT(slices(), ElementsAre(early));
    EXPECT_EQ(collect().deleted_log_slices, 1U);
}

TEST_F(CollectorLogTest, ADryRunSaysWhatWouldGo) {
    write(log, {1, 0, 100});
    write(log, {1, 200, 210});
    write(log, {1, 200, 300});
    back_up_at(150, 160);
    settings.dry_run = true;
    const CollectorReport foretold = collect();
    EXPECT_EQ(foretold.deleted_log_slices, 2U);
    EXPECT_GT(foretold.deleted_log_bytes, 0U);
    EXPECT_THAT(slices(), SizeIs(3));
    settings.dry_run = false;
    const CollectorReport done = collect();
    EXPECT_EQ(done.deleted_log_slices, foretold.deleted_log_slices);
    EXPECT_EQ(done.deleted_log_bytes, foretold.deleted_log_bytes);
}

TEST_F(CollectorLogTest, ALogWithoutSnapshotsGoesWhenToldSo) {
    write(log, {1, 0, 100});
    write(log, {2, 0, 0});
    ArchiveId other = archive;
    other.bytes[15] ^= 1;
    LogWriter of_other(as_writer, other, 1);
    const LogSliceId stays = write(of_other, {1, 0, 10});
    settings.dry_run = true;
    const auto without = collect().logs_without_snapshot;
    EXPECT_THAT(without, SizeIs(2));
    EXPECT_GT(without.at(archive), without.at(other));
    settings.dry_run = false;
    settings.drop_logs = {archive};
    const CollectorReport report = collect();
    EXPECT_EQ(report.deleted_log_slices, 2U);
    EXPECT_THAT(report.logs_without_snapshot, SizeIs(1));
    EXPECT_THAT(slices(), IsEmpty());
    EXPECT_THAT(list_slices(store, other), ElementsAre(stays));
}

TEST_F(CollectorLogTest, ALogThatSnapshotsNeedIsNotDropped) {
    const LogSliceId slice = write(log, {1, 0, 100});
    settings.drop_logs = {archive};
    store.before_write = [&](std::string_view, const std::string& name) {
        if (!name.starts_with(condemned_prefix)) return;
        store.before_write = {};
        back_up_at(50, 60);
    };
    EXPECT_EQ(collect().deleted_log_slices, 0U) << "the first backup ended meanwhile";
    EXPECT_EQ(code_of([&] { collect(); }), ErrorCode::usage);
    EXPECT_THAT(slices(), ElementsAre(slice));
}

// As a receiver leaves it: window for window in pieces, and then as a whole. What is left is each byte once.
TEST_F(CollectorLogTest, ALogReceivedInPiecesIsKeptOnce) {
    back_up_at(0, 10);
    std::vector<LogSliceId> wholes;
    for (std::uint64_t window = 0; window < 1200; window += 40) {
        for (std::uint64_t piece = window; piece < window + 40; piece += 8) write(log, {1, piece, piece + 8});
        wholes.push_back(write(log, {1, window, window + 40}));
    }
    const LogSliceId unfinished = write(log, {1, 1200, 1208});
    EXPECT_EQ(collect().deleted_log_slices, 150U);
    wholes.push_back(unfinished);
    EXPECT_EQ(slices(), wholes);
    EXPECT_EQ(collect().deleted_log_slices, 0U);
}

} // namespace
} // namespace holdfast
