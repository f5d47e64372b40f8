// What somebody puts into an archive who may not, under names as good as any: it must neither count nor stand
// in the way.
#include "base/error.h"
#include "postgres/archive/slice_intake.h"
#include "postgres/archive/wal_fetch.h"
#include "postgres/archive/wal_slicer.h"
#include "postgres/receive/resume_place.h"
#include "postgres/receive/wal_shipper.h"
#include "postgres/recovery/recovery_plan.h"
#include "postgres/recovery/recovery_window.h"
#include "repository/log/log_writer.h"
#include "repository/protocol/writer_session.h"
#include "support/document_repository.h"
#include "support/error_matchers.h"
#include "support/hook_store.h"
#include "support/made_slice.h"
#include "support/wal_segments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

using test::expect_error;
using test::MadeLog;
using test::small_segment_bytes;
using testing::IsEmpty;
using testing::SizeIs;

constexpr Lsn begin{std::uint64_t{5} << 20};
constexpr std::uint64_t system_identifier = 7'000'000'000'000'000'001U;

Lsn segment(std::size_t i) { return begin + i * small_segment_bytes; }

class ForeignSlicesTest : public testing::Test {
  protected:
    ForeignSlicesTest() {
        const Credential credential = files.add_slot(Role::write, "web");
        files.reopen(); // it must have heard of the stranger
        stranger = files.open(credential);
        archive.emplace(files.repository->context(),
                        wal_archive_id(files.repository->keys(), "orders", system_identifier));
    }
    // Segments [first, end) of the made log.
    void store(std::size_t first, std::size_t end) {
        Compressor compressor;
        LogWriter log(files.repository->context(), archive->id(), 1);
        WalSlicer slicer(
            {15, small_segment_bytes, system_identifier, 1}, segment(first), [&](const CutSlice& slice) {
                const Bytes details = encode_wal_details(slice.details);
                log.put(log.seal({slice.range, slice.content, details, slice.summary}, compressor));
            });
        slicer.feed(
            ByteView(made.bytes()).subspan(first * small_segment_bytes, (end - first) * small_segment_bytes));
    }
    // In the archive by name, and signed by somebody of another domain.
    LogSliceId forge(const LogRange& range) {
        const RunContext run = stranger->keys().begin_run(files.random);
        const LogSliceId id{archive->id(), range, run.id(), 0};
        const Bytes content(range.end - range.begin, 7);
        files.store->put(id.name(), make_slice(run, id, {content}, system_clock().now()));
        return id;
    }
    RunId snapshot(Lsn from, Lsn to, int second) {
        files.write_file("a", 100, 1);
        RunContext run = files.repository->keys().begin_run(files.random);
        const auto session = WriterSession::begin(files.repository->context(), run, "test", Duration::zero());
        Snapshot made_now;
        made_now.id = run.id();
        made_now.source = "orders";
        made_now.domain = files.repository->keys().domain();
        made_now.kind = snapshot_kind;
        made_now.time = made_now.end = Timestamp(std::chrono::seconds(second));
        made_now.sequence = static_cast<std::uint64_t>(second);
        made_now.root = files.back_up().root;
        made_now.log = SnapshotLog{archive->id(), {1, from.value, to.value}};
        session->commit(made_now);
        return made_now.id;
    }
    RecoverySource source() { return load_recovery_source(*files.repository, "orders"); }
    std::optional<Bytes> fetched(std::size_t i) {
        const std::string place = files.scratch.file("fetched");
        std::filesystem::remove(place);
        if (!fetch_wal_file(*archive, made.name(i), place, small_segment_bytes, {}, {}, Duration{}))
            return std::nullopt;
        return read_file(place, 1u << 26);
    }

    test::DocumentRepository files;
    std::unique_ptr<Repository> stranger;
    const MadeLog made{begin, 4};
    std::optional<WalArchive> archive;
};

TEST_F(ForeignSlicesTest, DoNotCloseAGap) {
    store(0, 1);
    store(2, 4);
    const RunId first = snapshot(segment(0), segment(0) + 100'000, 1);
    forge({1, segment(1).value, segment(2).value});
    const RecoveryWindow window = recovery_window(source());
    ASSERT_THAT(window.gaps, SizeIs(1));
    EXPECT_EQ(window.gaps[0].begin, segment(1));
    EXPECT_EQ(window.gaps[0].end, segment(2));
    expect_error(ErrorCode::not_found, [&] { plan_recovery(source(), {}); }, "is missing");
    EXPECT_EQ(plan_recovery(source(), {.target = RecoverToConsistency{}}).snapshot.id, first);
    EXPECT_EQ(archived_from(*archive, {1, segment(0)}), segment(1));
}

TEST_F(ForeignSlicesTest, DoNotStandInTheWayOfTheLogThatIsThere) {
    store(0, 4);
    snapshot(segment(0), segment(0) + 100'000, 1);
    const LogSliceId forged = forge({1, segment(1).value, segment(3).value}); // longer than those of the log
    const RecoverySource from = source();
    const RecoveryPlan plan = plan_recovery(from, {});
    EXPECT_EQ(plan.log.end, segment(4));
    for (const PathStep& step : plan.log.steps) EXPECT_NE(step.slice, forged) << step.slice.name();
    EXPECT_THAT(recovery_window(from).gaps, IsEmpty());
    // In what the stranger's covers there are commits, of which it says nothing.
    const auto second = [&](std::size_t i) {
        return Timestamp(std::chrono::microseconds(
            archive->details(archive->slices_of({1, segment(i), segment(i) + 1}).back()).last_commit_us));
    };
    EXPECT_EQ(plan_recovery(from, {.target = RecoverToTime{second(0)}}).log.end, segment(2));
    for (std::size_t i = 0; i < 4; ++i) EXPECT_TRUE(fetched(i)) << i;
}

TEST_F(ForeignSlicesTest, AreNoPlaceToGoOnBehind) {
    store(0, 2);
    forge({1, segment(2).value, segment(3).value});
    EXPECT_EQ(newest_slice(*archive, TimelineHistory(1))->range.end, segment(2).value);
    EXPECT_EQ(archived_from(*archive, {1, segment(0)}), segment(2));
    EXPECT_EQ(archived_from(*archive, {1, segment(2)}), segment(2));
}

// To a server that recovers, log behind a gap is a reason to give up.
TEST_F(ForeignSlicesTest, BehindTheEndDoNotLookLikeAGap) {
    store(0, 2);
    forge({1, segment(3).value, segment(4).value});
    EXPECT_TRUE(fetched(1));
    EXPECT_FALSE(fetched(2));
}

TEST_F(ForeignSlicesTest, BeforeAllOthersDoNotHideWhatTheArchiveIsOf) {
    store(1, 2);
    forge({1, segment(0).value, segment(1).value});
    EXPECT_EQ(segment_bytes_of(*archive), small_segment_bytes);
    EXPECT_EQ(open_wal_archive(*files.repository, "orders").id(), archive->id());
}

TEST_F(ForeignSlicesTest, AHistoryFileDoesNotKeepTheTrueOneFromBeingStored) {
    forge({2, 0, 0});
    const TimelineHistory history = TimelineHistory(1).branch(2, segment(1), "promoted");
    EXPECT_FALSE(archive->history_text(2));
    {
        SliceIntake intake(*files.repository, archive->id(), {.source = "orders"}, {});
        EXPECT_EQ(intake.add_history(2, history.text(), system_identifier), SliceIntake::Outcome::stored);
        intake.finish();
    }
    EXPECT_EQ(archive->history_text(2), history.text());
}

TEST_F(ForeignSlicesTest, AHistoryFileDoesNotKeepTheReceiverFromStoring) {
    forge({2, 0, 0});
    Alarms alarms{silent_logger(), "orders"};
    WalSpool spool(files.scratch.file("spool"));
    spool.set_segment_bytes(small_segment_bytes);
    const TimelineHistory history = TimelineHistory(1).branch(2, segment(1), "promoted");
    spool.put_history(2, history.text());
    const MadeLog second(begin, 1, 1, 2);
    spool.begin_run({2, segment(0)});
    spool.append(second.bytes());
    WalShipper shipper(*files.repository, *archive, spool, {}, {}, alarms);
    std::stop_source over;
    const std::jthread timer([&](const std::stop_token& done) {
        if (system_clock().sleep_for(std::chrono::seconds(60), done)) over.request_stop();
    });
    EXPECT_TRUE(shipper.finish(over.get_token())) << shipper.last_error();
    EXPECT_EQ(archive->history_text(2), history.text());
}

// What says "access denied" of all objects is a store, and of one a signature.
TEST_F(ForeignSlicesTest, AStoreThatDeniesIsNotTakenForAnArchiveWithoutLog) {
    store(0, 1);
    forge({2, 0, 0});
    const auto denying = std::make_shared<test::HookStore>(files.store, [](const StoreCall& call) {
        if (call.verb == StoreVerb::get && call.name.starts_with("logs/"))
            throw Error(ErrorCode::access_denied, "no permission");
    });
    Repository denied(denying, unlock(*files.store, test::DocumentRepository::passphrase()),
                      LocalDirectories{files.scratch.file("cache2"), files.scratch.path().string()},
                      system_clock(), files.random, silent_logger());
    const WalArchive behind(denied.context(), archive->id());
    expect_error(ErrorCode::access_denied, [&] { behind.history_text(2); }, "no permission");
    expect_error(ErrorCode::access_denied, [&] { archived_from(behind, {1, begin}); }, "no permission");
}

} // namespace
} // namespace holdfast::postgres
