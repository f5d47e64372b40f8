// A machine with a write-only key, behind a collection that has moved its metadata to where it cannot look.

#include "repository/node/directory_cursor.h"
#include "service/backup_documents.h"
#include "store/fault_store.h"
#include "support/document_repository.h"

#include <filesystem>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace holdfast {
namespace {

constexpr std::size_t large_bytes = 17'000'000;

class WriteOnlyBackupTest : public testing::Test {
  protected:
    WriteOnlyBackupTest() : agent_(files.add_slot(Role::write)) {
        cache_.cache = std::make_shared<MapRunSecretCache>();
    }
    DocumentsBackupResult back_up(std::optional<LockSettings> lock = {}) {
        files.repository = files.open(agent_, cache_);
        DocumentsBackup backup;
        backup.run.source = "documents";
        backup.run.beat_interval = Duration::zero();
        backup.run.lock = lock;
        backup.paths = {files.source().string()};
        Progress progress;
        return back_up_documents(*files.repository, backup, progress, {});
    }
    TreeEntry entry(const DocumentsBackupResult& result, const std::string& path) {
        const std::optional<TreeEntry> found =
            find_path(files.repository->nodes(), result.report.snapshot.root, files.path_in_snapshot(path));
        EXPECT_TRUE(found) << path;
        return found.value_or(TreeEntry{});
    }
    void forget_and_collect(const Snapshot& snapshot) {
        files.reopen();
        forget_snapshot(files.repository->context(), snapshot.id, false);
        CollectorSettings settings;
        settings.beat_interval = Duration::zero();
        settings.tolerated_dead_part = 0;
        Progress progress;
        EXPECT_GT(collect_garbage(files.repository->context(), settings, progress).rewritten_packs, 0U);
    }

    test::DocumentRepository files;
    const Credential agent_;
    UnlockOptions cache_;
    const LockSettings month_{.keep = std::chrono::days(30)};
};

// The nodes of the large file move with what lives of their pack; the directory that names it is newer and
// does not.
TEST_F(WriteOnlyBackupTest, ALockedBackupNeedsNothingThatWasMoved) {
    for (int i = 0; i < 5000; ++i) files.write_file(fmt::format("a/document {:040}", i), "");
    files.write_file("z/large", large_bytes, 1);
    ::usleep(50'000); // times must not be too fresh to trust
    const DocumentsBackupResult first = back_up();
    const NodeRef group = std::get<SegmentGroups>(entry(first, "z/large").content).front();
    std::filesystem::remove_all(files.source() / "a");
    files.write_file("z/small", "new");
    ::usleep(50'000);
    const DocumentsBackupResult second = back_up();
    ASSERT_EQ(std::get<SegmentGroups>(entry(second, "z/large").content).front(), group);
    forget_and_collect(first.report.snapshot);
    ASSERT_TRUE(files.store->head(moved_name(group.location.frame.pack), {}));

    const DocumentsBackupResult unlocked = back_up();
    EXPECT_EQ(unlocked.tree.totals.read_bytes, 0U) << "it need not look into what it takes over";
    const DocumentsBackupResult locked = back_up(month_);
    EXPECT_TRUE(locked.report.lock);
    EXPECT_EQ(locked.tree.totals.read_bytes, large_bytes);
    EXPECT_LT(locked.report.stored_bytes, large_bytes / 10) << "what is in it has not moved away";
    EXPECT_EQ(back_up(month_).tree.totals.read_bytes, 0U) << "from then on it is as before";
    EXPECT_EQ(files.restore(locked.report.snapshot, {}, "restored").failed, 0U);
    EXPECT_TRUE(files.restored_right("z/large", "restored"));
    EXPECT_TRUE(files.restored_right("z/small", "restored"));
}

// It knows its own segments, and needs no content to take what they name.
TEST_F(WriteOnlyBackupTest, SendsNothingAgainOfARunThatWasKilled) {
    constexpr std::uint64_t mebibyte = 1u << 20;
    for (unsigned i = 0; i < 60; ++i) files.write_file(fmt::format("{}", i), mebibyte, 100 + i);
    DocumentsBackup backup;
    backup.run.source = "documents";
    backup.run.beat_interval = backup.run.segment_interval = Duration::zero();
    backup.run.checkpoint_interval = std::chrono::hours(1);
    backup.run.pipeline.pack_bytes = 512u << 10;
    backup.run.pipeline.uploads = 1;
    backup.paths = {files.source().string()};
    const auto stored_bytes = [&] {
        std::uint64_t bytes = 0;
        for (const ObjectInfo& info : files.store->list_all(std::string(packs_prefix)))
            bytes += info.size_bytes;
        return bytes;
    };
    auto faults = std::make_shared<FaultStore>(files.store);
    faults->plan({.kind = FaultKind::die_after, .verb = StoreVerb::put, .name_prefix = "packs/", .skip = 20});
    Progress progress;
    {
        Repository killed(faults, unlock(*faults, agent_, cache_),
                          LocalDirectories{files.scratch.file("cache"), files.scratch.path().string()},
                          system_clock(), files.random, silent_logger());
        EXPECT_THROW(back_up_documents(killed, backup, progress, {}), ProcessDied);
    }
    EXPECT_TRUE(files.names(std::string(checkpoints_prefix)).empty());
    EXPECT_GT(stored_bytes(), 28 * mebibyte);
    std::filesystem::remove_all(files.scratch.file("cache"));
    files.repository = files.open(agent_, cache_);
    const Snapshot made = back_up_documents(*files.repository, backup, progress, {}).report.snapshot;
    EXPECT_LT(stored_bytes(), 74 * mebibyte) << "what was under way, and the few packs that wait to be named";
    EXPECT_EQ(files.restore(made, {}, "restored").failed, 0U);
    EXPECT_TRUE(files.restored_right("7", "restored"));
    EXPECT_TRUE(files.restored_right("57", "restored"));
}

// What it cannot read it stores anew, so that it can compare with that.
TEST_F(WriteOnlyBackupTest, WhatWasMovedIsReadOnceMore) {
    for (int i = 0; i < 5000; ++i) files.write_file(fmt::format("a/document {:040}", i), "");
    files.write_file("z/document", "the same all the time");
    ::usleep(50'000);
    const DocumentsBackupResult first = back_up();
    std::filesystem::remove_all(files.source() / "a");
    files.write_file("b", "new");
    ::usleep(50'000);
    const DocumentsBackupResult second = back_up();
    ASSERT_EQ(entry(second, "z").children, entry(first, "z").children);
    forget_and_collect(first.report.snapshot);
    ASSERT_TRUE(files.store->head(moved_name(entry(second, "z").children.location.frame.pack), {}));

    EXPECT_EQ(back_up().tree.totals.unchanged_files, 1U) << "b";
    const DocumentsBackupResult later = back_up();
    EXPECT_EQ(later.tree.totals.unchanged_files, 2U);
    EXPECT_EQ(later.tree.totals.read_bytes, 0U);
}

} // namespace
} // namespace holdfast
