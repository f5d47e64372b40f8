// The parts of receiving the log, without a server.
#include "postgres/archive/wal_archive.h"
#include "postgres/receive/acknowledgement.h"
#include "postgres/receive/exposure.h"
#include "postgres/receive/final_error.h"
#include "postgres/receive/log_server.h"
#include "postgres/receive/receive_state.h"
#include "postgres/receive/wal_shipper.h"
#include "postgres/server/server_error.h"
#include "store/fault_store.h"
#include "support/document_repository.h"
#include "support/error_matchers.h"
#include "support/wal_segments.h"

#include <filesystem>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

using namespace std::chrono_literals;
using test::expect_error;
using test::MadeLog;
using test::small_segment_bytes;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr Lsn begin{std::uint64_t{5} << 20};

WalPosition at(std::uint64_t lsn, TimelineId timeline = 1) { return {timeline, Lsn{lsn}}; }

TEST(Acknowledgement, IsWhatTheRepositoryHasUntilItFailsForTooLong) {
    Acknowledgement acknowledgement(false, 60s);
    EXPECT_EQ(acknowledgement.update({at(100), at(90), at(50)}, 0s), at(50));
    EXPECT_EQ(acknowledgement.update({at(200), at(190), at(50)}, 60s), at(50));
    EXPECT_FALSE(acknowledgement.repository_fails());
    EXPECT_EQ(acknowledgement.update({at(300), at(290), at(50)}, 61s), at(290));
    EXPECT_TRUE(acknowledgement.repository_fails());
    EXPECT_EQ(acknowledgement.stalled_for(61s), 61s);
    // It stores again: nothing is taken back.
    EXPECT_EQ(acknowledgement.update({at(300), at(290), at(60)}, 62s), at(290));
    EXPECT_FALSE(acknowledgement.repository_fails());
    EXPECT_EQ(acknowledgement.update({at(300), at(300), at(300)}, 63s), at(300));
}

TEST(Acknowledgement, ARepositoryWithNothingToStoreDoesNotFail) {
    Acknowledgement acknowledgement(false, 60s);
    acknowledgement.update({at(100), at(100), at(100)}, 0s);
    acknowledgement.update({at(100), at(100), at(100)}, 1000s);
    acknowledgement.update({at(200), at(200), at(100)}, 1030s);
    EXPECT_FALSE(acknowledgement.repository_fails());
}

TEST(Acknowledgement, IsNeverMoreThanTheRepositoryHasWhenSynchronous) {
    Acknowledgement acknowledgement(true, 60s);
    acknowledgement.update({at(100), at(100), at(50)}, 0s);
    EXPECT_EQ(acknowledgement.update({at(100), at(100), at(50)}, 100s), at(50));
    EXPECT_TRUE(acknowledgement.repository_fails());
}

TEST(Acknowledgement, DoesNotWaitForTheSpoolWhenSynchronous) {
    Acknowledgement acknowledgement(true, 60s);
    EXPECT_EQ(acknowledgement.update({at(100), at(10), at(90)}, 0s), at(90));
    // A spool that lost its end is behind the archive; what was not received is not acknowledged.
    EXPECT_EQ(acknowledgement.update({at(100), at(10), at(120)}, 1s), at(100));
}

TEST(Acknowledgement, IsNeverMoreThanTheSpoolHas) {
    Acknowledgement acknowledgement(false, 60s);
    EXPECT_EQ(acknowledgement.update({at(100), at(70), at(100)}, 0s), at(70));
    // On a new timeline the positions begin again before the end of the old one.
    EXPECT_EQ(acknowledgement.update({at(80, 2), at(80, 2), at(100)}, 1s), at(100));
    EXPECT_EQ(acknowledgement.update({at(80, 2), at(80, 2), at(80, 2)}, 1s), at(80, 2));
}

TEST(Exposure, IsTheAgeOfTheOldestThatIsNotArchived) {
    Exposure exposure;
    exposure.heard(at(100), 10s);
    exposure.heard(at(200), 12s);
    EXPECT_EQ(exposure.age(15s), 5s);
    exposure.archived(at(50));
    EXPECT_EQ(exposure.age(15s), 5s);
    exposure.archived(at(100));
    EXPECT_EQ(exposure.age(15s), 3s);
    exposure.archived(at(200));
    EXPECT_EQ(exposure.age(15s), 0s);
    exposure.heard(at(200), 16s);
    EXPECT_EQ(exposure.age(20s), 0s);
    // While nothing is heard anything may have been written.
    exposure.disconnected(20s);
    EXPECT_EQ(exposure.age(25s), 5s);
    exposure.heard(at(300), 26s);
    EXPECT_EQ(exposure.age(26s), 0s);
}

TEST(FlushSchedule, WaitsForTheIntervalAndForTheStore) {
    FlushSchedule schedule(5s, 0s);
    EXPECT_FALSE(schedule.due(4s, false));
    EXPECT_TRUE(schedule.due(4s, true));
    EXPECT_TRUE(schedule.due(5s, false));
    schedule.flushed(5s);
    EXPECT_FALSE(schedule.due(11s, true)) << "one at a time";
    schedule.stored(6s);
    EXPECT_TRUE(schedule.due(10s, false));
    // A whole slice was cut on the way: what is behind it is new.
    schedule.cut(8s);
    EXPECT_FALSE(schedule.due(12s, false));
    // A store that takes long is asked less often.
    schedule.flushed(13s);
    schedule.stored(33s);
    EXPECT_FALSE(schedule.due(32s, false));
    EXPECT_TRUE(schedule.due(33s, false));
    schedule.flushed(33s);
    schedule.stored(34s);
    EXPECT_EQ(schedule.next(), 38s);
}

TEST(PlaceInHistory, FollowsTheServerWhereItsTimelinesLead) {
    const TimelineHistory one(1);
    const TimelineHistory two = one.branch(2, Lsn{5500}, "");
    const TimelineHistory three = two.branch(3, Lsn{7700}, "");
    EXPECT_EQ(place_in(one, one, at(5000), 1000).at, at(5000));
    EXPECT_EQ(place_in(three, one, at(5000), 1000).at, at(5000)) << "the stream tells where it ends";
    EXPECT_EQ(place_in(three, two, at(6000, 2), 1000).at, at(6000, 2));
    // The server left the timeline before what was received.
    const NextPlace left = place_in(three, one, at(5900), 1000);
    EXPECT_EQ(left.at, at(5000, 2));
    EXPECT_EQ(left.parted, Lsn{5500});
    // Another branch than the one that was followed.
    const TimelineHistory other = one.branch(4, Lsn{4200}, "");
    EXPECT_EQ(place_in(other, two, at(6000, 2), 1000).at, at(4000, 4));
    expect_error(ErrorCode::unavailable, [&] { place_in(one, two, at(6000, 2), 1000); });
}

class SpoolTest : public testing::Test {
  protected:
    std::string path() const { return files.scratch.file("spool"); }
    std::unique_ptr<WalSpool> open() const {
        auto spool = std::make_unique<WalSpool>(path());
        if (spool->segment_bytes() == 0) spool->set_segment_bytes(small_segment_bytes);
        return spool;
    }
    static Bytes content(const WalSpool& spool, const SpoolRun& run) {
        Bytes all;
        Bytes piece(100'000);
        for (Lsn lsn = run.begin; lsn < run.end;) {
            const std::size_t size = spool.read({run.timeline, lsn}, piece);
            if (size == 0) break;
            all.insert(all.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(size));
            lsn = lsn + size;
        }
        return all;
    }
    static void append(WalSpool& spool, ByteView bytes, std::size_t piece = 70'000) {
        while (!bytes.empty()) {
            spool.append(bytes.first(std::min(piece, bytes.size())));
            bytes = bytes.subspan(std::min(piece, bytes.size()));
        }
    }
    WalArchive archive() const {
        return {files.repository->context(),
                wal_archive_id(files.repository->keys(), "orders", 7'000'000'000'000'000'001U)};
    }
    // What is archived from `from` on, without a gap.
    static Bytes archived(const WalArchive& from, const WalRange& range) {
        Bytes all;
        from.read(range, [&](ByteView bytes) { all.insert(all.end(), bytes.begin(), bytes.end()); });
        return all;
    }

    test::DocumentRepository files;
    Alarms alarms{silent_logger(), "orders"};
};

TEST_F(SpoolTest, KeepsWhatWasAppendedOverARestart) {
    const MadeLog log(begin, 3);
    const ByteView bytes = ByteView(log.bytes()).first(2'500'000);
    {
        const auto spool = open();
        EXPECT_FALSE(spool->end());
        spool->begin_run({1, begin});
        append(*spool, bytes);
        EXPECT_EQ(spool->end(), (WalPosition{1, begin + bytes.size()}));
        EXPECT_LT(spool->synced(), spool->end());
        spool->sync();
        EXPECT_EQ(spool->synced(), spool->end());
        expect_error(ErrorCode::already_exists, [&] { const WalSpool second(path()); }, "another receiver");
    }
    const auto spool = open();
    EXPECT_EQ(spool->header()->system_identifier, 7'000'000'000'000'000'001U);
    EXPECT_EQ(spool->bytes(), bytes.size());
    ASSERT_THAT(spool->runs(), ElementsAre(SpoolRun{1, begin, begin + bytes.size()}));
    append(*spool, ByteView(log.bytes()).subspan(bytes.size()));
    EXPECT_EQ(content(*spool, spool->runs()[0]), log.bytes());
    spool->remove_before({1, begin + 2 * small_segment_bytes});
    EXPECT_THAT(spool->runs(),
                ElementsAre(SpoolRun{1, begin + 2 * small_segment_bytes, begin + 3 * small_segment_bytes}));
    spool->remove_before({9, begin});
    EXPECT_THAT(spool->runs(), SizeIs(1)) << "the last segment tells where to go on";
}

TEST_F(SpoolTest, AfterAPowerCutOnlyRecordsThatAreWholeCount) {
    const MadeLog log(begin, 2);
    {
        const auto spool = open();
        spool->begin_run({1, begin});
        append(*spool, ByteView(log.bytes()).first(1'200'000));
        append(*spool, Bytes(300'000)); // what a disk may have made of the rest
    }
    const auto spool = open();
    const std::uint64_t dropped = spool->drop_what_was_not_synced();
    EXPECT_GT(dropped, 300'000U);
    EXPECT_LT(dropped, 320'000U);
    append(*spool, ByteView(log.bytes()).subspan(spool->end()->lsn - begin));
    EXPECT_EQ(content(*spool, spool->runs().at(0)), log.bytes());
    EXPECT_EQ(spool->drop_what_was_not_synced() < 10'000, true);
}

// What was synced may have been acknowledged, and then the server has forgotten it: also when it holds
// something that does not decode.
TEST_F(SpoolTest, AfterAPowerCutWhatWasSyncedIsKeptAndShipped) {
    const MadeLog log(begin, 2);
    Bytes bytes(log.bytes().begin(), log.bytes().begin() + 1'200'000);
    bytes[300'000] ^= 1;
    {
        const auto spool = open();
        spool->begin_run({1, begin});
        append(*spool, ByteView(bytes).first(700'000));
        spool->sync();
        append(*spool, ByteView(bytes).subspan(700'000));
        spool->sync();
        append(*spool, Bytes(100'000));
    }
    {
        const auto spool = open();
        EXPECT_EQ(spool->synced(), (WalPosition{1, begin + bytes.size()}));
        EXPECT_EQ(spool->drop_what_was_not_synced(), 100'000U);
        EXPECT_EQ(spool->end(), (WalPosition{1, begin + bytes.size()}));
        EXPECT_EQ(spool->synced(), spool->end());
    }
    const auto spool = open();
    const WalArchive to = archive();
    WalShipper shipper(*files.repository, to, *spool, {}, {}, alarms);
    EXPECT_TRUE(shipper.finish({}));
    EXPECT_EQ(archived(to, {1, begin, begin + bytes.size()}), bytes);
}

TEST_F(SpoolTest, AMarkThatAPowerCutToreLeavesTheOneBefore) {
    const std::string place = files.scratch.file("mark");
    const auto at = [](std::uint64_t bytes) { return WalPosition{2, begin + bytes}; };
    {
        SyncedMark mark(place);
        EXPECT_EQ(mark.position(), std::nullopt);
        for (std::uint64_t i = 1; i <= 5; ++i) mark.write(at(i));
    }
    Bytes file = read_file(place, 1u << 20);
    EXPECT_EQ(SyncedMark(place).position(), at(5));
    file[4096 + 10] ^= 1; // odd writes go there
    std::ofstream(place, std::ios::binary) << as_text(file);
    SyncedMark mark(place);
    EXPECT_EQ(mark.position(), at(4));
    mark.write(at(7));
    EXPECT_EQ(SyncedMark(place).position(), at(7));
}

// Only the process ended: its bytes are there, but perhaps not on the disk yet.
TEST_F(SpoolTest, WhatAnEarlierProcessLeftIsNotTakenForSynced) {
    const MadeLog log(begin, 1);
    {
        const auto spool = open();
        spool->begin_run({1, begin});
        append(*spool, ByteView(log.bytes()).first(100'000));
        spool->sync();
        append(*spool, ByteView(log.bytes()).subspan(100'000));
    }
    const auto spool = open();
    EXPECT_EQ(spool->synced(), (WalPosition{1, begin + 100'000}));
    spool->sync();
    EXPECT_EQ(spool->synced(), spool->end());
    EXPECT_EQ(SyncedMark(path() + "/synced").position(), spool->end());
}

TEST(FinalError, IsWhatWaitingDoesNotMend) {
    const auto said = [](const std::string& sqlstate) { return ServerError("", {sqlstate, "no", "", ""}); };
    // Before anything was received: the way to the server.
    for (const char* state : {"28P01", "28000", "42501", "3D000", "42704"})
        EXPECT_TRUE(ends_receiving(said(state), false)) << state;
    for (const char* state : {"ZZZZZ", "XX000", "57P03", "53100", "42710", "22023", "F0000"})
        EXPECT_FALSE(ends_receiving(said(state), false)) << state;
    for (const char* state : {"28P01", "ZZZZZ", "XX000", "42710", "42704"})
        EXPECT_FALSE(ends_receiving(said(state), true)) << state;
    // Ours: another cluster, what was asked for makes no sense, no slot.
    EXPECT_TRUE(ends_receiving(Error(ErrorCode::already_exists, ""), true));
    EXPECT_TRUE(ends_receiving(Error(ErrorCode::usage, ""), true));
    EXPECT_TRUE(ends_receiving(Error(ErrorCode::not_found, ""), false));
    EXPECT_FALSE(ends_receiving(Error(ErrorCode::not_found, ""), true));
}

TEST_F(SpoolTest, IsArchivedWholeThoughTheStoreFailsAgainAndAgain) {
    const MadeLog log(begin, 6), next(begin + 3 * small_segment_bytes, 2, 3, 2);
    auto faults = std::make_shared<FaultStore>(files.store);
    for (std::uint64_t i = 0; i < 12; ++i) {
        faults->plan({.kind = i % 2 == 0 ? FaultKind::fail_before : FaultKind::fail_after,
                      .verb = StoreVerb::put,
                      .name_prefix = "logs/",
                      .skip = i * 2});
    }
    Repository repository(faults, unlock(*files.store, test::DocumentRepository::passphrase()),
                          LocalDirectories{files.scratch.file("cache2"), files.scratch.path().string()},
                          system_clock(), files.random, silent_logger());
    const WalArchive to(repository.context(), archive().id());
    const auto spool = open();
    spool->begin_run({1, begin});
    append(*spool, ByteView(log.bytes()).first(100'000));
    ShipperSettings settings;
    settings.flush_interval = 5ms;
    settings.first_retry = settings.last_retry = 1ms;
    const std::size_t first_run = 3'500'000;
    {
        WalShipper shipper(repository, to, *spool, {}, settings, alarms);
        for (std::size_t done = 100'000; done < first_run; done += 10'000) {
            spool->append(ByteView(log.bytes()).subspan(done, 10'000));
            if (done % 200'000 == 0) std::this_thread::sleep_for(1ms);
        }
        // The log goes on on another timeline, from the segment of the point where the old one was left.
        spool->put_history(2, TimelineHistory(1).branch(2, begin + first_run, "").text());
        spool->begin_run({2, next.begin()});
        append(*spool, next.bytes());
        EXPECT_TRUE(shipper.finish({}));
        EXPECT_EQ(shipper.so_far().archived, (WalPosition{2, next.begin() + next.bytes().size()}));
        EXPECT_GT(shipper.so_far().last_commit_end, next.begin());
    }
    EXPECT_TRUE(std::ranges::equal(archived(to, {1, begin, begin + first_run}),
                                   ByteView(log.bytes()).first(first_run)));
    EXPECT_EQ(archived(to, {2, next.begin(), next.begin() + next.bytes().size()}), next.bytes());
    EXPECT_TRUE(to.history_text(2));
    EXPECT_THAT(alarms.texts(), IsEmpty());
    EXPECT_GT(faults->operation_count(), 20U);
    // Little stays: what leads in, and the end.
    EXPECT_LE(spool->bytes(), 4 * small_segment_bytes);
}

TEST_F(SpoolTest, AShipperThatIsStoppedLeavesTheRestToTheNext) {
    const MadeLog log(begin, 5);
    const auto spool = open();
    spool->begin_run({1, begin});
    append(*spool, ByteView(log.bytes()).first(2'300'000));
    const WalArchive to = archive();
    WalPosition reached;
    {
        WalShipper shipper(*files.repository, to, *spool, {}, {.flush_interval = 1ms}, alarms);
        while (shipper.so_far().archived < WalPosition{1, begin + 2'300'000})
            std::this_thread::sleep_for(1ms);
        reached = shipper.so_far().archived;
    }
    append(*spool, ByteView(log.bytes()).subspan(2'300'000));
    const std::size_t before = to.slices().size();
    {
        WalShipper shipper(*files.repository, to, *spool, reached, {.flush_interval = 1h}, alarms);
        EXPECT_TRUE(shipper.finish({}));
    }
    EXPECT_EQ(archived(to, {1, begin, begin + log.bytes().size()}), log.bytes());
    EXPECT_EQ(to.slices().size(), before + 3) << "what was archived is not stored again";
}

TEST_F(SpoolTest, ABrokenRepositoryDoesNotKeepFinishFromEnding) {
    const MadeLog log(begin, 1);
    auto faults = std::make_shared<FaultStore>(files.store);
    faults->plan({.kind = FaultKind::fail_before, .verb = StoreVerb::put, .times = 1'000'000});
    Repository repository(faults, unlock(*files.store, test::DocumentRepository::passphrase()),
                          LocalDirectories{files.scratch.file("cache2"), files.scratch.path().string()},
                          system_clock(), files.random, silent_logger());
    const WalArchive to(repository.context(), archive().id());
    const auto spool = open();
    spool->begin_run({1, begin});
    append(*spool, log.bytes());
    WalShipper shipper(repository, to, *spool, {}, {.first_retry = 1ms, .last_retry = 1ms}, alarms);
    while (shipper.last_error().empty()) std::this_thread::sleep_for(1ms);
    std::stop_source over;
    over.request_stop();
    EXPECT_FALSE(shipper.finish(over.get_token()));
    EXPECT_EQ(shipper.so_far().archived, (WalPosition{1, begin}));
}

TEST_F(SpoolTest, TheStateComesBackAsItWasWritten) {
    const std::string file = files.scratch.file("state.json");
    EXPECT_FALSE(read_receive_state(file));
    ReceiveState state;
    state.source = "orders";
    state.archive = "00ff";
    state.time = from_rfc3339("2026-11-21T10:00:00Z");
    state.phase = "streaming";
    state.boot = boot_id();
    state.server = Lsn{900};
    state.received = at(800, 2);
    state.archived = at(700, 2);
    state.last_commit = Lsn{650};
    state.last_commit_us = 1'700'000'000'123'456;
    state.exposure_seconds = 1.5;
    state.gaps = {{1, Lsn{100}, Lsn{200}}};
    state.alarms = {"something"};
    write_receive_state(file, state);
    const auto back = read_receive_state(file);
    ASSERT_TRUE(back);
    EXPECT_EQ(to_json_text(*back), to_json_text(state));
    EXPECT_EQ(back->last_commit_us, state.last_commit_us);
    EXPECT_EQ(back->spooled, WalPosition{});
    for (const char* text : {"", "{", "[]", "{\"source\": 1}"}) {
        std::ofstream(file) << text;
        EXPECT_FALSE(read_receive_state(file)) << text;
    }
}

} // namespace
} // namespace holdfast::postgres
