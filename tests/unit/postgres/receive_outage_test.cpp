// What a receiver says and does while the repository is away, without a server.
#include "postgres/receive/archive_side.h"
#include "postgres/receive/resume_place.h"
#include "postgres/receive/slot_retention.h"
#include "support/document_repository.h"
#include "support/error_matchers.h"
#include "support/wal_segments.h"

#include <atomic>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace holdfast::postgres {
namespace {

using namespace std::chrono_literals;
using test::MadeLog;
using test::small_segment_bytes;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20;
constexpr std::uint64_t system_identifier = 7'000'000'000'000'000'001U;

TEST(SlotRetention, SaysWhatComesOfIt) {
    SlotRetention retention;
    retention.bytes = 300 * mebibyte;
    EXPECT_THAT(describe(retention, "s"), HasSubstr("keeps 300 MiB of its log for slot s"));
    EXPECT_THAT(describe(retention, "s"), HasSubstr("until its disk is full"));
    retention.free_disk_bytes = 7 * mebibyte;
    EXPECT_THAT(describe(retention, "s"), HasSubstr("7 MiB are free there"));
    retention.limit_bytes = 1000 * mebibyte;
    retention.safe_bytes = 700 * mebibyte;
    EXPECT_THAT(describe(retention, "s"),
                HasSubstr("lets it keep 1000 MiB, so that log is lost after 700 MiB more"));
    EXPECT_THAT(describe(retention, "s"), Not(HasSubstr("until its disk is full")));
    retention.safe_bytes = -5;
    EXPECT_THAT(describe(retention, "s"), HasSubstr("lost after 0 MiB more"));
    retention.wal_status = "lost";
    EXPECT_THAT(describe(retention, "s"), HasSubstr("it has removed log that the slot needs"));
}

TEST(ResumePlace, TheNewestOfTimelinesThatTheServerComesFrom) {
    std::vector<LogSliceId> slices(4);
    slices[0].range = {1, 0, 100};
    slices[1].range = {2, 0, 0};
    slices[2].range = {2, 60, 80};
    slices[3].range = {3, 60, 500};
    const TimelineHistory two = TimelineHistory(1).branch(2, Lsn{60}, "promoted");
    EXPECT_EQ(newest_slice(slices, two), slices[2]) << "3 is another branch";
    EXPECT_EQ(newest_slice(slices, TimelineHistory(1)), slices[0]);
    EXPECT_EQ(newest_slice(slices, TimelineHistory(4)), std::nullopt);
}

class ArchiveSideTest : public testing::Test {
  protected:
    ArchiveSideTest() {
        settings.source = "orders";
        settings.spool_directory = files.scratch.file("spool");
        settings.shipping.first_retry = 5ms;
        settings.shipping.last_retry = 20ms;
        settings.shipping.flush_interval = 10ms;
        create_directories_private(settings.spool_directory);
        spool.emplace(receive_directory(settings.spool_directory));
    }
    OpenArchive open() {
        return [this]() -> std::shared_ptr<Repository> {
            ++attempts;
            if (away) throw Error(code, "nobody answers", "", code == ErrorCode::unavailable);
            return {files.repository.get(), [](Repository*) {}};
        };
    }
    void receive_something() {
        if (!spool->end()) {
            spool->set_segment_bytes(small_segment_bytes);
            spool->begin_run({1, log.begin()});
        }
        spool->append(ByteView(log.bytes()).first(500'000));
        spool->sync();
    }
    bool finish(ArchiveSide& side) {
        std::stop_source over;
        const std::jthread timer([&](const std::stop_token& done) {
            if (system_clock().sleep_for(30s, done)) over.request_stop();
        });
        return side.finish(over.get_token());
    }

    test::DocumentRepository files;
    ReceiveSettings settings;
    const MadeLog log{Lsn{5 * mebibyte}, 1};
    Alarms alarms{silent_logger(), "orders"};
    std::optional<WalSpool> spool;
    std::atomic<bool> away = true;
    std::atomic<ErrorCode> code = ErrorCode::unavailable;
    std::atomic<int> attempts = 0;
};

TEST_F(ArchiveSideTest, WhatCameMeanwhileIsStoredWhenTheRepositoryIsThere) {
    ArchiveSide side(open(), settings, *spool, {}, alarms);
    side.meet(system_identifier);
    receive_something();
    EXPECT_FALSE(side.wait_until_known(30s, {})) << "it has failed to open, which ends the wait";
    while (attempts < 3 || alarms.texts().empty()) std::this_thread::sleep_for(1ms);
    EXPECT_FALSE(side.vouches_for_spool());
    EXPECT_EQ(side.last_error(), "nobody answers");
    ASSERT_THAT(alarms.texts(), SizeIs(1));
    EXPECT_THAT(alarms.texts()[0], HasSubstr("nothing is acknowledged before"));
    EXPECT_FALSE(finish(side)) << "waiting is of no use";
    away = false;
    while (!side.known()) std::this_thread::sleep_for(1ms);
    EXPECT_TRUE(side.vouches_for_spool());
    EXPECT_TRUE(finish(side));
    EXPECT_EQ(side.so_far().archived, spool->end());
    EXPECT_THAT(alarms.texts(), SizeIs(0));
    EXPECT_EQ(side.archive()->read({1, log.begin(), spool->end()->lsn}, [](ByteView) {}), spool->end()->lsn);
}

TEST_F(ArchiveSideTest, WhoBeginsIsToldAtOnceWhatWillNotGoAway) {
    code = ErrorCode::wrong_key;
    ArchiveSide side(open(), settings, *spool, {}, alarms);
    side.meet(system_identifier);
    test::expect_error(ErrorCode::wrong_key, [&] { side.wait_until_known(30s, {}); }, "nobody answers");
    test::expect_error(ErrorCode::wrong_key, [&] { side.rethrow_if_hopeless(); });
    EXPECT_EQ(attempts, 1);
}

TEST_F(ArchiveSideTest, WhoWasAtWorkBeforeWaits) {
    receive_something();
    code = ErrorCode::not_found; // a disk that is not mounted
    ReceiveState earlier;
    earlier.archive = wal_archive_id(files.repository->keys(), "orders", system_identifier).hex();
    earlier.archived = {1, log.begin()};
    earlier.last_commit_us = 5;
    ArchiveSide side(open(), settings, *spool, earlier, alarms);
    while (attempts < 3) std::this_thread::sleep_for(1ms);
    EXPECT_TRUE(side.vouches_for_spool());
    EXPECT_EQ(side.archive_name(), earlier.archive);
    EXPECT_EQ(side.so_far().archived, earlier.archived);
    EXPECT_EQ(side.so_far().last_commit_us, 5);
    EXPECT_FALSE(side.archive());
    away = false;
    while (!side.known()) std::this_thread::sleep_for(1ms);
    EXPECT_TRUE(finish(side)) << "the server was not even met";
}

} // namespace
} // namespace holdfast::postgres
