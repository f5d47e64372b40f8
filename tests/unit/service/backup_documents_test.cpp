// What a backup says of files that it cannot read, or that it does not have to.

#include "repository/node/directory_cursor.h"
#include "repository/node/file_map_node.h"
#include "service/backup_documents.h"
#include "service/open_repository.h"
#include "store/file_store.h"
#include "support/document_repository.h"
#include "support/error_matchers.h"
#include "support/failing_listing.h"

#include <filesystem>

#include <gtest/gtest.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

namespace holdfast {
namespace {

// While it lives, this thread opens files as nobody, who may not open what its owner alone may.
class AsNobody {
  public:
    AsNobody() {
        if (::geteuid() == 0) ::setfsuid(65534);
    }
    ~AsNobody() {
        if (::geteuid() == 0) ::setfsuid(0);
    }
    AsNobody(const AsNobody&) = delete;
    AsNobody& operator=(const AsNobody&) = delete;
};

class BackupDocumentsTest : public testing::Test {
  protected:
    DocumentsBackup request() const {
        DocumentsBackup backup;
        backup.run.source = "documents";
        backup.run.beat_interval = Duration::zero();
        backup.paths = {files.source().string()};
        return backup;
    }
    DocumentsBackupResult back_up(std::stop_token stop = {}) { return back_up(request(), std::move(stop)); }
    DocumentsBackupResult back_up(const DocumentsBackup& backup, std::stop_token stop = {}) {
        Progress progress;
        return back_up_documents(*files.repository, backup, progress, std::move(stop));
    }
    TreeEntry entry(const NodeRef& root, const std::string& path) {
        const std::optional<TreeEntry> found =
            find_path(files.repository->nodes(), root, files.path_in_snapshot(path));
        EXPECT_TRUE(found.has_value()) << path;
        return found.value_or(TreeEntry{});
    }
    TreeEntry entry(const DocumentsBackupResult& result, const std::string& path) {
        return entry(result.report.snapshot.root, path);
    }
    // Nobody else can open it, and neither can its owner, once he is no longer root.
    void make_unreadable(const std::string& path) {
        ::chmod(files.scratch.path().c_str(), 0755);
        ASSERT_EQ(::chmod((files.source() / path).c_str(), 0), 0);
    }
    // The whole tree, changed entry by entry.
    NodeRef changed_tree(BackupRun& run, const NodeRef& root, const std::function<void(TreeEntry&)>& change) {
        DirectoryBuilder builder([&](Bytes node) { return run.writer().put_node(std::move(node)); });
        DirectoryCursor cursor(files.repository->nodes(), root);
        while (const TreeEntry* next = cursor.next()) {
            TreeEntry copy = *next;
            change(copy);
            if (copy.type == EntryType::directory) copy.children = changed_tree(run, copy.children, change);
            builder.add(copy);
        }
        return builder.finish();
    }

    test::DocumentRepository files;
};

TEST_F(BackupDocumentsTest, AFileThatCannotBeReadAnyMoreKeepsItsOldEntryWhole) {
    files.write_file("kept", "the old content");
    const TreeEntry old = entry(back_up(), "kept");
    files.write_file("kept", "content that nobody may see, and longer");
    make_unreadable("kept");
    DocumentsBackupResult result;
    {
        const AsNobody nobody;
        result = back_up();
    }
    EXPECT_EQ(result.report.snapshot.state, SnapshotState::partial);
    ASSERT_EQ(result.tree.problems.size(), 1U);
    EXPECT_EQ(result.tree.problems.front().path, "/" + files.path_in_snapshot("kept"));
    TreeEntry expected = old;
    expected.flags |= entry_flag::unreadable;
    expected.flags &= static_cast<std::uint8_t>(~entry_flag::fresh_times);
    TreeEntry found = entry(result, "kept");
    found.flags &= static_cast<std::uint8_t>(~entry_flag::fresh_times);
    EXPECT_EQ(found, expected);

    ASSERT_EQ(::chmod((files.source() / "kept").c_str(), 0644), 0);
    const DocumentsBackupResult next = back_up();
    EXPECT_EQ(next.report.snapshot.state, SnapshotState::complete);
    EXPECT_EQ(entry(next, "kept").flags & entry_flag::unreadable, 0);
    EXPECT_EQ(entry(next, "kept").size, 39U);
}

TEST_F(BackupDocumentsTest, AFileThatCouldNeverBeReadHasNoContent) {
    files.write_file("secret", "nobody has ever seen this");
    make_unreadable("secret");
    DocumentsBackupResult result;
    {
        const AsNobody nobody;
        result = back_up();
    }
    const TreeEntry found = entry(result, "secret");
    EXPECT_EQ(found.flags, entry_flag::unreadable);
    EXPECT_TRUE(std::holds_alternative<std::monostate>(found.content));
    EXPECT_EQ(files.restore(result.report.snapshot, {"secret"}, "restored").failed, 1U);
}

// A bad disk: what it does not show any more is not taken for gone.
TEST_F(BackupDocumentsTest, ADirectoryThatFailsWhileItIsListedIsNotTakenForEmpty) {
    files.write_file("bad/document", "once");
    files.write_file("good", "still");
    const DocumentsBackupResult before = back_up();
    DocumentsBackupResult result;
    test::with_failing_listing(files.source() / "bad", 0, EIO, [&] { result = back_up(); });
    EXPECT_EQ(result.report.snapshot.state, SnapshotState::partial);
    EXPECT_EQ(result.tree.totals.failed, 1U);
    ASSERT_EQ(result.tree.problems.size(), 1U);
    EXPECT_EQ(result.tree.problems.front().path, "/" + files.path_in_snapshot("bad"));
    EXPECT_EQ(entry(result, "bad").flags & entry_flag::unreadable, entry_flag::unreadable);
    EXPECT_EQ(entry(result, "bad").files, 0U);
    EXPECT_EQ(entry(result, "good").flags & entry_flag::unreadable, 0);

    // In place it stays, whatever is to be deleted.
    TreeRestoreSettings settings;
    settings.in_place = true;
    settings.delete_extra = true;
    Progress progress;
    const std::string target = files.scratch.file("target");
    restore_documents(*files.repository, before.report.snapshot, target, settings, progress, {});
    EXPECT_EQ(
        restore_documents(*files.repository, result.report.snapshot, target, settings, progress, {}).failed,
        1U);
    EXPECT_TRUE(files.restored_right("bad/document", "target"));

    const DocumentsBackupResult healed = back_up();
    EXPECT_EQ(healed.report.snapshot.state, SnapshotState::complete);
    EXPECT_EQ(entry(healed, "bad").flags & entry_flag::unreadable, 0);
    EXPECT_EQ(entry(healed, "bad").files, 1U);
}

TEST_F(BackupDocumentsTest, ARestoreCountsWhatTheBackupCounted) {
    files.write_file("a", "one");
    files.write_file("deep/er/b", "two");
    std::filesystem::create_directory(files.source() / "empty");
    std::filesystem::create_symlink("a", files.source() / "link");
    const Snapshot snapshot = back_up().report.snapshot;
    const TreeRestoreResult restored = files.restore(snapshot, {}, "restored");
    EXPECT_EQ(restored.directories, snapshot.totals.directories);
    EXPECT_EQ(restored.files, snapshot.totals.files);
    EXPECT_EQ(restored.others, snapshot.totals.others);
    EXPECT_EQ(restored.bytes, snapshot.totals.bytes);
    std::uint64_t directories = 1; // the top
    for (const auto& found : std::filesystem::recursive_directory_iterator(files.scratch.file("restored")))
        if (found.is_directory()) ++directories;
    EXPECT_EQ(restored.directories, directories);
}

TEST_F(BackupDocumentsTest, AnUnchangedFileHasTheDeviceAndInodeOfNow) {
    files.write_file("a", 10'000, 1);
    ::usleep(50'000); // its times must not be too fresh to trust
    const DocumentsBackupResult first = back_up();
    ASSERT_EQ(entry(first, "a").flags, 0);
    {
        BackupRun run(*files.repository, request().run, {});
        const NodeRef root =
            changed_tree(run, first.report.snapshot.root, [](TreeEntry& e) { e.device += 1000; });
        run.commit(root, {}, SnapshotState::complete);
    }
    const DocumentsBackupResult remounted = back_up();
    EXPECT_EQ(remounted.tree.totals.read_bytes, 0U);
    EXPECT_EQ(remounted.tree.totals.unchanged_files, 1U);
    EXPECT_EQ(entry(remounted, "a"), entry(first, "a"));
}

TEST_F(BackupDocumentsTest, WhatIsIgnoredInComparingIsStillRecorded) {
    files.write_file("a", 10'000, 1);
    ::usleep(50'000);
    DocumentsBackup backup = request();
    backup.tree.ignore_ctime = true;
    ASSERT_EQ(entry(back_up(backup), "a").flags, 0);
    ASSERT_EQ(::chmod((files.source() / "a").c_str(), 0600), 0);
    const DocumentsBackupResult next = back_up(backup);
    EXPECT_EQ(next.tree.totals.read_bytes, 0U);
    EXPECT_EQ(entry(next, "a").mode, 0600);
}

// A large file lies around its two segments; it is stopped behind the first of them.
TEST_F(BackupDocumentsTest, AStopLeavesACheckpointAndNoIntent) {
    files.write_file("a", 200'000, 1);
    files.write_file("large", 100'000, 2);
    std::filesystem::resize_file(files.source() / "large", segment_bytes + 3'001'000);
    std::ofstream(files.source() / "large", std::ios::in | std::ios::binary).seekp(segment_bytes + 1000)
        << std::string(3'000'000, 'x');
    ::usleep(50'000);
    {
        std::stop_source stop;
        BackupRun run(*files.repository, request().run, stop.get_token());
        unsigned asked = 0;
        Progress progress;
        const CaptureTools tools{
            run.writer(),
            files.repository->nodes(),
            run.files(),
            [&](const FrameAddress& frame) { return run.may_refer(frame); },
            [&](const FileContent& content) { return run.may_take_over(content); },
            [&] {
                if (++asked == 2) stop.request_stop(); // behind "a", and in the middle of "large"
                return false;
            },
            [](const NodeRef&) {},
            [&](const NodeRef& root) { run.end_early(root); },
            files.repository->clock(),
            files.repository->logger(),
            progress,
        };
        EXPECT_EQ(test::code_of([&] { capture_tree(request().paths, {}, {}, tools, stop.get_token()); }),
                  to_string(ErrorCode::cancelled));
        EXPECT_EQ(asked, 2U);
    }
    EXPECT_TRUE(files.names("intents/").empty());
    EXPECT_EQ(files.names("checkpoints/").size(), 1U);

    files.reopen();
    const DocumentsBackupResult result = back_up();
    EXPECT_TRUE(result.report.resumed);
    EXPECT_EQ(result.report.snapshot.state, SnapshotState::complete);
    EXPECT_EQ(result.tree.totals.files, 2U);
    EXPECT_LE(result.tree.totals.read_bytes, 3'001'000U) << "what lies behind the first segment";
    files.restore(result.report.snapshot, {}, "restored");
    EXPECT_TRUE(files.restored_right("a", "restored"));
    EXPECT_TRUE(files.restored_right("large", "restored"));
}

// There is nothing to go on from then, and nothing to wait for.
TEST_F(BackupDocumentsTest, AStopBeforeTheFirstFileHarmsNothing) {
    files.write_file("a", 1000, 1);
    std::stop_source stop;
    stop.request_stop();
    EXPECT_EQ(test::code_of([&] { back_up(stop.get_token()); }), to_string(ErrorCode::cancelled));
    EXPECT_EQ(back_up().tree.totals.files, 1U);
}

TEST_F(BackupDocumentsTest, TheRepositoryItselfIsLeftOut) {
    files.write_file("document", "mine");
    const std::string directory = (files.source() / "backups").string();
    RepositoryAccess access;
    access.url = file_url_of(directory);
    access.passphrase = text_secret("open sesame");
    access.cache_directory = files.scratch.file("other-cache");
    create_repository_at(access, {}, silent_logger());
    const OpenRepository open = open_repository(access, silent_logger());
    Progress progress;
    DocumentsBackupResult result;
    for (int round = 0; round < 2; ++round) {
        result = back_up_documents(*open.repository, request(), progress, {});
        EXPECT_EQ(result.tree.totals.files, 1U);
        EXPECT_EQ(result.report.snapshot.state, SnapshotState::complete);
    }
    const std::optional<TreeEntry> found =
        find_path(open.repository->nodes(), result.report.snapshot.root, files.path_in_snapshot("backups"));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->files, 0U);
    EXPECT_EQ(found->flags & entry_flag::unreadable, entry_flag::unreadable);

    // A restore in place, told to delete what the snapshot lacks, must not delete the repository.
    TreeRestoreSettings settings;
    const std::string target = files.scratch.file("target");
    const auto restore = [&] {
        restore_documents(*open.repository, result.report.snapshot, target, settings, progress, {});
    };
    restore();
    const std::string restored = target + "/" + files.path_in_snapshot("");
    std::ofstream(restored + "backups/config") << "a repository";
    std::ofstream(restored + "later") << "not in the snapshot";
    settings.in_place = true;
    settings.delete_extra = true;
    restore();
    EXPECT_TRUE(std::filesystem::exists(restored + "backups/config"));
    EXPECT_FALSE(std::filesystem::exists(restored + "later"));
}

} // namespace
} // namespace holdfast
