// Comparing, finding and counting, over one small repository.

#include "base/error.h"
#include "repository/backup_run.h"
#include "service/compare_trees.h"
#include "service/find_entries.h"
#include "service/repository_stats.h"
#include "support/document_repository.h"
#include "support/tiny_backup.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <gmock/gmock.h>

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class TreeQueriesTest : public testing::Test {
  protected:
    void SetUp() override {
        for (int i = 0; i < 3000; ++i)
            files.write_file(fmt::format("many/file-{:05}.txt", i), fmt::format("{}", i));
        files.write_file("docs/letter.txt", "dear");
        files.write_file("docs/photo.jpg", 5000, 1);
        files.write_file("old/deep/file", "x");
        files.write_file("becomes", "a file");
        before = files.back_up();
    }

    // "kind path" below the source.
    std::vector<std::string> changes(const NodeRef& a, const NodeRef& b) {
        std::vector<std::string> found;
        const std::string root = files.path_in_snapshot("");
        compare_trees(files.repository->nodes(), a, b, [&](const Change& change) {
            EXPECT_EQ(change.before == nullptr, change.kind == ChangeKind::added);
            EXPECT_EQ(change.after == nullptr, change.kind == ChangeKind::removed);
            if (change.path.size() > root.size() && change.kind != ChangeKind::metadata) {
                found.push_back(
                    fmt::format("{} {}", to_string(change.kind), change.path.substr(root.size())));
            }
            return true;
        });
        return found;
    }
    std::vector<std::string> find(const FindSettings& settings) {
        std::vector<std::string> found;
        find_entries(files.repository->nodes(), std::span(&before, 1), settings,
                     [&](const FoundEntry& entry) {
                         found.push_back(entry.path.substr(entry.path.rfind('/') + 1));
                         return true;
                     },
                     {});
        return found;
    }

    test::DocumentRepository files;
    Snapshot before;
};

TEST_F(TreeQueriesTest, ComparingTellsEveryDifferenceOnce) {
    files.write_file("docs/letter.txt", "changed");
    files.write_file("many/file-01500.txt", "changed");
    files.write_file("many/file-01500a.txt", "new");
    std::filesystem::remove(files.source() / "many/file-02999.txt");
    std::filesystem::remove_all(files.source() / "old");
    std::filesystem::remove(files.source() / "becomes");
    files.write_file("becomes/inside", "y");
    files.write_file("new/deep/file", "z");
    const Snapshot after = files.back_up();

    EXPECT_THAT(changes(before.root, after.root),
                ElementsAre("type becomes", "added becomes/inside", "modified docs/letter.txt",
                            "modified many/file-01500.txt", "added many/file-01500a.txt",
                            "removed many/file-02999.txt", "added new", "added new/deep",
                            "added new/deep/file", "removed old", "removed old/deep",
                            "removed old/deep/file"));
    EXPECT_THAT(changes(after.root, before.root),
                ElementsAre("type becomes", "removed becomes/inside", "modified docs/letter.txt",
                            "modified many/file-01500.txt", "removed many/file-01500a.txt",
                            "added many/file-02999.txt", "removed new", "removed new/deep",
                            "removed new/deep/file", "added old", "added old/deep", "added old/deep/file"));
    EXPECT_THAT(changes(before.root, before.root), IsEmpty());
}

TEST_F(TreeQueriesTest, ComparingTellsMetadataApart) {
    std::filesystem::permissions(files.source() / "docs/letter.txt", std::filesystem::perms::owner_all);
    const Snapshot after = files.back_up();
    std::vector<std::string> found;
    compare_trees(files.repository->nodes(), before.root, after.root, [&](const Change& change) {
        // The directories above the source are nobody's to keep still.
        if (!change.path.starts_with(files.path_in_snapshot(""))) return true;
        EXPECT_EQ(change.kind, ChangeKind::metadata) << change.path;
        EXPECT_NE(change.before->mode, change.after->mode);
        found.push_back(change.path);
        return true;
    });
    EXPECT_THAT(found, ElementsAre(files.path_in_snapshot("docs/letter.txt")));
}

// A backup that could not list a directory knows nothing of what it has not seen in it.
TEST_F(TreeQueriesTest, WhatABackupCouldNotListIsNeitherAddedNorRemoved) {
    BackupRunSettings settings;
    settings.source = "by hand";
    settings.beat_interval = Duration::zero();
    BackupRun run(*files.repository, settings, {});
    const auto directory = [&](const std::vector<TreeEntry>& entries) {
        DirectoryBuilder builder([&](Bytes node) { return run.writer().put_node(std::move(node)); });
        for (const TreeEntry& entry : entries) builder.add(entry);
        return builder.finish();
    };
    const auto pipe = [](const std::string& name, std::uint16_t mode = 0600) {
        TreeEntry entry;
        entry.name = name;
        entry.type = EntryType::fifo;
        entry.mode = mode;
        return entry;
    };
    const auto named = [&](const std::string& name, const std::vector<TreeEntry>& entries,
                           bool whole = true) {
        TreeEntry entry = tiny::directory_entry(name, directory(entries));
        if (!whole) entry.flags |= entry_flag::unreadable;
        return entry;
    };
    const NodeRef root_before = directory({
        named("both", {pipe("x"), pipe("y")}, false),
        named("earlier", {pipe("b", 0600)}, false),
        named("equal", {pipe("x")}, false),
        named("gone", {pipe("x")}, false),
        named("later", {pipe("a"), named("deep", {pipe("x")}), pipe("z", 0600)}),
        named("replaced", {pipe("x")}, false),
        named("same", {pipe("x")}),
    });
    const NodeRef root_after = directory({
        named("both", {pipe("x"), pipe("z")}, false),
        named("earlier", {pipe("a"), pipe("b", 0644), named("deep", {pipe("x")})}),
        named("equal", {pipe("x")}, false),
        named("later", {pipe("z", 0644)}, false),
        named("new", {pipe("x")}, false),
        pipe("replaced"),
        named("same", {pipe("x")}, false),
    });
    run.writer().end_all_frames();
    run.commit(root_before, {}, SnapshotState::complete);
    files.reopen();
    const auto differences = [&](const NodeRef& a, const NodeRef& b) {
        std::vector<std::string> found;
        compare_trees(files.repository->nodes(), a, b, [&](const Change& change) {
            found.push_back(fmt::format("{} {}", to_string(change.kind), change.path));
            return true;
        });
        return found;
    };
    EXPECT_THAT(differences(root_before, root_after),
                ElementsAre("unknown both", "unknown earlier", "metadata earlier/b", "removed gone",
                            "unknown gone", "removed gone/x", "unknown later", "metadata later/z",
                            "added new", "unknown new", "added new/x", "type replaced", "unknown replaced",
                            "removed replaced/x", "unknown same"));
    EXPECT_THAT(differences(root_after, root_before),
                ElementsAre("unknown both", "unknown earlier", "metadata earlier/b", "added gone",
                            "unknown gone", "added gone/x", "unknown later", "metadata later/z",
                            "removed new", "unknown new", "removed new/x", "type replaced",
                            "unknown replaced", "added replaced/x", "unknown same"));
}

// Every node lies in a pack of its own, and the packs of what both trees have are taken away.
TEST_F(TreeQueriesTest, ComparingPassesOverEqualPartsOfADirectoryUnread) {
    std::vector<NodeRef> roots;
    std::map<NodeId, std::string> packs[2];
    {
        BackupRunSettings settings;
        settings.source = "large directory";
        settings.beat_interval = Duration::zero();
        settings.pipeline.pack_bytes = 1;
        BackupRun run(*files.repository, settings, {});
        for (int tree = 0; tree < 2; ++tree) {
            DirectoryBuilder builder([&](Bytes node) {
                const NodeRef reference = run.writer().put_node(std::move(node));
                run.writer().end_all_frames();
                packs[tree][reference.id] = reference.location.frame.pack.name();
                return reference;
            });
            for (int i = 0; i < 20'000; ++i) {
                TreeEntry entry;
                entry.name = fmt::format("pipe-{:06}", i);
                entry.type = i == 12'345 && tree == 1 ? EntryType::socket : EntryType::fifo;
                builder.add(entry);
            }
            roots.push_back(builder.finish());
        }
        run.commit(roots[0], {}, SnapshotState::complete);
    }
    std::size_t removed = 0;
    for (const auto& [node, pack] : packs[0]) {
        if (!packs[1].contains(node)) continue;
        files.store->remove(pack, {});
        ++removed;
    }
    ASSERT_GE(removed, 5U);
    files.reopen();
    std::vector<std::string> found;
    compare_trees(files.repository->nodes(), roots[0], roots[1], [&](const Change& change) {
        EXPECT_EQ(change.kind, ChangeKind::type);
        found.push_back(change.path);
        return true;
    });
    EXPECT_THAT(found, ElementsAre("pipe-012345"));
}

TEST_F(TreeQueriesTest, ComparingEndsWhenNoMoreIsWanted) {
    std::filesystem::remove_all(files.source() / "many");
    const Snapshot after = files.back_up();
    int told = 0;
    compare_trees(files.repository->nodes(), before.root, after.root,
                  [&](const Change&) { return ++told < 5; });
    EXPECT_EQ(told, 5);
}

TEST_F(TreeQueriesTest, FindsByNamePathTypeSizeAndTime) {
    EXPECT_THAT(find({.patterns = {"*.jpg"}}), ElementsAre("photo.jpg"));
    EXPECT_THAT(find({.patterns = {"letter.*", "photo.*"}}), ElementsAre("letter.txt", "photo.jpg"));
    EXPECT_THAT(find({.patterns = {"docs/"}}), ElementsAre("docs")) << "and not what is in it";
    EXPECT_THAT(find({.patterns = {"becomes/"}}), IsEmpty()) << "it is a file";
    EXPECT_THAT(find({.patterns = {"docs/**"}}), ElementsAre("letter.txt", "photo.jpg"));
    EXPECT_THAT(find({.patterns = {"/" + files.path_in_snapshot("old/deep")}}), ElementsAre("deep"));
    EXPECT_THAT(find({.patterns = {"/deep"}}), IsEmpty());
    EXPECT_EQ(find({.patterns = {"file-00???.txt"}}).size(), 1000U);
    EXPECT_THAT(find({.patterns = {"[do]*"}, .types = {EntryType::directory}}),
                UnorderedElementsAre("docs", "old", "deep"));
    EXPECT_THAT(find({.least_size = 4999}), ElementsAre("photo.jpg"));
    EXPECT_THAT(find({.patterns = {"docs/**"}, .most_size = 4}), ElementsAre("letter.txt"));
    EXPECT_THAT(find({.not_after = FileTime{1, 0}}), IsEmpty());
    EXPECT_THAT(find({.patterns = {"*.jpg"}, .not_before = FileTime{1'000'000'000, 0}}),
                ElementsAre("photo.jpg"));
    EXPECT_THROW(find({.patterns = {"!a"}}), Error);
}

TEST_F(TreeQueriesTest, FindingEndsWhenNoMoreIsWanted) {
    int told = 0;
    find_entries(files.repository->nodes(), std::span(&before, 1), {},
                 [&](const FoundEntry&) { return ++told < 7; }, {});
    EXPECT_EQ(told, 7);
}

TEST_F(TreeQueriesTest, CountsWhatIsStoredAndWhatItStandsFor) {
    const Snapshot second = files.back_up();
    const Snapshot other = files.back_up("other");
    const RepositoryStats plain = repository_stats(*files.repository, false, {});
    EXPECT_TRUE(plain.compression.empty());
    EXPECT_EQ(plain.snapshots, 3U);
    EXPECT_EQ(plain.sources.at("documents").snapshots, 2U);
    EXPECT_EQ(plain.sources.at("documents").logical_bytes, before.totals.bytes + second.totals.bytes);
    EXPECT_EQ(plain.sources.at("other").newest_logical_bytes, other.totals.bytes);
    EXPECT_EQ(plain.logical_bytes, 3 * before.totals.bytes);
    EXPECT_EQ(plain.by_folder.at("commits").objects, 3U);
    EXPECT_EQ(plain.by_folder.at("packs").objects, files.names("packs/").size());
    std::uint64_t bytes = 0;
    for (const ObjectInfo& info : files.store->list_all("")) bytes += info.size_bytes;
    EXPECT_EQ(plain.all.bytes, bytes);
    EXPECT_EQ(plain.packs.at("data").bytes + plain.packs.at("metadata").bytes,
              plain.by_folder.at("packs").bytes);
    EXPECT_DOUBLE_EQ(plain.deduplication_ratio(),
                     static_cast<double>(plain.logical_bytes) / static_cast<double>(bytes));

    const RepositoryStats detail = repository_stats(*files.repository, true, {});
    EXPECT_EQ(detail.compression.at("data").packs, plain.packs.at("data").objects);
    EXPECT_EQ(detail.compression.at("data").unreadable_packs, 0U);
    EXPECT_GE(detail.compression.at("data").raw_bytes, 5000U);
    EXPECT_GT(detail.compression.at("metadata").ratio(), 1.0);
    EXPECT_LT(detail.compression.at("metadata").stored_bytes, plain.packs.at("metadata").bytes);
}

} // namespace
} // namespace holdfast
