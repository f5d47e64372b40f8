// An interrupted backup goes on where it was: what its checkpoint has is not read again, and what was stored
// is not stored again.
#include "repository/node/file_map_node.h"
#include "support/bad_day.h"

#include <filesystem>
#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace holdfast::test {
namespace {

constexpr std::uint64_t mebibyte = 1u << 20;

class InterruptedBackup : public testing::Test {
  protected:
    InterruptedBackup() {
        what = day.request();
        what.run.checkpoint_interval = Duration::zero();
    }

    // Kills the backup behind its checkpoint number `checkpoints`.
    void interrupt_after(std::uint64_t checkpoints) {
        auto faults = std::make_shared<FaultStore>(day.store);
        faults->plan({.kind = FaultKind::die_after,
                      .verb = StoreVerb::put,
                      .name_prefix = "checkpoints/",
                      .skip = checkpoints - 1});
        ASSERT_TRUE(was_killed([&] { day.back_up(faults, what); }));
    }

    // Pages that are all different and take hardly any space once they are compressed.
    void write_thin(const std::string& path, std::uint64_t size, unsigned seed) const {
        std::string content(size, '.');
        for (std::uint64_t at = 0; at < size; at += 4096) {
            const std::string stamp = fmt::format("{:>12}", at + seed);
            content.replace(at, stamp.size(), stamp);
        }
        day.write_file(path, content);
        BadDay::let_times_settle();
    }

    void expect_whole(const Snapshot& snapshot) {
        EXPECT_EQ(day.restore_differs(snapshot, day.tree()), "");
        EXPECT_EQ(day.damages(), "");
    }

    BadDay day;
    DocumentsBackup what;
};

TEST_F(InterruptedBackup, DoesNotReadFinishedFilesAgain) {
    for (unsigned i = 10; i < 30; ++i) day.write_random(fmt::format("{}.bin", i), mebibyte, i);
    BadDay::let_times_settle();
    interrupt_after(15);
    const std::uint64_t before = day.stored_bytes("packs/");
    EXPECT_GE(before, 15 * mebibyte);

    const DocumentsBackupResult next = day.back_up(day.store, what);
    EXPECT_TRUE(next.report.resumed);
    EXPECT_EQ(next.tree.totals.unchanged_files, 15u);
    EXPECT_EQ(next.tree.totals.read_bytes, 5 * mebibyte);
    EXPECT_LT(day.stored_bytes("packs/"), 20 * mebibyte + mebibyte / 2);
    expect_whole(next.report.snapshot);
}

// The next checkpoint would have come in an hour. What is sent again is no more than what was under way and
// the few packs that wait to be named; each has up to 2 MiB.
TEST_F(InterruptedBackup, SendsNothingAgainThatLiesInStoredPacks) {
    constexpr std::uint64_t files = 80, unnamed = 14 * mebibyte;
    for (unsigned i = 0; i < files; ++i) day.write_random(fmt::format("{}.bin", i), mebibyte, 100 + i);
    BadDay::let_times_settle();
    what.run.checkpoint_interval = std::chrono::hours(1);
    what.run.segment_interval = Duration::zero();
    auto faults = std::make_shared<FaultStore>(day.store);
    faults->plan({.kind = FaultKind::die_after, .verb = StoreVerb::put, .name_prefix = "packs/", .skip = 29});
    ASSERT_TRUE(was_killed([&] { day.back_up(faults, what); }));
    const std::uint64_t before = day.stored_bytes("packs/");
    EXPECT_GT(before, 40 * mebibyte);
    EXPECT_TRUE(day.names("checkpoints/").empty());
    const std::vector<std::string> left = day.names("index/");
    EXPECT_FALSE(left.empty());
    EXPECT_LE(left.size(), 2u) << "one takes the place of another";

    const DocumentsBackupResult next = day.back_up(day.store, what);
    EXPECT_EQ(next.tree.totals.read_bytes, files * mebibyte) << "nothing says yet which files these were";
    EXPECT_LT(next.report.stored_bytes, files * mebibyte - before + unnamed);
    EXPECT_LT(day.stored_bytes("packs/"), files * mebibyte + unnamed);
    EXPECT_EQ(day.names("index/").size(), left.size() + 1) << "the lasting one";
    expect_whole(next.report.snapshot);
    day.prune(day.store);
    expect_whole(next.report.snapshot);
}

TEST_F(InterruptedBackup, LeavesGarbageWhenItDiesBeforeAnythingIsNamed) {
    for (unsigned i = 10; i < 30; ++i) day.write_random(fmt::format("{}.bin", i), mebibyte, i);
    BadDay::let_times_settle();
    what.run.checkpoint_interval = what.run.segment_interval = std::chrono::hours(1);
    auto faults = std::make_shared<FaultStore>(day.store);
    faults->plan({.kind = FaultKind::die_after, .verb = StoreVerb::put, .name_prefix = "packs/", .skip = 5});
    ASSERT_TRUE(was_killed([&] { day.back_up(faults, what); }));
    EXPECT_GT(day.stored_bytes("packs/"), 5 * mebibyte);
    EXPECT_TRUE(day.names("checkpoints/").empty());
    EXPECT_TRUE(day.names("index/").empty());
    const Snapshot made = day.back_up(day.store, what).report.snapshot;
    expect_whole(made);
    day.prune(day.store);
    EXPECT_LT(day.stored_bytes("packs/"), 20 * mebibyte + mebibyte / 2);
    expect_whole(made);
}

TEST_F(InterruptedBackup, GoesOnInsideALargeFile) {
    constexpr std::uint64_t size = 3 * segment_bytes;
    write_thin("large", size, 0);
    // One checkpoint for each segment that is complete.
    interrupt_after(2);
    const std::uint64_t before = day.stored_bytes("packs/");

    const DocumentsBackupResult next = day.back_up(day.store, what);
    EXPECT_TRUE(next.report.resumed);
    EXPECT_EQ(next.tree.totals.read_bytes, size - 2 * segment_bytes);
    // Two thirds were not stored again.
    EXPECT_GT(before, mebibyte / 8);
    EXPECT_LT(next.tree.totals.stored_bytes, before);
    expect_whole(next.report.snapshot);
}

TEST_F(InterruptedBackup, ReadsALargeFileAgainThatChangedMeanwhile) {
    constexpr std::uint64_t size = 2 * segment_bytes + mebibyte;
    write_thin("large", size, 0);
    interrupt_after(2);
    write_thin("large", size, 1);
    const DocumentsBackupResult next = day.back_up(day.store, what);
    EXPECT_EQ(next.tree.totals.read_bytes, size);
    expect_whole(next.report.snapshot);
}

TEST_F(InterruptedBackup, TakesNothingFromACheckpointThatACollectionHasTakenPartsOf) {
    day.write_random("kept", 300'000, 1);
    BadDay::let_times_settle();
    const Snapshot first = day.back_up();
    write_thin("large", 17 * mebibyte, 2);
    day.make_tree();
    interrupt_after(18);
    const BadDay::Objects interrupted = day.save();
    // The checkpoint is too old for this collection, which is killed between its deletes.
    CollectorSettings settings = BadDay::collection();
    settings.keep_checkpoints = Duration::zero();
    for (std::uint64_t removed = 0;; ++removed) {
        SCOPED_TRACE(removed);
        day.load(interrupted);
        auto faults = std::make_shared<FaultStore>(day.store);
        faults->plan({.kind = FaultKind::die_before, .verb = StoreVerb::remove, .skip = removed});
        const bool killed = was_killed([&] { day.prune(faults, settings); });
        const DocumentsBackupResult next = day.back_up(day.store, what);
        expect_whole(next.report.snapshot);
        if (!killed) {
            EXPECT_GT(removed, 5u);
            break;
        }
        if (HasFailure()) break;
    }
}

} // namespace
} // namespace holdfast::test
