// Two servers that took themselves for the same one, and one archive with the log of both.
#include "base/error.h"
#include "base/file_descriptor.h"
#include "policy/policy_form.h"
#include "postgres/archive/slice_list.h"
#include "postgres/archive/wal_fetch.h"
#include "postgres/archive/wal_slicer.h"
#include "postgres/continuity/verify_wal.h"
#include "postgres/recovery/recovery_plan.h"
#include "postgres/recovery/recovery_window.h"
#include "postgres/recovery/rivals.h"
#include "repository/log/log_writer.h"
#include "repository/protocol/writer_session.h"
#include "service/log_release.h"
#include "support/document_repository.h"
#include "support/error_matchers.h"
#include "support/wal_segments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

using test::expect_error;
using test::small_segment_bytes;
using test::WalBlockSpec;
using test::WalRecordSpec;
using test::WalWriter;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr Lsn begin{std::uint64_t{5} << 20};
constexpr std::uint64_t system_identifier = 7'000'000'000'000'000'001U;

Lsn segment(std::size_t i) { return begin + i * small_segment_bytes; }

// After the beginning of 2000, from which on the times of commits are counted.
Timestamp second(std::int64_t count) {
    return from_rfc3339("2000-01-01T00:00:00Z") + std::chrono::seconds(count);
}

// A server's log, which can be copied and goes on by itself.
struct Server {
    WalWriter writer{15, small_segment_bytes, begin};
    std::uint32_t count = 0; // of commits: one a second

    // Changes of pages, each with a commit behind it, up to `end`; those of another `kind` have other
    // lengths.
    void write_until(Lsn end, unsigned kind) {
        while (writer.position() < end) {
            WalRecordSpec change;
            change.manager = ResourceManager::heap;
            change.xid = ++count;
            WalBlockSpec block;
            block.relation = {1663, 5, 16384};
            block.block = count;
            block.data = Bytes(1500 + (count * 37 + kind * 1009) % 2000, static_cast<Byte>(count + kind));
            change.blocks.push_back(block);
            writer.add(change);
            WalRecordSpec commit;
            commit.manager = ResourceManager::transaction;
            commit.xid = change.xid;
            commit.main_data =
                test::transaction_end_data(static_cast<std::int64_t>(count) * 1'000'000 + kind, {});
            commit.info = 0x80;
            writer.add(commit);
        }
    }
    // The record with which a backup ends that began at `start`; returns where that is.
    Lsn end_backup(Lsn start) {
        WalRecordSpec end;
        end.manager = ResourceManager::xlog;
        end.info = 0x50;
        ByteWriter data;
        data.u64(start.value);
        end.main_data = std::move(data).take();
        writer.add(end);
        return writer.position();
    }
    // Returns where its record ends.
    Lsn make_restore_point(std::string_view name) {
        WalRecordSpec point;
        point.manager = ResourceManager::xlog;
        point.info = 0x70;
        ByteWriter data;
        data.u64(count * std::uint64_t{1'000'000});
        data.raw(as_bytes(name));
        for (std::size_t i = name.size(); i < 64; ++i) data.u8(0);
        point.main_data = std::move(data).take();
        writer.add(point);
        return writer.position();
    }
    Lsn position() const { return writer.position(); }
    Timestamp time() const { return second(count); }
};

class LogBranchesTest : public testing::Test {
  protected:
    LogBranchesTest() {
        common.write_until(segment(1) + 300'000, 1);
        parted = common.position();
        a = b = common;
        a.write_until(segment(5) + 100'000, 2);
        b.write_until(segment(5) + 100'000, 3);
    }

    // The segments [first, last) of a server, under a run of their own; the names of the slices in `stored`.
    std::string store(const Server& server, std::size_t first, std::size_t last) {
        return store_bytes(server, segment(first), segment(last), {});
    }
    // From a segment's beginning, cut at `flushes`; what is less than a segment at the end is a slice too.
    std::string store_bytes(const Server& server, Lsn from, Lsn until, const std::vector<Lsn>& flushes) {
        LogWriter log(files.repository->context(), archive, 1);
        Compressor compressor;
        const auto take = [&](const CutSlice& slice) {
            const Bytes details = encode_wal_details(slice.details);
            const SealedSlice sealed =
                log.seal({slice.range, slice.content, details, slice.summary}, compressor);
            log.put(sealed);
            stored.push_back(sealed.id);
        };
        WalSlicer slicer({15, small_segment_bytes, system_identifier, 1}, from, take);
        const ByteView bytes = server.writer.bytes();
        for (const Lsn at : flushes) {
            slicer.feed(bytes.subspan(slicer.position() - begin, at - slicer.position()));
            if (const auto slice = slicer.flush()) take(*slice);
        }
        slicer.feed(bytes.subspan(slicer.position() - begin, until - slicer.position()));
        if (const auto slice = slicer.flush()) take(*slice);
        return branch_name(stored.back());
    }
    RunId snapshot(Lsn from, Lsn to, Timestamp time) {
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
        made.time = made.end = time;
        made.sequence = ++sequence;
        made.root = *root;
        made.log = SnapshotLog{archive, {1, from.value, to.value}};
        session->commit(made);
        return made.id;
    }
    RunId early_snapshot() { return snapshot(begin + 8192, begin + 20'000, second(8)); }

    RecoveryPlan plan(RecoveryTarget target, const std::vector<std::string>& branches = {},
                      const std::optional<RunId>& snapshot = {}) {
        return plan_recovery(load_recovery_source(*files.repository, "orders"),
                             {.target = std::move(target), .snapshot = snapshot, .branches = branches});
    }
    RecoveryWindow window() { return recovery_window(load_recovery_source(*files.repository, "orders")); }
    // The log of the plan, byte by byte.
    Bytes bytes_of(const RecoveryPlan& plan) {
        const WalArchive from(files.repository->context(), archive);
        Bytes bytes;
        for (const PathStep& step : plan.log.steps) {
            const Bytes part = from.reader().part(step.slice, step.begin, step.end);
            bytes.insert(bytes.end(), part.begin(), part.end());
        }
        return bytes;
    }
    void expect_log_of(const Server& server, const RecoveryPlan& plan) {
        const ByteView own =
            ByteView(server.writer.bytes()).subspan(plan.log.begin - begin, plan.log.end - plan.log.begin);
        EXPECT_TRUE(std::ranges::equal(bytes_of(plan), own)) << "up to " << plan.log.end.str();
    }

    Server common, a, b;
    Lsn parted;
    test::DocumentRepository files;
    const ArchiveId archive = wal_archive_id(files.repository->keys(), "orders", system_identifier);
    std::vector<LogSliceId> stored;
    std::optional<NodeRef> root;
    std::uint64_t sequence = 0;
};

TEST_F(LogBranchesTest, ASnapshotBeforeTheyPartLeadsToNoneUntilOneIsChosen) {
    const std::string first = store(a, 0, 5);
    const std::string second = store(b, 1, 5);
    early_snapshot();
    const auto error = test::error_of([&] { plan(RecoverToEnd{}); });
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code(), ErrorCode::not_found);
    EXPECT_THAT(error->message(),
                AllOf(HasSubstr("2 logs of timeline 1"), HasSubstr(first), HasSubstr(second)));
    EXPECT_THAT(error->hint(), HasSubstr("--branch"));
    const RecoveryPlan of_a = plan(RecoverToEnd{}, {first});
    expect_log_of(a, of_a);
    EXPECT_EQ(of_a.log.end, segment(5));
    ASSERT_THAT(of_a.forks, SizeIs(1));
    EXPECT_TRUE(of_a.forks[0].decided);
    EXPECT_EQ(of_a.forks[0].at.value / 8192, parted.value / 8192);
    EXPECT_EQ(of_a.forks[0].branches.at(0).name, first);
    EXPECT_EQ(of_a.forks[0].branches.at(1).name, second);
    EXPECT_EQ(of_a.forks[0].branches.at(1).end, segment(5));
    EXPECT_THAT(of_a.notes.back(), HasSubstr("is used"));
    expect_log_of(b, plan(RecoverToEnd{}, {second}));
    expect_error(ErrorCode::usage, [&] { plan(RecoverToEnd{}, {"0123456789ab"}); }, "no branch");
}

TEST_F(LogBranchesTest, WhatLiesBeforeTheyPartCanBeHadWithoutAChoice) {
    store(a, 0, 5);
    store(b, 1, 5);
    early_snapshot();
    const RecoveryPlan to_position = plan(RecoverToLsn{segment(1) + 100'000});
    expect_log_of(common, to_position);
    EXPECT_LE(to_position.log.end, parted);
    const RecoveryPlan to_time = plan(RecoverToTime{common.time() - std::chrono::seconds(20)});
    EXPECT_LE(to_time.log.end, parted);
    EXPECT_THROW(plan(RecoverToTime{a.time()}), Error);
}

TEST_F(LogBranchesTest, ASnapshotIsOfTheBranchWithItsOwnRecords) {
    Server one = common, other = common;
    one.write_until(segment(2) + 200'000, 2);
    other.write_until(segment(2) + 200'000, 3);
    // At the same place in both, as far as positions tell.
    const Lsn start = segment(1) + 310'000;
    const Lsn end_of_one = one.end_backup(start), end_of_other = other.end_backup(start + 8);
    one.write_until(segment(4), 2);
    other.write_until(segment(4), 3);
    const std::string name = store(one, 0, 4);
    store(other, 0, 4);
    const RunId first = snapshot(start, end_of_one, second(10000));
    const RecoveryPlan of_one = plan(RecoverToEnd{}, {}, first);
    expect_log_of(one, of_one);
    ASSERT_THAT(of_one.forks, SizeIs(1));
    EXPECT_EQ(of_one.forks[0].branches[0].name, name);
    EXPECT_THAT(of_one.aside, SizeIs(3)) << "from the segment on in which the snapshot begins";
    const RunId last = snapshot(start + 8, end_of_other, second(20000));
    expect_log_of(other, plan(RecoverToEnd{}, {}, last));
    EXPECT_THROW(plan(RecoverToEnd{}, {name}, last), Error);
    // Each segment under a run of its own, as archive_command brings them.
    const RecoveryWindow all = window();
    EXPECT_THAT(all.ranges, SizeIs(2));
    EXPECT_THAT(all.forks, SizeIs(2));
    EXPECT_THAT(all.gaps, IsEmpty());
}

TEST_F(LogBranchesTest, TheChainIsFollowedFromSegmentToSegment) {
    store(a, 0, 1);
    const std::string first = store(a, 1, 2), second = store(b, 1, 2);
    for (std::size_t i = 2; i < 5; ++i) {
        // In no order.
        store(i % 2 == 0 ? a : b, i, i + 1);
        store(i % 2 == 0 ? b : a, i, i + 1);
    }
    early_snapshot();
    expect_log_of(a, plan(RecoverToEnd{}, {first}));
    const RecoveryPlan of_b = plan(RecoverToEnd{}, {second});
    expect_log_of(b, of_b);
    ASSERT_THAT(of_b.forks, SizeIs(1));
    EXPECT_EQ(of_b.forks[0].branches[1].end, segment(5));
}

TEST_F(LogBranchesTest, ABranchThatEndsDoesNotGoOnWithTheOther) {
    const std::string first = store(a, 0, 3), second = store(b, 1, 5);
    early_snapshot();
    const RecoveryPlan of_a = plan(RecoverToEnd{}, {first});
    EXPECT_EQ(of_a.log.end, segment(3));
    expect_log_of(a, of_a);
    expect_log_of(b, plan(RecoverToEnd{}, {second}));
}

// Kinds that are 2000 apart write records of the same lengths: what they say of themselves is the same.
TEST_F(LogBranchesTest, EqualLengthsAreToldApartByTheRecordThatCrosses) {
    Server one = common, other = common;
    one.write_until(segment(5) + 100'000, 2);
    other.write_until(segment(5) + 100'000, 2002);
    ASSERT_EQ(one.position(), other.position());
    store(one, 0, 1);
    const std::string first = store(one, 1, 2), second = store(other, 1, 2);
    store(other, 2, 4); // that of the first one is lost
    early_snapshot();
    const RecoveryPlan of_one = plan(RecoverToEnd{}, {first});
    EXPECT_EQ(of_one.log.end, segment(2));
    expect_log_of(one, of_one);
    const RecoveryPlan of_other = plan(RecoverToEnd{}, {second});
    EXPECT_EQ(of_other.log.end, segment(4));
    expect_log_of(other, of_other);
}

// Idle copies that switch segments at the same place: nothing lies on both sides of the boundary.
TEST_F(LogBranchesTest, WhatFollowsOnBothAlikeIsUsedWhenItIsChosen) {
    Server one = common, other = common;
    one.write_until(segment(1) + 600'000, 2);
    other.write_until(segment(1) + 600'000, 2002);
    one.writer.add_switch();
    other.writer.add_switch();
    ASSERT_EQ(one.position(), segment(2));
    one.write_until(segment(4), 2);
    other.write_until(segment(4), 2002);
    store(one, 0, 1);
    const std::string first = store(one, 1, 2), second = store(other, 1, 2);
    const std::string behind = store(other, 2, 3);
    early_snapshot();
    expect_error(ErrorCode::not_found, [&] { plan(RecoverToEnd{}, {first}); }, "cannot be told");
    expect_error(ErrorCode::not_found, [&] { plan(RecoverToEnd{}, {second}); }, "--branch " + behind);
    const RecoveryPlan of_other = plan(RecoverToEnd{}, {second, behind});
    EXPECT_EQ(of_other.log.end, segment(3));
    expect_log_of(other, of_other);
    // Up to there nobody need choose more.
    EXPECT_EQ(plan(RecoverToLsn{segment(1) + 500'000}, {first}).log.end, segment(2));
}

TEST_F(LogBranchesTest, LogThatDoesNotFollowIsNotUsedThoughNothingLiesBesideIt) {
    store(a, 0, 3);
    store(b, 3, 5);
    early_snapshot();
    expect_error(ErrorCode::not_found, [&] { plan(RecoverToEnd{}); }, "does not follow");
    EXPECT_EQ(plan(RecoverToLsn{segment(2)}).log.end, segment(3));
    const RecoveryWindow all = window();
    ASSERT_THAT(all.gaps, SizeIs(1));
    EXPECT_EQ(all.gaps[0].begin, segment(3));
    EXPECT_THAT(all.gaps[0].why, HasSubstr("does not follow"));
}

// The host of the first one was lost after it had sent some of a segment.
TEST_F(LogBranchesTest, APieceIsOfABranchToo) {
    store(common, 0, 1);
    const Lsn until = segment(1) + 700'000;
    const std::string piece = store_bytes(a, segment(1), until, {segment(1) + 100'000, parted});
    const std::string rest = store(b, 1, 5);
    early_snapshot();
    EXPECT_THROW(plan(RecoverToEnd{}), Error);
    const RecoveryPlan of_a = plan(RecoverToEnd{}, {piece});
    EXPECT_EQ(of_a.log.end, until);
    expect_log_of(a, of_a);
    expect_log_of(b, plan(RecoverToEnd{}, {rest}));
}

// A second run that begins where the first one ended, in the middle of a segment that another one has whole.
TEST_F(LogBranchesTest, PiecesOfSeveralRunsArePutTogether) {
    store(common, 0, 1);
    store(b, 1, 3);
    const Lsn middle = parted + 100'000, until = segment(1) + 700'000;
    store_bytes(a, segment(1), middle, {});
    LogWriter log(files.repository->context(), archive, 1);
    Compressor compressor;
    const Bytes piece(a.writer.bytes().begin() + static_cast<std::ptrdiff_t>(middle - begin),
                      a.writer.bytes().begin() + static_cast<std::ptrdiff_t>(until - begin));
    WalDetails details;
    details.version = 15;
    details.segment_bytes = small_segment_bytes;
    details.system_identifier = system_identifier;
    const Bytes encoded = encode_wal_details(details);
    const SealedSlice sealed = log.seal({{1, middle.value, until.value}, piece, encoded, {}}, compressor);
    log.put(sealed);
    early_snapshot();
    const RecoveryPlan of_a = plan(RecoverToLsn{middle + 100'000}, {branch_name(sealed.id)});
    EXPECT_EQ(of_a.log.end, until);
    expect_log_of(a, of_a);
}

TEST_F(LogBranchesTest, TheSameContentTwiceIsNoRival) {
    store(a, 0, 5);
    store(a, 2, 4);
    store_bytes(a, segment(1), segment(1) + 500'000, {segment(1) + 200'000});
    early_snapshot();
    const RecoveryPlan made = plan(RecoverToEnd{});
    EXPECT_THAT(made.forks, IsEmpty());
    EXPECT_THAT(made.aside, IsEmpty());
    const RecoveryWindow all = window();
    EXPECT_THAT(all.forks, IsEmpty());
    EXPECT_THAT(all.gaps, IsEmpty());
}

TEST_F(LogBranchesTest, BytesThatAreNoLogAreNoRival) {
    store(a, 0, 5);
    Server torn = a;
    std::ranges::fill(std::span(torn.writer.bytes()).subspan(segment(2) + 400'000 - begin, 200'000), Byte{7});
    store_bytes(torn, segment(2), segment(2) + 600'000, {});
    early_snapshot();
    const RecoveryPlan made = plan(RecoverToEnd{});
    EXPECT_THAT(made.forks, IsEmpty());
    expect_log_of(a, made);
}

TEST_F(LogBranchesTest, WhatIsFetchedIsOfTheListAlone) {
    const std::string first = store(a, 0, 5), second = store(b, 1, 5);
    early_snapshot();
    const WalArchive all(files.repository->context(), archive);
    for (const Server* server : {&a, &b}) {
        const RecoveryPlan chosen = plan(RecoverToEnd{}, {server == &a ? first : second});
        const std::string text = write_slice_list(chosen.log.slices());
        const WalArchive some = all.only(parse_slice_list(text, "list"));
        const ByteView bytes = server->writer.bytes();
        for (std::size_t i = 0; i < 5; ++i) {
            const std::string place = files.scratch.file("fetched");
            ASSERT_TRUE(fetch_wal_file(some, segment_name(1, segment(i), small_segment_bytes), place,
                                       small_segment_bytes, {}));
            EXPECT_TRUE(std::ranges::equal(read_file(place, 1U << 26),
                                           bytes.subspan(i * small_segment_bytes, small_segment_bytes)))
                << i;
        }
    }
    const std::string text = write_slice_list(stored);
    expect_error(ErrorCode::corrupt, [&] { parse_slice_list(text + "x", "list"); }, "list, line 10");
}

TEST_F(LogBranchesTest, WhoHasNotBeenToldWhoseLogToFetchGetsNone) {
    store(a, 0, 4);
    store(b, 2, 3);
    store(a, 3, 4); // the same again
    const WalArchive all(files.repository->context(), archive);
    const auto range = [](std::size_t i) { return WalRange{1, segment(i), segment(i + 1)}; };
    for (const std::size_t i : {0U, 1U, 3U}) EXPECT_NO_THROW(refuse_rivals(all, range(i))) << i;
    expect_error(ErrorCode::incompatible, [&] { refuse_rivals(all, range(2)); }, "2 logs of timeline 1");
    // What a power cut tore is no rival of what came later.
    Server torn = a;
    std::ranges::fill(std::span(torn.writer.bytes()).subspan(segment(1) + 400'000 - begin, 200'000), Byte{7});
    store_bytes(torn, segment(1), segment(1) + 600'000, {});
    EXPECT_NO_THROW(refuse_rivals(all, range(1)));
}

TEST_F(LogBranchesTest, TheWindowSaysWhatCannotBeHad) {
    store(a, 0, 5);
    store(b, 1, 5);
    early_snapshot();
    RecoveryWindow all = window();
    ASSERT_THAT(all.ranges, SizeIs(1));
    EXPECT_LE(all.ranges[0].until, common.time() + std::chrono::milliseconds(1));
    ASSERT_THAT(all.gaps, SizeIs(1));
    EXPECT_THAT(all.gaps[0].why, HasSubstr("2 logs of timeline 1"));
    ASSERT_THAT(all.forks, SizeIs(1));
    EXPECT_FALSE(all.forks[0].decided);
    // Behind the rivals there is one log again.
    a.write_until(segment(8), 2);
    store(a, 5, 8);
    const RunId later = snapshot(segment(6), segment(6) + 50'000, a.time());
    all = window();
    ASSERT_THAT(all.ranges, SizeIs(2));
    EXPECT_THAT(all.ranges[1].snapshots, testing::ElementsAre(later));
    ASSERT_THAT(all.gaps, SizeIs(1));
    EXPECT_EQ(all.gaps[0].again_from, later);
    EXPECT_THAT(plan(RecoverToEnd{}).forks, IsEmpty());
}

// The log has no index of transactions: it is read from the newest snapshot on, then from the one before it.
TEST_F(LogBranchesTest, ATransactionIsFoundWhereverItLies) {
    store(a, 0, 5);
    const RunId early = early_snapshot();
    const RunId late = snapshot(segment(3) + 8192, segment(3) + 20'000, second(9000));
    const std::uint64_t old_xid = common.count - 5;
    const RecoveryPlan of_old = plan(RecoverToXid{old_xid});
    EXPECT_EQ(of_old.snapshot.id, early);
    EXPECT_LE(of_old.log.end, segment(2));
    EXPECT_THAT(of_old.notes, Contains(HasSubstr("the transaction was committed at")));
    EXPECT_EQ(plan(RecoverToXid{old_xid + (std::uint64_t{7} << 32)}).snapshot.id, early);
    Server so_far = common;
    so_far.write_until(segment(4), 2);
    const RecoveryPlan of_new = plan(RecoverToXid{so_far.count});
    EXPECT_EQ(of_new.snapshot.id, late);
    EXPECT_GE(of_new.log.end, so_far.position());
    EXPECT_EQ(plan(RecoverToXid{so_far.count}, {}, early).snapshot.id, early);
    expect_error(
        ErrorCode::not_found, [&] { plan(RecoverToXid{old_xid}, {}, late); }, "no end of this transaction");
    expect_error(
        ErrorCode::not_found, [&] { plan(RecoverToXid{4'000'000'000}); }, "no end of this transaction");
}

TEST_F(LogBranchesTest, ATransactionIsThatOfTheChosenBranch) {
    const std::string first = store(a, 0, 5), second = store(b, 1, 5);
    early_snapshot();
    EXPECT_LE(plan(RecoverToXid{common.count - 5}).log.end, parted);
    const std::uint64_t of_both = common.count + 200;
    expect_error(ErrorCode::not_found, [&] { plan(RecoverToXid{of_both}); }, "2 logs of timeline 1");
    const RecoveryPlan of_a = plan(RecoverToXid{of_both}, {first});
    EXPECT_GT(of_a.log.end, parted);
    expect_log_of(a, of_a);
    expect_log_of(b, plan(RecoverToXid{of_both}, {second}));
}

TEST_F(LogBranchesTest, ARestorePointIsThatOfTheChosenBranch) {
    Server one = common, other = common;
    one.write_until(segment(2), 2);
    other.write_until(segment(2) + 300'000, 3);
    const Lsn in_one = one.make_restore_point("here"), in_other = other.make_restore_point("here");
    one.make_restore_point("only here");
    one.write_until(segment(4), 2);
    other.write_until(segment(4), 3);
    const std::string first = store(one, 0, 4), second = store(other, 1, 4);
    early_snapshot();
    expect_error(ErrorCode::not_found, [&] { plan(RecoverToName{"here"}); }, "2 logs of timeline 1");
    const RecoveryPlan of_one = plan(RecoverToName{"here"}, {first});
    EXPECT_GE(of_one.log.end, in_one);
    expect_log_of(one, of_one);
    const RecoveryPlan of_other = plan(RecoverToName{"here"}, {second});
    EXPECT_GE(of_other.log.end, in_other);
    expect_log_of(other, of_other);
    expect_error(
        ErrorCode::not_found, [&] { plan(RecoverToName{"only here"}, {second}); },
        "no restore point of this name");
}

TEST_F(LogBranchesTest, VerifyNamesBoth) {
    const std::string first = store(a, 0, 5), second = store(b, 1, 5);
    early_snapshot();
    Progress progress;
    const WalVerifyReport report = verify_wal(*files.repository, {.source = "orders"}, progress, {});
    EXPECT_FALSE(report.intact());
    ASSERT_THAT(report.window.forks, SizeIs(1));
    const std::string said = describe(report.window.forks[0]);
    EXPECT_THAT(said, AllOf(HasSubstr(first), HasSubstr(second)));
    ASSERT_FALSE(report.findings.empty());
    EXPECT_EQ(report.findings[0].fault, WalFault::conflict);
}

// What policies let go of log is gone for good: who does not know which server's it is lets go of none.
class LogReleaseWithRivalsTest : public LogBranchesTest {
  protected:
    LogReleaseWithRivalsTest() {
        early_snapshot();
        snapshot(segment(1) + 8192, segment(1) + 20'000, second(500));
    }
    static LogRelease release(Repository& repository) {
        return log_release(repository,
                           {parse_policy("p", R"({"sources": "*", "retention": {"window": "1d"}})")},
                           {.dry_run = true});
    }
};

TEST_F(LogReleaseWithRivalsTest, NothingGoesWhereLogsPart) {
    store(a, 0, 5);
    const LogRelease alone = release(*files.repository);
    ASSERT_THAT(alone.logs, SizeIs(1)) << testing::PrintToString(alone.problems);
    EXPECT_EQ(alone.logs[0].position, segment(1).value);
    store(b, 1, 5);
    const LogRelease found = release(*files.repository);
    EXPECT_THAT(found.logs, IsEmpty());
    EXPECT_THAT(found.problems, Contains(HasSubstr("2 logs of timeline 1")));
}

TEST_F(LogReleaseWithRivalsTest, AKeyThatComparesNothingLetsNothingGoWhereRunsOverlap) {
    const auto pruner = files.open(files.add_slot(Role::prune));
    store(a, 0, 5);
    EXPECT_THAT(release(*pruner).logs, SizeIs(1));
    store(a, 3, 4);
    EXPECT_THAT(release(*files.repository).logs, SizeIs(1));
    const LogRelease found = release(*pruner);
    EXPECT_THAT(found.logs, IsEmpty());
    EXPECT_THAT(found.problems, Contains(HasSubstr("several runs have stored log")));
}

} // namespace
} // namespace holdfast::postgres
