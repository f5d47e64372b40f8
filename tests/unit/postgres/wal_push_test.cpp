// Files of the log into the archive and out of it again.
#include "base/error.h"
#include "postgres/archive/wal_fetch.h"
#include "postgres/archive/wal_prefetch.h"
#include "postgres/archive/wal_push.h"
#include "support/document_repository.h"
#include "support/error_matchers.h"
#include "support/temporary_directory.h"
#include "support/wal_segments.h"

#include <filesystem>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

namespace holdfast::postgres {
namespace {

namespace fs = std::filesystem;
using test::MadeLog;
using test::small_segment_bytes;
using testing::IsEmpty;
using testing::SizeIs;

constexpr Lsn begin{std::uint64_t{5} << 20};
constexpr std::uint64_t system_identifier = 7'000'000'000'000'000'001U;

class WalPushTest : public testing::Test {
  protected:
    WalPushTest() {
        settings.source = "orders";
        settings.spool_directory = files.scratch.file("spool");
        std::filesystem::create_directories(wal() / "archive_status");
    }
    std::filesystem::path wal() const { return files.scratch.path() / "pg_wal"; }
    std::string put_file(const std::string& name, ByteView content, bool ready = true) const {
        std::ofstream(wal() / name, std::ios::binary) << as_text(content);
        if (ready) std::ofstream(wal() / "archive_status" / (name + ".ready"));
        return (wal() / name).string();
    }
    PushReport push(const std::string& path) { return push_wal(*files.repository, path, settings, {}); }
    WalArchive archive() const {
        return {files.repository->context(),
                wal_archive_id(files.repository->keys(), "orders", system_identifier)};
    }
    // The file as it comes out again; empty when it does not.
    std::optional<Bytes> fetched(const std::string& name) {
        const std::string place = files.scratch.file("fetched");
        std::filesystem::remove(place);
        if (!fetch_wal_file(archive(), name, place, small_segment_bytes, {}, {}, gap_patience)) {
            EXPECT_FALSE(std::filesystem::exists(place));
            return std::nullopt;
        }
        return read_file(place, 1u << 26);
    }
    static bool equal(const std::optional<Bytes>& a, ByteView b) { return a && std::ranges::equal(*a, b); }

    test::DocumentRepository files;
    PushSettings settings;
    Duration gap_patience{};
};

TEST_F(WalPushTest, WhatWaitsBehindGoesInOneBatchAndIsNotPushedAgain) {
    const MadeLog log(begin, 5);
    std::vector<std::string> paths;
    for (std::size_t i = 0; i < 5; ++i) paths.push_back(put_file(log.name(i), log.segment(i)));
    const PushReport report = push(paths[0]);
    ASSERT_THAT(report.files, SizeIs(5));
    EXPECT_THAT(report.alarms, IsEmpty());
    for (const PushedFile& file : report.files) EXPECT_EQ(file.outcome, PushOutcome::stored) << file.name;
    EXPECT_FALSE(was_pushed(settings.spool_directory, paths[0]));
    EXPECT_TRUE(was_pushed(settings.spool_directory, paths[1]));
    EXPECT_FALSE(was_pushed(settings.spool_directory, paths[1])) << "asked for once";
    put_file(log.name(2), log.segment(2)); // another file under the same name
    EXPECT_FALSE(was_pushed(settings.spool_directory, paths[2]));
    for (std::size_t i = 0; i < 5; ++i) EXPECT_TRUE(equal(fetched(log.name(i)), log.segment(i))) << i;
    EXPECT_EQ(fetched(log.name(5)), std::nullopt);
    EXPECT_EQ(segment_bytes_of(archive()), small_segment_bytes);
}

TEST_F(WalPushTest, ASecondTimeNothingIsStored) {
    const MadeLog log(begin, 1);
    const std::string path = put_file(log.name(0), log.segment(0));
    push(path);
    const std::size_t objects = files.names("logs/").size();
    const PushReport again = push(path);
    EXPECT_EQ(again.files.at(0).outcome, PushOutcome::already_there);
    EXPECT_EQ(files.names("logs/").size(), objects);
    EXPECT_THAT(again.alarms, IsEmpty());
}

TEST_F(WalPushTest, AnotherContentIsKeptBesideAndRaisesAnAlarm) {
    const MadeLog log(begin, 1), other(begin, 1, 2);
    push(put_file(log.name(0), log.segment(0)));
    const PushReport report = push(put_file(other.name(0), other.segment(0)));
    EXPECT_EQ(report.files.at(0).outcome, PushOutcome::beside);
    EXPECT_THAT(report.alarms, SizeIs(1));
    EXPECT_THAT(files.names("logs/"), SizeIs(2));
}

TEST_F(WalPushTest, FilesThatAreNotWhatTheyAreCalledAreRefused) {
    const MadeLog log(begin, 2);
    const auto code = [&](const std::string& path) {
        try {
            push(path);
        } catch (const Error& error) {
            return error.code();
        }
        return ErrorCode::internal;
    };
    EXPECT_EQ(code(put_file(log.name(1), log.segment(0), false)), ErrorCode::corrupt);
    EXPECT_EQ(code(put_file(log.name(0), log.segment(0).first(500'000), false)), ErrorCode::corrupt);
    EXPECT_EQ(code(put_file(log.name(0), Bytes(small_segment_bytes), false)), ErrorCode::corrupt);
    EXPECT_EQ(code(put_file("notes.txt", log.segment(0), false)), ErrorCode::usage);
    EXPECT_EQ(code((wal() / log.name(1)).string() + ".history"), ErrorCode::usage);
    EXPECT_EQ(code((wal() / "000000020000000000000009").string()), ErrorCode::not_found);
    EXPECT_THAT(files.names("logs/"), IsEmpty());
    EXPECT_EQ(push(put_file(log.name(0) + ".00000028.backup", {}, false)).files.at(0).outcome,
              PushOutcome::not_needed);
}

TEST_F(WalPushTest, ARecordThatIsNotUnderstoodDoesNotStopArchiving) {
    test::WalWriter writer(15, small_segment_bytes, begin);
    test::WalRecordSpec odd;
    odd.manager = ResourceManager::transaction;
    odd.info = 0x80;
    odd.main_data = Bytes(3);
    writer.add(odd);
    Bytes bytes = writer.bytes();
    bytes.resize(small_segment_bytes);
    const std::string name = segment_name(1, begin, small_segment_bytes);
    const PushReport report = push(put_file(name, bytes));
    EXPECT_EQ(report.files.at(0).outcome, PushOutcome::stored);
    EXPECT_TRUE(equal(fetched(name), bytes));
    ASSERT_THAT(report.alarms, SizeIs(testing::Ge(1U)));
    EXPECT_THAT(report.alarms, testing::Contains(testing::HasSubstr("not understood")));
}

TEST_F(WalPushTest, HistoriesComeBackAndAnotherOfTheSameTimelineRaisesAnAlarm) {
    const MadeLog log(begin, 1);
    put_file(log.name(0), log.segment(0));
    const std::string text = "1\t0/580000\tno recovery target specified\n";
    EXPECT_EQ(push(put_file("00000002.history", as_bytes(text), false)).files.at(0).outcome,
              PushOutcome::stored);
    EXPECT_EQ(push(put_file("00000002.history", as_bytes(text), false)).files.at(0).outcome,
              PushOutcome::already_there);
    EXPECT_TRUE(equal(fetched("00000002.history"), as_bytes(text)));
    EXPECT_EQ(fetched("00000003.history"), std::nullopt);
    const PushReport other = push(put_file("00000002.history", as_bytes("1\t0/590000\tanother\n"), false));
    EXPECT_EQ(other.files.at(0).outcome, PushOutcome::beside);
    EXPECT_THAT(other.alarms, SizeIs(1));
    const auto histories = archive().histories(archive().slices());
    EXPECT_EQ(histories.at(2).timeline_at(Lsn{0x500000}), 1U);
}

TEST_F(WalPushTest, OfAPartialSegmentOnlyItsLogIsKept) {
    const MadeLog log(begin, 1);
    Bytes content(log.segment(0).begin(), log.segment(0).end());
    std::fill(content.begin() + 400'000, content.end(), Byte{0xee}); // what a recycled file had
    push(put_file(log.name(0) + ".partial", content, false));
    const std::vector<LogSliceId> slices = archive().slices();
    ASSERT_THAT(slices, SizeIs(1));
    EXPECT_GT(slices[0].range.end, begin.value + 380'000);
    EXPECT_LE(slices[0].range.end, begin.value + 400'000);
    // As a segment it is filled up: recovery ends there, or goes on where the next timeline begins.
    const auto segment = fetched(log.name(0));
    ASSERT_TRUE(segment);
    ASSERT_EQ(segment->size(), small_segment_bytes);
    const std::size_t valid = slices[0].range.end - begin.value;
    EXPECT_TRUE(std::ranges::equal(ByteView(*segment).first(valid), log.segment(0).first(valid)));
    EXPECT_TRUE(std::ranges::all_of(ByteView(*segment).subspan(valid), [](Byte byte) { return byte == 0; }));
}

TEST_F(WalPushTest, AGapWithLogBehindItIsNoEnd) {
    const MadeLog log(begin, 3);
    push(put_file(log.name(0), log.segment(0), false));
    push(put_file(log.name(2), log.segment(2), false));
    EXPECT_THROW(fetched(log.name(1)), Error);
    EXPECT_TRUE(equal(fetched(log.name(2)), log.segment(2)));
}

TEST_F(WalPushTest, WhatComesOutOfOrderIsWaitedFor) {
    const MadeLog log(begin, 3);
    push(put_file(log.name(0), log.segment(0), false));
    push(put_file(log.name(2), log.segment(2), false));
    gap_patience = std::chrono::minutes(5);
    const std::string late = put_file(log.name(1), log.segment(1), false);
    const std::jthread archiver([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(150));
        push(late);
    });
    EXPECT_TRUE(equal(fetched(log.name(1)), log.segment(1)));
}

TEST_F(WalPushTest, AnotherClusterUnderTheNameOfASourceIsRefused) {
    files.write_file("a", "b");
    const RepositoryContext& context = files.repository->context();
    RunContext run = files.repository->keys().begin_run(files.random);
    const auto session = WriterSession::begin(context, run, "test", Duration::zero());
    Snapshot snapshot = files.back_up("orders");
    snapshot.id = run.id();
    snapshot.kind = "postgresql";
    snapshot.sequence = 2;
    snapshot.log = SnapshotLog{wal_archive_id(files.repository->keys(), "orders", 4711), {1, 1, 2}};
    session->commit(snapshot);

    const MadeLog log(begin, 1);
    const std::string path = put_file(log.name(0), log.segment(0));
    EXPECT_THROW(push(path), Error);
    EXPECT_THAT(files.names("logs/"), IsEmpty());
    settings.new_cluster = true;
    EXPECT_EQ(push(path).files.at(0).outcome, PushOutcome::stored);
}

class WalPrefetchTest : public WalPushTest {
  protected:
    void SetUp() override {
        for (std::size_t i = 0; i < 12; ++i) put_file(log.name(i), log.segment(i));
        push((wal() / log.name(0)).string());
    }
    // As the process that fetches ahead of `number` does.
    std::jthread prefetch_behind(std::size_t number, PrefetchSettings how = {}) {
        how.segments = 3;
        return std::jthread([=, this](std::stop_token stop) {
            const auto turn = PrefetchTurn::take(directory);
            try {
                prefetch_wal(*turn, archive(), log.name(number), small_segment_bytes, how, stop);
            } catch (const Error& error) {
                EXPECT_EQ(error.code(), ErrorCode::cancelled);
            }
        });
    }
    bool take(const std::string& name) const { return take_prefetched(directory, name, place, {}); }
    std::vector<std::string> waiting() const {
        std::vector<std::string> names;
        std::error_code ignored;
        for (const auto& entry : fs::directory_iterator(directory, ignored)) {
            const std::string name = entry.path().filename().string();
            if (name.size() == 24) names.push_back(name);
        }
        std::ranges::sort(names);
        return names;
    }
    void wait_for(std::size_t first, std::size_t last) const {
        std::vector<std::string> names;
        for (std::size_t i = first; i <= last; ++i) names.push_back(log.name(i));
        while (waiting() != names) std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    void expect_taken(std::size_t number) {
        ASSERT_TRUE(take(log.name(number))) << number;
        EXPECT_TRUE(equal(read_file(place, 1u << 26), log.segment(number))) << number;
    }

    const MadeLog log{begin, 12};
    const std::string directory = files.scratch.file("fetched/ahead");
    const std::string place = files.scratch.file("place");
};

TEST_F(WalPrefetchTest, KeepsAheadOfWhoTakesToTheEndOfTheArchive) {
    std::jthread ahead = prefetch_behind(1);
    wait_for(2, 4);
    EXPECT_FALSE(take(log.name(1)));
    for (std::size_t i = 2; i < 12; ++i) {
        wait_for(i, std::min<std::size_t>(i + 2, 11));
        expect_taken(i);
    }
    ahead.join(); // all were taken
    EXPECT_TRUE(waiting().empty());
}

// A data directory elsewhere than the spool: what was fetched cannot be moved there.
TEST_F(WalPrefetchTest, GoesToAnotherFileSystem) {
    const test::TemporaryDirectory elsewhere("/dev/shm");
    const auto device_of = [](const std::string& path) {
        struct stat status{};
        EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
        return status.st_dev;
    };
    ASSERT_NE(device_of(elsewhere.path()), device_of(files.scratch.path())) << "the test needs two";
    std::jthread ahead = prefetch_behind(1);
    for (std::size_t i = 2; i < 12; ++i) {
        wait_for(i, std::min<std::size_t>(i + 2, 11));
        const std::string there = elsewhere / "pg_wal_file";
        ASSERT_TRUE(take_prefetched(directory, log.name(i), there, {}));
        EXPECT_TRUE(equal(read_file(there, 1u << 26), log.segment(i))) << i;
        EXPECT_EQ(std::distance(fs::directory_iterator(elsewhere.path()), {}), 1) << "nothing else is left";
    }
    ahead.join();
    EXPECT_TRUE(waiting().empty());
}

TEST_F(WalPrefetchTest, WhatNobodyAsksForAnyMoreIsRemoved) {
    std::jthread ahead = prefetch_behind(1);
    wait_for(2, 4);
    expect_taken(3); // the one before it came from the archive itself
    wait_for(4, 6);
    ahead.request_stop();
    ahead.join();
    EXPECT_TRUE(waiting().empty());

    const std::string signal = files.scratch.file("recovery.signal");
    write_file_durably(signal, {});
    std::jthread recovering = prefetch_behind(1, {.while_exists = signal});
    wait_for(2, 4);
    fs::remove(signal); // the server has opened
    recovering.join();
    EXPECT_TRUE(waiting().empty());

    std::jthread impatient = prefetch_behind(1, {.patience = std::chrono::milliseconds(300)});
    wait_for(2, 4);
    impatient.join();
    EXPECT_TRUE(waiting().empty());
    EXPECT_FALSE(is_prefetching(directory));
}

TEST_F(WalPrefetchTest, ARecoveryThatGoesElsewhereEndsIt) {
    for (const std::string& elsewhere : {"00000002" + log.name(2).substr(8), log.name(0)}) {
        std::jthread ahead = prefetch_behind(1);
        wait_for(2, 4);
        EXPECT_FALSE(take(elsewhere));
        ahead.join();
        EXPECT_TRUE(waiting().empty());
    }
}

TEST_F(WalPrefetchTest, WhoIsFasterIsLetPass) {
    std::jthread ahead = prefetch_behind(1);
    wait_for(2, 4);
    // It was not there in time, and came from the archive itself.
    EXPECT_FALSE(take(log.name(6)));
    wait_for(7, 9);
    expect_taken(7);
    ahead.request_stop();
}

TEST_F(WalPrefetchTest, OneAtATime) {
    EXPECT_FALSE(is_prefetching(directory));
    const auto turn = PrefetchTurn::take(directory);
    ASSERT_TRUE(turn);
    EXPECT_FALSE(PrefetchTurn::take(directory));
    EXPECT_TRUE(is_prefetching(directory));
}

TEST_F(WalPrefetchTest, WhatAKilledOneLeftIsNeverTaken) {
    const std::string beside = files.scratch.file("fetched/beside");
    fs::create_directories(directory);
    fs::create_directories(beside);
    const std::string unfinished = directory + "/" + log.name(5) + ".fetching";
    const std::string whole = directory + "/" + log.name(4);
    for (const std::string& path : {unfinished, whole, beside + "/" + log.name(4), beside + "/lock"})
        write_file_durably(path, as_bytes("of another cluster"));
    EXPECT_FALSE(take(log.name(4)));
    EXPECT_FALSE(take(log.name(5)));
    EXPECT_FALSE(take("lock"));
    std::jthread ahead = prefetch_behind(1);
    wait_for(2, 4);
    expect_taken(4);
    EXPECT_FALSE(fs::exists(unfinished));
    EXPECT_FALSE(fs::exists(beside));
}

TEST_F(WalPrefetchTest, IsWaitedForUntilToldToStop) {
    const auto turn = PrefetchTurn::take(directory);
    write_file_durably(directory + "/" + log.name(2) + ".fetching", {}); // it takes its time
    std::stop_source stop;
    std::jthread asker([&] {
        test::expect_error(ErrorCode::cancelled,
                           [&] { take_prefetched(directory, log.name(2), place, stop.get_token()); });
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    stop.request_stop();
    asker.join();
    EXPECT_FALSE(fs::exists(place));
}

} // namespace
} // namespace holdfast::postgres
